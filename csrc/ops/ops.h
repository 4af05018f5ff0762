// The operations between a camera frame and a network, and between a network and an observation. Each has a file of its own.
// To add one: declare it here with its contract, write <op>.cc (checks) and <op>_cpu.cc (kernel on raw pointers, if there is one),
// bind it in bindings/bind_ops.cc and test it against a plain NumPy reference in tests/ops.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "affectrt/core/image.h"
#include "affectrt/pack/manifest.h"

namespace affectrt {

// ---- image_to_tensor.cc -------------------------------------------------------------------------------------------------------------

// Where an image goes: one float32 picture of a batch, values (pixel - mean) * scale per channel.
struct TensorTarget {
  int width_px = 0;
  int height_px = 0;
  Layout layout = Layout::kNchw;
  ColorOrder color = ColorOrder::kRgb;
  std::array<float, 3> mean{};
  std::array<float, 3> scale{1, 1, 1};
  std::array<float, 3> pad_value{};  // pixel value where the source has none

  int channels() const { return color == ColorOrder::kGray ? 1 : 3; }
  std::size_t size() const {
    return static_cast<std::size_t>(width_px) * static_cast<std::size_t>(height_px) * static_cast<std::size_t>(channels());
  }

  static TensorTarget from(const ImageInput& input);
};

// Throws std::invalid_argument naming what is wrong with the picture: null, empty, over 16384 px a side, rows too short, odd NV12 sizes.
void check_image(const ImageView& image);

// Crop or warp, resample, convert colours, normalise and lay out, in one pass: out[y][x] = image at to_source(x, y), bilinear between pixel
// centres, the border pixel repeated within half a pixel of the edge, pad_value beyond it. Accumulates in float32.
void image_to_tensor(const ImageView& image, const Affine& to_source, const TensorTarget& target, float* out);

// ---- align.cc -----------------------------------------------------------------------------------------------------------------------

struct Point {
  float x = 0, y = 0;
};

struct Detection {
  float score = 0;
  float x0 = 0, y0 = 0, x1 = 0, y1 = 0;  // pixels
  std::vector<Point> key_points;         // pixels

