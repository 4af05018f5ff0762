// The contents of pack.json as values. docs/pack-format.md describes each field; parse.cc is the only place that fills them.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace affectrt {

enum class Task {
  kFaceDetection,
  kFaceLandmarks,
  kFaceBlendshapes,
  kFaceExpression,
  kTextEmotion,
  kTextEmbedding,
  kTextSpan,
  kTextPair,
  kDialogue
};
enum class Layout { kNchw, kNhwc };
enum class ColorOrder { kRgb, kBgr, kGray };
enum class Fit { kStretch, kLetterbox };

// The detection box, moved, squared, scaled and turned (MediaPipe's region of interest).
struct BoxCrop {
  float scale = 1.0f;
  float shift_x = 0.0f;  // in parts of the box width
  float shift_y = 0.0f;  // in parts of the box height
  bool square = true;
  bool rotate = false;
};

// Least-squares similarity from named key points to a template in tensor pixels.
struct KeyPointCrop {
  std::vector<std::string> points;
  std::vector<std::array<float, 2>> template_px;
};

using Crop = std::variant<BoxCrop, KeyPointCrop>;

struct ImageInput {
  std::string tensor;
  Layout layout = Layout::kNchw;
  ColorOrder color = ColorOrder::kRgb;
  int width_px = 0;
  int height_px = 0;
  std::vector<float> mean;       // one per channel, in pixel values
  std::vector<float> scale;      // value = (pixel - mean) * scale
  std::vector<float> pad_value;  // one per channel, in pixel values
  Fit fit = Fit::kStretch;
  bool dynamic_batch = false;
  std::optional<Crop> crop;
};

struct TextInput {
  std::string tensor;
  std::string tokenizer;  // path in the pack
  int max_tokens = 0;
  std::string mask_tensor;
  std::optional<std::string> type_tensor;
};

struct TensorInput {
  std::string tensor;
  std::vector<std::int64_t> shape;  // -1: free
};

struct ChatInput {
  std::string tensor;
  int context_tokens = 0;
};

using Input = std::variant<ImageInput, TextInput, TensorInput, ChatInput>;

enum class OutputKind { kProbabilities, kLogits, kBoxes, kScores, kLandmarks, kPresence, kBlendshapes, kEmbedding, kText, kSpanLogits };

struct Output {
  std::string tensor;
  OutputKind kind = OutputKind::kLogits;
  std::vector<std::int64_t> shape;
};

struct SsdDecode {
  std::vector<int> strides;
  std::vector<int> anchors_per_cell;
  int box_scale_px = 0;
  float score_clip = 100.0f;
  float score_threshold = 0.5f;
  float iou_threshold = 0.3f;
  std::vector<std::string> key_points;
};

enum class Activation { kSoftmax, kSigmoid, kIdentity };

struct ClassDecode {
  Activation activation = Activation::kSoftmax;
  float temperature = 1.0f;
  std::vector<float> thresholds;  // one per label for kSigmoid, else empty
  float unknown_below = 0.0f;
};

struct LandmarkDecode {
  int count = 0;
  int scale_px = 0;
  float presence_threshold = 0.5f;
};

struct BlendshapeDecode {
  std::vector<int> landmark_indices;
};

struct ChatDecode {
  float temperature = 0.7f;
  float top_p = 0.9f;
  int top_k = 40;
  float repeat_penalty = 1.1f;
  int max_tokens = 160;
  std::vector<std::string> stop;
};

// How the vectors of the tokens become one of the text.
enum class Pooling { kMean, kCls, kNone };  // mean of all tokens, the first token, done by the network itself

struct EmbeddingDecode {
  Pooling pooling = Pooling::kMean;
  bool normalize = true;  // to unit length
};

// Which part of a text answers a question about it.
struct SpanDecode {
  std::string question;  // with the fields {target}, {evidence} and {emotion}, of which it has the last
  int max_answer_tokens = 0;
  float null_threshold = 0.0f;  // by how much an answer must score over "no answer"
  int overlap_tokens = 0;       // of the windows that a long text is read in
};

// Whether one text is the cause of another.
struct PairDecode {
  std::string separator;
  std::string yes;  // the label that says so
  float threshold = 0.5f;
};

using Decode = std::variant<SsdDecode, ClassDecode, LandmarkDecode, BlendshapeDecode, ChatDecode, EmbeddingDecode, SpanDecode, PairDecode>;

struct Label {
  std::string name;
  float valence = 0.0f;            // [-1, 1]
  float arousal = 0.0f;            // [-1, 1]
  std::optional<float> dominance;  // [-1, 1]; absent: the pack does not say, which counts as 0
};

struct Source {
  std::string what, origin, license;
  std::optional<std::string> sha256;
};

struct PackFile {
  std::string path;
  std::uint64_t size_bytes = 0;
  std::string sha256;                 // 64 lower-case hex digits
  std::optional<std::string> remote;  // where to pull it from; absent: carried in the pack
};

struct Measurement {
  std::string metric, data;
  double value = 0.0;
  std::optional<double> reference;
  std::optional<std::string> machine, command;
};

struct Variant {
  std::string name, file, format, precision;
  float golden_tolerance_abs = 0.0f;
  std::vector<std::string> requires_providers;
  std::vector<Measurement> measured;
};

struct Golden {
  std::string name;
  std::map<std::string, std::string> input;     // image + color, text, question + text, or points
  std::map<std::string, std::string> expected;  // decoded result -> .npy path
};

struct Manifest {
  int format_version = 1;
  std::string name, version, description;
  Task task = Task::kFaceDetection;
  std::string license_code, license_weights;
  std::vector<Source> source;
  std::string card, intended_use;
  std::vector<std::string> known_limits;
  std::optional<std::string> recipe;
  std::vector<PackFile> files;
  std::vector<Input> inputs;
  std::vector<Output> outputs;
  Decode decode;
  std::vector<Label> labels;
  std::vector<Variant> variants;
  std::vector<Golden> golden;
};

}  // namespace affectrt
