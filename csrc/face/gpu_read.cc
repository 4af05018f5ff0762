// The second half of a frame: what the faces that have been found express, and their landmarks.
#include <algorithm>

#include "affectrt/face/gpu_crop.h"

namespace affectrt {
namespace {

using gpu::pointer;

// Puts the way home of an answer on the stream; where it will lie once the stream has been waited for.
template <class T>
const T* fetch(Cursor& home, const cuda::Buffer& from, std::size_t count, const cuda::Stream& stream) {
  T* at = home.take<T>(count);
  cuda::copy_to_host(at, from.data(), count * sizeof(T), stream);
  return at;
}

}  // namespace

// Where the answers about one frame's faces lie on the host.
struct GpuFaces::Answers {
  const gpu::AffectReading* affect = nullptr;
  const float *raw = nullptr, *probs = nullptr, *sharpness = nullptr;
  std::vector<const float*> meshes;  // one for each output of the landmarks' network
  const Affine* regions = nullptr;
};

int GpuFaces::slot_of(int track, bool& fresh) {
  const auto known = slots_.find(track);
  fresh = known == slots_.end() || !known->second.settled;
  if (known != slots_.end()) {
    known->second.used = frames_;
    return known->second.index;
  }
  if (slots_.size() < kTracksAFace * capacity_)
    return slots_.try_emplace(track, Slot{static_cast<int>(slots_.size()), frames_, false}).first->second.index;
  const auto oldest =
      std::min_element(slots_.begin(), slots_.end(), [](const auto& a, const auto& b) { return a.second.used < b.second.used; });
  const int index = oldest->second.index;
  slots_.erase(oldest);
  slots_.try_emplace(track, Slot{index, frames_, false});
  return index;
}

void GpuFaces::enqueue_expressions(std::span<const int> tracks, std::int64_t stamp_ns, Cursor& home, Answers& answers) {
  const auto& stream = context_->stream;
  Cursor sent{sent_.data()};
  auto* faces = sent.take<gpu::AffectFace>(found_);
  for (std::size_t i = 0; i < found_; ++i) {
    bool fresh = false;
    faces[i].track = slot_of(tracks[i], fresh);
    faces[i].fresh = fresh ? 1 : 0;
    faces[i].stamp_ns = stamp_ns;
  }
  cuda::copy_to_device(faces_.data(), faces, found_ * sizeof(gpu::AffectFace), stream);
  expression_->run(found_);
  gpu::AffectArgs args{};
  args.values = pointer<const float>(expression_->outputs[probs_output_].data());
  args.rows = pointer<const float>(rows_.data());
  args.sharpness = pointer<const float>(sharp_.data());
  args.faces = pointer<const gpu::AffectFace>(faces_.data());
  args.ratings = pointer<const float>(ratings_.data());
  args.count = pointer<const int>(status_.data());
  args.track_probs = pointer<float>(track_probs_.data());
  args.tracks = pointer<gpu::AffectTrackState>(track_states_.data());
  args.raw_probs = pointer<float>(raw_probs_.data());
  args.probs = pointer<float>(probs_.data());
  args.readings = pointer<gpu::AffectReading>(readings_.data());
  args.max_count = static_cast<int>(found_);
  args.labels = static_cast<int>(labels_);
  args.row_values = static_cast<int>(row_values_);
  args.activation = static_cast<int>(affect_options_.activation);
  args.temperature = affect_options_.temperature;
  args.smoothing_ms = affect_options_.smoothing_ms;
  args.min_face_px = affect_options_.min_face_px;
  args.min_sharpness = affect_options_.min_sharpness;
  args.full_height_px = affect_options_.full_height_px;
  args.unknown_below = affect_options_.unknown_below;
  cuda::launch(affect_, {{cuda::blocks_for(found_, gpu::kFacesPerBlock)}, {gpu::kAffectThreads}}, stream, args);

  answers.affect = fetch<gpu::AffectReading>(home, readings_, found_, stream);
  answers.raw = fetch<float>(home, raw_probs_, found_ * labels_, stream);
  answers.probs = fetch<float>(home, probs_, found_ * labels_, stream);
  answers.sharpness = fetch<float>(home, sharp_, found_, stream);
}

void GpuFaces::enqueue_landmarks(Cursor& home, Answers& answers) {
  const auto& stream = context_->stream;
  landmarks_->run(found_);
  for (std::size_t i = 0; i < landmarks_->outputs.size(); ++i)
    answers.meshes.push_back(fetch<float>(home, landmarks_->outputs[i], found_ * landmarks_->model->values_of(i), stream));
  answers.regions = fetch<Affine>(home, landmarks_->regions, found_, stream);
}

void GpuFaces::read(std::span<const int> tracks, std::int64_t stamp_ns, std::vector<Reading>& readings,
                    std::vector<std::optional<std::vector<Landmark>>>& landmarks) {
  if (tracks.size() != found_)
    throw std::invalid_argument("expected " + std::to_string(found_) + " tracks, got " + std::to_string(tracks.size()));
  readings.assign(found_, {});
  landmarks.clear();
  ++frames_;
  Answers answers;
  if (found_ != 0) {
    Cursor home{home_.data()};
    home.take<int>(2);
    home.take<float>(capacity_ * row_values_);
    if (expression_) enqueue_expressions(tracks, stamp_ns, home, answers);
    if (landmarks_) enqueue_landmarks(home, answers);
  }
  finish();  // also where there is nobody: the kernels that looked for their crops still read the frame

  for (std::size_t i = 0; expression_ && i < found_; ++i) {
    slots_[tracks[i]].settled = true;
    readings[i].affect = answers.affect[i];
    readings[i].raw_probs.assign(answers.raw + i * labels_, answers.raw + (i + 1) * labels_);
    readings[i].probs.assign(answers.probs + i * labels_, answers.probs + (i + 1) * labels_);
    readings[i].sharpness = answers.sharpness[i];
  }
  if (!landmarks_ || found_ == 0) return;
  CropModel::Outputs meshes;
  for (std::size_t i = 0; i < answers.meshes.size(); ++i)
    meshes.values.emplace_back(answers.meshes[i], answers.meshes[i] + found_ * landmarks_->model->values_of(i));
  landmarks = landmark_model_->read(meshes, {answers.regions, found_});
}

}  // namespace affectrt