  float width() const { return x1 - x0; }
  float height() const { return y1 - y0; }
};

// The whole picture onto the tensor: stretched, or centred with its shape kept.
Affine fit_whole(int source_width, int source_height, int tensor_width, int tensor_height, Fit fit);

// The region that a BoxCrop cuts. `right_eye` and `left_eye` are positions in detection.key_points, or -1 where the crop does not rotate.
Affine align_box(const Detection& detection, const BoxCrop& crop, int tensor_width, int tensor_height, int right_eye, int left_eye);

// The least-squares similarity (Umeyama, 1991, without reflection) that takes `to` (tensor pixels) to `from` (source pixels). Throws
// std::invalid_argument if there are fewer than two pairs, or all points of `to` coincide.
Affine align_points(std::span<const Point> from, std::span<const Point> to);

inline Point apply(const Affine& m, Point p) { return {m.a * p.x + m.b * p.y + m.c, m.d * p.x + m.e * p.y + m.f}; }

// ---- detection.cc -------------------------------------------------------------------------------------------------------------------

// Centres of the anchors in tensor pixels, in the order of the network's outputs.
std::vector<Point> make_anchors(const SsdDecode& decode, int width_px, int height_px);

// SSD outputs to detections in tensor pixels, best first, before suppression. scores: (N) logits; boxes: (N, 4 + 2K), of which one unit is
// `unit_px` tensor pixels. What is not finite is passed over.
std::vector<Detection> decode_detections(std::span<const float> scores, std::span<const float> boxes, std::span<const Point> anchors,
                                         float unit_px, const SsdDecode& decode);

// Weighted non-maximum suppression (Zhou et al., 2017; used by BlazeFace): of boxes that overlap the best by more than the threshold, the
// score-weighted mean is kept, with the best score. `detections` come best first and so do the results.
std::vector<Detection> weighted_nms(std::vector<Detection> detections, float iou_threshold);

float intersection_over_union(const Detection& a, const Detection& b);

// ---- smoothing.cc -------------------------------------------------------------------------------------------------------------------

// One step of an exponential filter whose weight follows the time between samples: state += (1 - exp(-dt / tau)) (sample - state).
// tau_ms <= 0 copies the sample.
void smooth(std::span<float> state, std::span<const float> sample, float dt_ms, float tau_ms);

// ---- sharpness.cc -------------------------------------------------------------------------------------------------------------------

inline constexpr double kLeastVariance = 1e-9;

// How sharp a tensor is. A blurred crop has little brightness left in its second differences: their mean square over the variance (a
// Laplacian measure of focus, after Pech-Pacheco et al., 2000, made independent of contrast). The square of a second difference of the same
// picture falls with the fourth power of the pixels across; so that one bound does for networks of every size, it is counted as in a tensor
// of 64x64. A tensor flatter than kLeastVariance gives 0.
float sharpness_of(const float* tensor, const TensorTarget& target);

// ---- affect.cc ----------------------------------------------------------------------------------------------------------------------

// Why a face says nothing certain.
enum class AffectDoubt { kNone, kTinyFace, kBlurredFace, kUncertain };

struct AffectOptions {
  Activation activation = Activation::kSoftmax;
  float temperature = 1;
  float smoothing_ms = 250;     // of probabilities over a track; 0: none
  float min_face_px = 24;       // a face less high is too small to read an expression from
  float min_sharpness = 0.01f;  // see sharpness_of
  float full_height_px = 48;    // below this height confidence falls with it
  float unknown_below = 0;      // a greatest probability below this is no label
};

// What is remembered of a track: the probabilities of its clear faces, and when the last one was. Empty: there has been none.
struct AffectTrack {
  std::vector<float> probs;
  std::int64_t stamp_ns = 0;
};

struct Affect {
  std::vector<float> raw_probs, probs;  // of this frame; smoothed
  int label = -1;                       // -1: unknown, and `doubt` says why
  AffectDoubt doubt = AffectDoubt::kNone;
  float valence = 0, arousal = 0, dominance = 0, confidence = 0;
};

// A network's values to probabilities, in place: softmax of values / temperature, sigmoid of each of them, or as they are.
void activate(std::span<float> values, Activation activation, float temperature);

// One face's step: probabilities from the network's values, smoothed into its track unless the face is in doubt, and what they mean.
Affect read_affect(std::span<const float> values, float height_px, float sharpness, std::int64_t stamp_ns, std::span<const Label> labels,
                   const AffectOptions& options, AffectTrack& track);

// ---- emotion_layernorm.cc -----------------------------------------------------------------------------------------------------------

struct EmotionLayerNorm {
  int batch = 0, tokens = 0, width = 0, emotions = 0;
  float epsilon = 1e-5f;
};

// LayerNorm(x + probs @ table) * gamma + beta, the first step of the emotion-aware encoder (Goel et al., 2021). x and out: (batch, tokens,
// width); probs: (batch, emotions), where one 1 and else 0 is a plain lookup; table: (emotions, width); gamma and beta: (width). Throws
// std::invalid_argument naming what has the wrong size.
void emotion_layernorm(const EmotionLayerNorm& sizes, std::span<const float> x, std::span<const float> probs, std::span<const float> table,
                       std::span<const float> gamma, std::span<const float> beta, std::span<float> out);

// ---- masked_attention.cc ------------------------------------------------------------------------------------------------------------

struct MaskedAttention {
  int batch = 0, heads = 0, tokens = 0, key_width = 0, value_width = 0;
  float scale = 1;  // of the logits
};

// Attention whose keys depend on whether query and key are of the same speaker (the identity-masked attention of EmotionIC, Liu et al.,
// 2023): softmax over j of scale * <query i, speakers equal ? key_same j : key_other j>, times value. Positional terms come in as further
// columns of query and keys. query, key_same, key_other: (batch, heads, tokens, key_width); value, out: (batch, heads, tokens,
// value_width); speakers: (batch, tokens); mask: (batch, tokens), 0 where a token is padding, or empty. Where all tokens are padding, zeros
// come out. Throws std::invalid_argument naming what has the wrong size.
void masked_attention(const MaskedAttention& sizes, std::span<const float> query, std::span<const float> key_same,
                      std::span<const float> key_other, std::span<const float> value, std::span<const std::int64_t> speakers,
                      std::span<const std::uint8_t> mask, std::span<float> out);

// ---- skip_crf.cc --------------------------------------------------------------------------------------------------------------------

inline constexpr int kMaxCrfTags = 256;

// A SkipCRF (EmotionIC, Liu et al., 2023). The score of a sequence of tags y is
//   start[y_0] + sum of emissions_i[y_i] + sum of Self[y_same, y_i] + sum of Other[y_i-1, y_i] + end[y_last],
// where an utterance within a run of one speaker has Self, from the utterance before; one at a change of speakers has Other, from the
// utterance before, and Self as well, from the end of the run before that, if this was the same speaker's (A-B-A). Who has never spoken, or
// not in the last two runs (A-B-C-A), has no Self. All are natural logarithms, up to any constant; -infinity forbids.
struct SkipCrf {
  int tags = 0;                        // 1 to kMaxCrfTags
  std::span<const float> start, end;   // (tags)
  std::span<const float> self, other;  // (tags, tags), from row to column
};

// Dialogues of up to `utterances`, one after another. What lies beyond the length of one is not read.
struct SkipCrfBatch {
  int batch = 0, utterances = 0;
  std::span<const float> emissions;        // (batch, utterances, tags)
  std::span<const std::int64_t> speakers;  // (batch, utterances): any numbers
  std::span<const std::int32_t> lengths;   // (batch): 0 to `utterances`. Empty: all are full
};

// The best sequence of each dialogue, exactly, in O(tags^3) an utterance: tags (batch, utterances), -1 beyond the length; scores (batch), 0
// for a length of 0. Where every sequence is forbidden, tags are -1 and the score is -infinity. Of equally good sequences (sums are
// float64, from the first utterance on) that one wins whose tags are lowest, compared at the last utterance first, then at the end of the
// run before it, then backwards through the last run, and so on from run to run. Works in tags^2 bytes an utterance of one dialogue. Throws
// std::invalid_argument naming what has the wrong size, NaN, or +infinity.
void skip_crf_decode(const SkipCrf& crf, const SkipCrfBatch& dialogues, std::span<std::int32_t> tags, std::span<double> scores);

// What the best sequence does not say: how sure each tag is. probs (batch, utterances, tags) are the probabilities of each tag over all
// sequences, weighted by exp(score), and zeros beyond the length or where all sequences are forbidden; log_partition (batch) is the
// logarithm of the weights' sum. Works in 8 tags^2 bytes an utterance of one dialogue.
void skip_crf_marginals(const SkipCrf& crf, const SkipCrfBatch& dialogues, std::span<float> probs, std::span<double> log_partition);

// A dialogue as it goes on. After each utterance `tags` are those that skip_crf_decode gives for the dialogue so far, bit for bit, of which
// the last `history` are kept: what is older stays as it was decided last, which touches neither the newest tag nor its probabilities.
// Not for several threads at once.
class SkipCrfStream {
 public:
  SkipCrfStream(const SkipCrf& crf, std::size_t history);
  ~SkipCrfStream();
  SkipCrfStream(SkipCrfStream&&) noexcept;
  SkipCrfStream& operator=(SkipCrfStream&&) noexcept;

