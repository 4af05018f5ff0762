// Which face of this frame is which face of the last one.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "affectrt/ops/ops.h"

namespace affectrt {

// In double: any two stamps have a difference there.
inline float elapsed_ms(std::int64_t from_ns, std::int64_t to_ns) {
  return static_cast<float>((static_cast<double>(to_ns) - static_cast<double>(from_ns)) * 1e-6);
}

struct TrackerOptions {
  float min_overlap = 0.2f;   // intersection over union with where the face was expected
  float max_distance = 0.6f;  // or distance of centres, in parts of the larger box side
  float max_missed_ms = 500;  // a face unseen for longer, and for three frames, is gone
};

struct Track {
  int id = 0;  // counts from 1; never given twice
  Detection last;
  std::int64_t first_seen_ns = 0, last_seen_ns = 0;
  float velocity_x = 0, velocity_y = 0;  // pixels per ms
  int missed = 0;                        // frames in a row
  AffectTrack affect;                    // smoothed expression
};

class Tracker {
 public:
  explicit Tracker(const TrackerOptions& options = {}) : options_(options) {}

  // Matches the detections of a frame to tracks, best overlap first, and returns one track a detection, valid until the next update.
  // A stamp more than a second before the last starts anew, as for another recording; a smaller step back counts as no time.
  std::vector<Track*> update(std::span<const Detection> detections, std::int64_t stamp_ns);

  void reset() { tracks_.clear(); }

 private:
  TrackerOptions options_;
  std::vector<Track> tracks_;
  std::int64_t last_stamp_ns_ = 0;
  bool started_ = false;
  int next_id_ = 1;
};

}  // namespace affectrt
