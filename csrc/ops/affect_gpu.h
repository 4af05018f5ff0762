// What affect.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kAffectThreads = 128;
constexpr int kFacesPerBlock = kAffectThreads / 32;  // a warp each

// Values as Activation and AffectDoubt have them in C++.
enum AffectActivation : int { kSoftmaxActivation = 0, kSigmoidActivation = 1, kIdentityActivation = 2 };
enum AffectDoubtCode : int { kNoDoubt = 0, kTinyDoubt = 1, kBlurredDoubt = 2, kUncertainDoubt = 3 };

// Which track a face belongs to; no two faces of one launch share one.
struct AffectFace {
  long long stamp_ns;  // of this frame, by the clock of the tracks
  int track;           // slot of the track's state
  int fresh;           // 1: the slot's state is of another track, or of none
};
static_assert(sizeof(AffectFace) == 16, "host and device read one layout");

struct AffectReading {
  float valence, arousal, dominance, confidence;
  int label;  // -1: unknown, and `doubt` says why
  int doubt;
};
static_assert(sizeof(AffectReading) == 24, "host and device read one layout");

// State of one track, beside its probabilities. `filled` is 0 until its first clear face.
struct AffectTrackState {
  long long stamp_ns;
  int filled;
  int unused;
};
static_assert(sizeof(AffectTrackState) == 16, "host and device read one layout");

// A warp a face, kFacesPerBlock a block. The kernel is `affect`.
struct AffectArgs {
  const float* values;       // (max_count, labels): what the network gave
  const float* rows;         // (max_count, row_values): the faces as detection.cu wrote them, of which the height counts
  const float* sharpness;    // (max_count)
  const AffectFace* faces;   // (max_count)
  const float* ratings;      // (3, labels): valence, arousal, dominance
  const int* count;          // faces, in device memory. Null: max_count
  float* track_probs;        // (tracks, labels)
  AffectTrackState* tracks;  // (tracks)
  float* raw_probs;          // (max_count, labels): of this frame
  float* probs;              // (max_count, labels): smoothed over the track, or those of the frame where the face is in doubt
  AffectReading* readings;   // (max_count)
  int max_count;
  int labels;
  int row_values;
  int activation;  // an AffectActivation
  float temperature;
  float smoothing_ms;
  float min_face_px, min_sharpness;
  float full_height_px;  // below this height confidence falls with it
  float unknown_below;
};
static_assert(sizeof(void*) == 8 && sizeof(AffectArgs) == 128, "host and device read one layout");

}  // namespace affectrt::gpu
