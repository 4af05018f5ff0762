#include "affectrt/face/tracker.h"

#include <algorithm>
#include <cmath>

namespace affectrt {
namespace {

constexpr float kRestartMs = 1000;
constexpr int kMissedFrames = 3;
constexpr float kVelocityTauMs = 120.0f;

Detection expected(const Track& track, std::int64_t stamp_ns) {
  // Far ahead a straight line says little, so the forecast stops after a quarter of a second.
  const float dt_ms = std::clamp(elapsed_ms(track.last_seen_ns, stamp_ns), 0.0f, 250.0f);
  Detection box = track.last;
  box.x0 += dt_ms * track.velocity_x;
  box.x1 += dt_ms * track.velocity_x;
  box.y0 += dt_ms * track.velocity_y;
  box.y1 += dt_ms * track.velocity_y;
  return box;
}

Point centre(const Detection& d) { return {0.5f * (d.x0 + d.x1), 0.5f * (d.y0 + d.y1)}; }

float side(const Detection& d) { return std::max(d.width(), d.height()); }

void observe(Track& track, const Detection& detection, std::int64_t stamp_ns) {
  const float dt_ms = elapsed_ms(track.last_seen_ns, stamp_ns);
  if (dt_ms > 0) {
    const Point from = centre(track.last), to = centre(detection);
    const float weight = 1.0f - std::exp(-dt_ms / kVelocityTauMs);
    track.velocity_x += weight * ((to.x - from.x) / dt_ms - track.velocity_x);
    track.velocity_y += weight * ((to.y - from.y) / dt_ms - track.velocity_y);
  }
  track.last = detection;
  track.last_seen_ns = stamp_ns;
  track.missed = 0;
}

}  // namespace

std::vector<Track*> Tracker::update(std::span<const Detection> detections, std::int64_t stamp_ns) {
  if (started_ && stamp_ns < last_stamp_ns_) {
    if (elapsed_ms(stamp_ns, last_stamp_ns_) > kRestartMs)
      reset();
    else
      stamp_ns = last_stamp_ns_;
  }
  started_ = true;
  last_stamp_ns_ = stamp_ns;

  struct Pair {
    float worth;
    std::size_t track, detection;
  };
  std::vector<Pair> pairs;
  for (std::size_t t = 0; t < tracks_.size(); ++t) {
    const Detection box = expected(tracks_[t], stamp_ns);
    const Point from = centre(box);
    for (std::size_t d = 0; d < detections.size(); ++d) {
      const float overlap = intersection_over_union(box, detections[d]);
      const Point to = centre(detections[d]);
      const float larger = std::max(side(box), side(detections[d])), smaller = std::min(side(box), side(detections[d]));
      const float distance = std::hypot(to.x - from.x, to.y - from.y) / std::max(larger, 1e-6f);
      // A near miss counts less than any overlap, and only between boxes of like size.
      const bool near = distance <= options_.max_distance && smaller > 0.5f * larger;
      if (overlap >= options_.min_overlap || near)
        pairs.push_back({overlap >= options_.min_overlap ? 1.0f + overlap : 1.0f - distance, t, d});
    }
  }
  std::stable_sort(pairs.begin(), pairs.end(), [](const Pair& a, const Pair& b) { return a.worth > b.worth; });

  constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  std::vector<std::size_t> owner(detections.size(), kNone);
  std::vector<bool> seen(tracks_.size(), false);
  for (const auto& pair : pairs) {
    if (seen[pair.track] || owner[pair.detection] != kNone) continue;
    seen[pair.track] = true;
    owner[pair.detection] = pair.track;
    observe(tracks_[pair.track], detections[pair.detection], stamp_ns);
  }
  for (std::size_t t = 0; t < seen.size(); ++t)
    if (!seen[t]) ++tracks_[t].missed;
  for (std::size_t d = 0; d < detections.size(); ++d) {
    if (owner[d] != kNone) continue;
    owner[d] = tracks_.size();
    Track track;
    track.id = next_id_++;
    track.last = detections[d];
    track.first_seen_ns = track.last_seen_ns = stamp_ns;
    tracks_.push_back(std::move(track));
  }

  // Ids survive the removal of those that are gone; addresses and positions do not.
  std::vector<int> ids;
  for (const std::size_t t : owner) ids.push_back(tracks_[t].id);
  std::erase_if(tracks_,
                [&](const Track& t) { return t.missed >= kMissedFrames && elapsed_ms(t.last_seen_ns, stamp_ns) > options_.max_missed_ms; });
  std::vector<Track*> result;
  for (const int id : ids) result.push_back(&*std::find_if(tracks_.begin(), tracks_.end(), [id](const Track& t) { return t.id == id; }));
  return result;
}

}  // namespace affectrt
