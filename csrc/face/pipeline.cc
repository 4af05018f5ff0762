#include "affectrt/face/pipeline.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "affectrt/core/error.h"

namespace affectrt {
namespace {

// Above this height a face gives an expression network all the pixels it can use; below, confidence falls with the height.
constexpr float kFullHeightPx = 48.0f;

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace

FacePipeline::FacePipeline(const Pack& detector, const Pack* expression, const Pack* landmarks, const Pack* blendshapes,
                           const FaceOptions& options)
    : options_(options), detector_(detector, options.precision, options.engine), tracker_(options.tracker) {
  if (!(options.smoothing_ms >= 0) || !std::isfinite(options.smoothing_ms))
    throw std::invalid_argument("smoothing_ms: expected a finite number of at least 0, got " + std::to_string(options.smoothing_ms));
  if (options.max_faces < 1) throw std::invalid_argument("max_faces: expected at least 1, got " + std::to_string(options.max_faces));
  if (blendshapes && !landmarks) throw std::invalid_argument("blendshapes need a pack of landmarks");
  const auto& points = detector_.key_points();
  if (expression) {
    expect_task(expression->manifest(), Task::kFaceExpression, "face-expression");
    expression_ = std::make_unique<CropModel>(*expression, options.precision, options.engine, points);
    labels_ = expression->manifest().labels;
    probs_index_ = probabilities_output(*expression_);
    unknown_below_ = std::get<ClassDecode>(expression->manifest().decode).unknown_below;
  }
  if (landmarks) landmarks_ = std::make_unique<FaceLandmarks>(*landmarks, options.precision, options.engine, points);
  if (blendshapes) {
    blendshapes_ = std::make_unique<Blendshapes>(*blendshapes, options.precision, options.engine);
    blendshape_names_ = blendshapes->manifest().labels;
    const int count = landmarks_->count();
    for (const int index : std::get<BlendshapeDecode>(blendshapes->manifest().decode).landmark_indices)
      if (index >= count)
        throw PackError(blendshapes->manifest().name + ": reads landmark " + std::to_string(index) + ", and " + landmarks->manifest().name +
                        " gives " + std::to_string(count));
  }
}

void FacePipeline::judge(Face& face, Track& track) const {
  // A network that has lost its mind tells nothing about the face, and must not spoil the track.
  if (!std::all_of(face.raw_probs.begin(), face.raw_probs.end(), [](float p) { return std::isfinite(p); })) {
    face.probs = face.raw_probs;
    face.doubt = Doubt::kUncertain;
    return;
  }
  if (face.detection.height() < options_.min_face_px)
    face.doubt = Doubt::kTinyFace;
  else if (face.sharpness < options_.min_sharpness)
    face.doubt = Doubt::kBlurredFace;

  if (face.doubt == Doubt::kNone) {
    if (track.probs.empty()) {
      track.probs = face.raw_probs;
    } else {
      smooth(track.probs, face.raw_probs, elapsed_ms(track.probs_ns, track.last_seen_ns), options_.smoothing_ms);
    }
    track.probs_ns = track.last_seen_ns;  // the tracker has put the stamp in order
  }
  // What is too small or too blurred adds nothing to the track, and the track says nothing in its place.
  face.probs = face.doubt == Doubt::kNone ? track.probs : face.raw_probs;
  for (std::size_t i = 0; i < labels_.size(); ++i) {
    face.valence += face.probs[i] * labels_[i].valence;
    face.arousal += face.probs[i] * labels_[i].arousal;
    face.dominance += face.probs[i] * labels_[i].dominance.value_or(0.0f);
  }
  if (face.doubt != Doubt::kNone) return;
  const auto top = std::max_element(face.probs.begin(), face.probs.end());
  face.confidence = *top * std::min(1.0f, face.detection.height() / kFullHeightPx);
  if (*top < unknown_below_)
    face.doubt = Doubt::kUncertain;
  else
    face.label = static_cast<int>(top - face.probs.begin());
}

std::vector<Face> FacePipeline::operator()(const ImageView& image, std::int64_t stamp_ns, FaceTimings* timings) {
  Stopwatch total, lap;
  FaceTimings spent;
  auto detections = detector_.detect(image);
  if (detections.size() > static_cast<std::size_t>(options_.max_faces)) detections.resize(static_cast<std::size_t>(options_.max_faces));
  spent.detect_ms = lap.lap_ms();

  std::vector<Face> faces(detections.size());
  std::vector<Affine> regions;
  if (expression_ && !detections.empty()) {
    for (const auto& d : detections) regions.push_back(expression_->region(d));
    CropModel::Outputs outputs;
    expression_->run(image, regions, outputs);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      const float* first = outputs.values[probs_index_].data() + i * labels_.size();
      faces[i].raw_probs.assign(first, first + labels_.size());
      to_probabilities(expression_->manifest(), faces[i].raw_probs);
      faces[i].sharpness = outputs.sharpness[i];
    }
    spent.expression_ms = lap.lap_ms();
  }
  if (landmarks_ && !detections.empty()) {
    regions.clear();
    for (const auto& d : detections) regions.push_back(landmarks_->model().region(d));
    auto found = landmarks_->find(image, regions);
    for (std::size_t i = 0; i < faces.size(); ++i) faces[i].landmarks = std::move(found[i]);
    spent.landmarks_ms = lap.lap_ms();
    if (blendshapes_) {
      for (auto& face : faces)
        if (face.landmarks) face.blendshapes = blendshapes_->from_landmarks(*face.landmarks);
      spent.blendshapes_ms = lap.lap_ms();
    }
  }
  {
    std::lock_guard lock(tracks_mutex_);
    const auto tracks = tracker_.update(detections, stamp_ns);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      faces[i].detection = std::move(detections[i]);
      faces[i].track_id = tracks[i]->id;
      if (expression_) judge(faces[i], *tracks[i]);
    }
  }
  spent.total_ms = total.lap_ms();
  if (timings) *timings = spent;
  return faces;
}

std::vector<std::string> FacePipeline::fallbacks() const {
  std::vector<const Engine*> engines{&detector_.engine()};
  if (expression_) engines.push_back(&expression_->engine());
  if (landmarks_) engines.push_back(&landmarks_->model().engine());
  if (blendshapes_) engines.push_back(&blendshapes_->engine());
  std::vector<std::string> all;
  for (const Engine* engine : engines)
    for (const auto& fallback : engine->fallbacks())
      if (std::find(all.begin(), all.end(), fallback) == all.end()) all.push_back(fallback);
  return all;
}

void FacePipeline::reset() {
  std::lock_guard lock(tracks_mutex_);
  tracker_.reset();
}

}  // namespace affectrt
