// What skip_crf.cu is launched with.
#pragma once

namespace affectrt::gpu {

constexpr int kSkipCrfThreads = 256;
constexpr int kMaxSkipCrfTags = 32;  // a lane each; more are for the CPU

// A block a dialogue: the best sequence of tags, as skip_crf_decode finds it. The kernel is `skip_crf`. Steps are in elements.
//
// Sums are float32, kept near 0 by taking each utterance's greatest off the table: two sequences that differ by less than float32 tells
// apart may be taken for each other. -infinity forbids; the host sees to it that there is no NaN and no other number beyond 1e30.
struct SkipCrfArgs {
  const float* emissions;         // (batch, utterances, tags)
  const long long* speakers;      // (batch, utterances)
  const int* lengths;             // (batch), in device memory, cut to [0, utterances]. Null: all are full
  const float* start;             // (tags)
  const float* end;               // (tags)
  const float* self;              // (tags, tags), from row to column
  const float* other;             // (tags, tags)
  unsigned char* back;            // (batch, utterances, tags, tags): scratch
  int* tags_out;                  // (batch, utterances); -1 beyond the length, and everywhere where all sequences are forbidden
  float* scores;                  // (batch); 0 for a length of 0, -infinity where all sequences are forbidden
  long long item_step, row_step;  // of emissions
  int utterances;
  int tags;  // 1 to kMaxSkipCrfTags
};
static_assert(sizeof(void*) == 8 && sizeof(SkipCrfArgs) == 104, "host and device read one layout");

}  // namespace affectrt::gpu
