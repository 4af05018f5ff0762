#include "affectrt/face/landmarks.h"

#include <algorithm>
#include <cmath>

#include "affectrt/core/error.h"
#include "affectrt/face/contract.h"

namespace affectrt {

FaceLandmarks::FaceLandmarks(const Pack& pack, const std::string& precision, const EngineOptions& options,
                             const std::vector<std::string>& key_points)
    : model_(pack, precision, options, key_points) {
  const Manifest& manifest = pack.manifest();
  expect_task(manifest, Task::kFaceLandmarks, "face-landmarks");
  decode_ = std::get<LandmarkDecode>(manifest.decode);
  landmarks_index_ = output_index(model_.engine(), manifest, output_of(manifest, OutputKind::kLandmarks, "landmarks").tensor);
  presence_index_ = output_index(model_.engine(), manifest, output_of(manifest, OutputKind::kPresence, "presence").tensor);
  const auto expected = static_cast<std::size_t>(decode_.count) * 3;
  if (model_.values_of(landmarks_index_) != expected || model_.values_of(presence_index_) != 1)
    throw PackError(manifest.name + ": expected outputs of " + std::to_string(expected) + " and 1 values a face, got " +
                    std::to_string(model_.values_of(landmarks_index_)) + " and " + std::to_string(model_.values_of(presence_index_)));
}

std::vector<std::optional<std::vector<Landmark>>> FaceLandmarks::find(const ImageView& image, std::span<const Affine> regions) const {
  CropModel::Outputs outputs;
  model_.run(image, regions, outputs);
  return read(outputs, regions);
}

std::vector<std::optional<std::vector<Landmark>>> FaceLandmarks::read(const CropModel::Outputs& outputs,
                                                                      std::span<const Affine> regions) const {
  std::vector<std::optional<std::vector<Landmark>>> faces(regions.size());
  const auto count = static_cast<std::size_t>(decode_.count);
  const float to_tensor = static_cast<float>(model_.input().width_px) / static_cast<float>(decode_.scale_px);
  for (std::size_t i = 0; i < regions.size(); ++i) {
    const float presence = 1.0f / (1.0f + std::exp(-outputs.values[presence_index_][i]));
    if (!(presence >= decode_.presence_threshold)) continue;
    const float* value = outputs.values[landmarks_index_].data() + i * count * 3;
    const float depth = to_tensor * std::hypot(regions[i].a, regions[i].d);
    std::vector<Landmark> face(count);
    for (std::size_t k = 0; k < count; ++k, value += 3) {
      const Point p = apply(regions[i], {value[0] * to_tensor - 0.5f, value[1] * to_tensor - 0.5f});
      face[k] = {p.x + 0.5f, p.y + 0.5f, value[2] * depth};
    }
    faces[i] = std::move(face);
  }
  return faces;
}

Blendshapes::Blendshapes(const Pack& pack, const std::string& precision, const EngineOptions& options)
    : manifest_(pack.manifest()), workspaces_([this] { return std::make_unique<Workspace>(*this); }) {
  expect_task(manifest_, Task::kFaceBlendshapes, "face-blendshapes");
  only_input<TensorInput>(manifest_, "tensor");
  decode_ = std::get<BlendshapeDecode>(manifest_.decode);
  engine_ = open_network(pack, precision, options);
  expect_fits(manifest_, [this] { workspaces_.take(); });
}

Blendshapes::Workspace::Workspace(const Blendshapes& model)
    : points(model.decode_.landmark_indices.size() * 2), scores(model.manifest_.labels.size()), binding(*model.engine_) {
  const auto& input = only_input<TensorInput>(model.manifest_, "tensor");
  const std::size_t in = input_index(*model.engine_, model.manifest_, input.tensor);
  const std::size_t out =
      output_index(*model.engine_, model.manifest_, output_of(model.manifest_, OutputKind::kBlendshapes, "blendshapes").tensor);
  const std::array<std::int64_t, 3> shape{1, static_cast<std::int64_t>(points.size() / 2), 2};
  binding.bind_input(in, points.data(), points.size() * sizeof(float), shape);
  auto out_shape = model.engine_->outputs()[out].shape;
  for (auto& extent : out_shape)
    if (extent < 0) extent = 1;
  std::int64_t values = 1;
  for (const auto extent : out_shape) values *= extent;
  if (static_cast<std::size_t>(values) != scores.size())
    throw std::invalid_argument(std::to_string(scores.size()) + " labels for " + std::to_string(values) + " values");
  binding.bind_output(out, scores.data(), scores.size() * sizeof(float), out_shape);
}

std::vector<float> Blendshapes::from_points(std::span<const float> points) const {
  auto workspace = workspaces_.take();
  if (points.size() != workspace->points.size())
    throw std::invalid_argument("blendshapes: expected " + std::to_string(workspace->points.size()) + " values, got " +
                                std::to_string(points.size()));
  std::copy(points.begin(), points.end(), workspace->points.begin());
  workspace->binding.run();
  return workspace->scores;
}

std::vector<float> Blendshapes::from_landmarks(std::span<const Landmark> landmarks) const {
  std::vector<float> points;
  points.reserve(decode_.landmark_indices.size() * 2);
  for (const int index : decode_.landmark_indices) {
    if (static_cast<std::size_t>(index) >= landmarks.size())
      throw std::invalid_argument("blendshapes: expected at least " + std::to_string(index + 1) + " landmarks, got " +
                                  std::to_string(landmarks.size()));
    points.push_back(landmarks[static_cast<std::size_t>(index)].x);
    points.push_back(landmarks[static_cast<std::size_t>(index)].y);
  }
  return from_points(points);
}

}  // namespace affectrt