  // One more utterance, in O(tags^3) and what is revised: the positions (0 is the dialogue's first utterance) of earlier ones whose tag is
  // now another, oldest first. Throws as skip_crf_decode does, and is then as before.
  std::vector<std::int64_t> push(std::span<const float> emissions, std::int64_t speaker);

  std::int64_t size() const;               // utterances so far
  std::vector<std::int32_t> tags() const;  // of the last min(size, history)
  double score() const;                    // of the best sequence; 0 before the first utterance
  std::span<const float> probs() const;    // (tags) of the newest utterance, as skip_crf_marginals gives them for the dialogue so far

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// ---- memory_top_k.cc ----------------------------------------------------------------------------------------------------------------

// How the distance of a memory comes of its two parts (Emotional RAG, Huang et al., 2024): d_sem, the Euclidean distance of the semantic
// vectors, and d_emo, the cosine distance of the emotion vectors.
enum class Combination {
  kSemantic,        // d_sem
  kEmotional,       // d_emo
  kSum,             // C-A: d_sem + d_emo
  kProduct,         // C-M: d_sem * d_emo
  kSemanticFirst,   // S-C: of the `candidates` nearest by d_sem, the k nearest by d_emo
  kEmotionalFirst,  // S-S: of the `candidates` nearest by d_emo, the k nearest by d_sem
};

// Rows of numbers in memory that someone else holds. `step` is what lies between the starts of two rows, in elements, of either sign.
template <class T>
struct Rows {
  const T* data = nullptr;
  std::int64_t count = 0;
  int width = 0;
  std::ptrdiff_t step = 0;
};

// What is known of a row that is kept as 8-bit codes: |row - scale * codes| <= residual, and |scale * codes| = norm but for its rounding.
struct CodeBound {
  float scale = 0, norm = 0, residual = 0;
};

struct MemoryCodes {
  Rows<std::int8_t> codes;            // no data: there are none
  const CodeBound* bounds = nullptr;  // one a row
};

struct Memories {
  Rows<float> semantics, emotions;        // a part that the combination does not ask for may be left out
  const std::uint8_t* allowed = nullptr;  // one a row, 0: as if it were not there; null: all are
  MemoryCodes codes;                      // of `semantics`: makes the search quicker and its result no different
};

struct MemoryQuery {
  std::span<const float> semantic, emotion;
  Combination combination = Combination::kSum;
  std::int64_t k = 10;
  std::int64_t candidates = 20;  // of S-C and S-S
  int kernels = 0;               // which of kernels::memory_kernels() computes, for tests: the result is the same
};

struct Recalled {
  std::int64_t index = 0;
  float distance = 0;
};

// The k nearest memories, nearest first, and of equally near ones the lower index first, in S-C and S-S among the candidates as well. Fewer
// where fewer are allowed. Distances are those of the last step; the order is that of the float32 numbers returned: see memory_top_k_cpu.h
// for how these come about, to the last bit. A row of zeros as emotion vector means that none is known, and lies at d_emo = 1. A memory
// that holds NaN or infinity, or lies too far for a float32, is at infinity. Throws std::invalid_argument: a width or a number of rows that
// does not fit, k or candidates below 1, a query that is not finite, a query of zeros as emotion where the combination needs it.
std::vector<Recalled> memory_top_k(const MemoryQuery& query, const Memories& memories);

// 8-bit codes for rows, and how far each may be from its row. What holds NaN or infinity gets an infinite residual.
void memory_codes(const Rows<float>& rows, std::int8_t* codes, CodeBound* bounds);

}  // namespace affectrt
