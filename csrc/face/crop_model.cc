#include "affectrt/face/crop_model.h"

#include <algorithm>
#include <cmath>

#include "affectrt/face/contract.h"

namespace affectrt {
namespace {

int position(const std::vector<std::string>& names, const std::string& name, const std::string& pack) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it != names.end()) return static_cast<int>(it - names.begin());
  std::string there;
  for (const auto& n : names) there += " " + n;
  throw PackError(pack + ": its crop needs the key point '" + name + "'; the detector gives:" + there);
}

}  // namespace

CropModel::CropModel(const Pack& pack, const std::string& precision, const EngineOptions& options,
                     const std::vector<std::string>& key_points)
    : manifest_(pack.manifest()),
      input_(only_input<ImageInput>(manifest_, "image")),
      target_(TensorTarget::from(input_)),
      workspaces_([this] { return std::make_unique<Workspace>(*this); }) {
  if (input_.crop && !key_points.empty()) {
    if (const auto* crop = std::get_if<KeyPointCrop>(&*input_.crop)) {
      for (const auto& name : crop->points) template_points_.push_back(position(key_points, name, manifest_.name));
    } else if (std::get<BoxCrop>(*input_.crop).rotate) {
      right_eye_ = position(key_points, "right_eye", manifest_.name);
      left_eye_ = position(key_points, "left_eye", manifest_.name);
    }
  }
  engine_ = open_network(pack, precision, options);
  input_index_ = affectrt::input_index(*engine_, manifest_, input_.tensor);
  for (const auto& spec : engine_->outputs()) {
    std::size_t size = 1;
    for (std::size_t i = 1; i < spec.shape.size(); ++i) {
      if (spec.shape[i] < 1) throw PackError(manifest_.name + ": output '" + spec.name + "' has a free dimension besides the batch");
      size *= static_cast<std::size_t>(spec.shape[i]);
    }
    sizes_.push_back(size);
  }
  expect_fits(manifest_, [this] {
    auto workspace = workspaces_.take();
    workspace->input.resize(target_.size());
    bind(*workspace, 1);
  });
}

Affine CropModel::region(const Detection& detection) const {
  if (!input_.crop) throw PackError(manifest_.name + ": says no way to cut a face from a frame (no \"crop\")");
  if (const auto* crop = std::get_if<KeyPointCrop>(&*input_.crop)) {
    std::vector<Point> from, to;
    for (std::size_t i = 0; i < template_points_.size(); ++i) {
      from.push_back(detection.key_points.at(static_cast<std::size_t>(template_points_[i])));
      from.back().x -= 0.5f;  // from edge to pixel-centre coordinates
      from.back().y -= 0.5f;
      to.push_back({crop->template_px[i][0] - 0.5f, crop->template_px[i][1] - 0.5f});
    }
    return align_points(from, to);
  }
  return align_box(detection, std::get<BoxCrop>(*input_.crop), input_.width_px, input_.height_px, right_eye_, left_eye_);
}

Affine CropModel::whole(const ImageView& image) const {
  return fit_whole(image.width, image.height, input_.width_px, input_.height_px, input_.fit);
}

std::vector<std::int64_t> CropModel::input_shape(std::size_t count) const {
  const auto n = static_cast<std::int64_t>(count);
  const std::int64_t h = input_.height_px, w = input_.width_px, c = target_.channels();
  return input_.layout == Layout::kNchw ? std::vector<std::int64_t>{n, c, h, w} : std::vector<std::int64_t>{n, h, w, c};
}

std::vector<std::int64_t> CropModel::output_shape(std::size_t output, std::size_t count) const {
  auto shape = engine_->outputs()[output].shape;
  if (!shape.empty()) shape[0] = static_cast<std::int64_t>(count);
  return shape;
}

void CropModel::bind(Workspace& workspace, std::size_t count) const {
  workspace.binding.bind_input(input_index_, workspace.input.data(), workspace.input.size() * sizeof(float), input_shape(count));
  workspace.outputs.resize(sizes_.size());
  for (std::size_t i = 0; i < sizes_.size(); ++i) {
    auto& values = workspace.outputs[i];
    if (values.size() < sizes_[i] * kMaxBatch) values.resize(sizes_[i] * kMaxBatch);
    workspace.binding.bind_output(i, values.data(), values.size() * sizeof(float), output_shape(i, count));
  }
}

template <class ImageOf>
void CropModel::run_chunks(ImageOf&& image_of, std::span<const Affine> regions, Outputs& outputs) const {
  outputs.values.assign(sizes_.size(), {});
  outputs.sharpness.clear();
  if (regions.empty()) return;
  auto workspace = workspaces_.take();
  const std::size_t batch = largest_batch();
  if (workspace->input.size() < target_.size() * std::min(batch, regions.size())) {
    // Room for a whole batch at once, so that the address, to which the tensor is bound, does not change with the number of faces.
    workspace->input.resize(target_.size() * (regions.size() == 1 ? 1 : batch));
  }
  for (std::size_t first = 0; first < regions.size(); first += batch) {
    const std::size_t count = std::min(batch, regions.size() - first);
    for (std::size_t i = 0; i < count; ++i) {
      float* tensor = workspace->input.data() + i * target_.size();
      image_to_tensor(image_of(first + i), regions[first + i], target_, tensor);
      outputs.sharpness.push_back(sharpness_of(tensor, target_));
    }
    bind(*workspace, count);
    workspace->binding.run();
    for (std::size_t o = 0; o < sizes_.size(); ++o) {
      const auto& values = workspace->outputs[o];
      outputs.values[o].insert(outputs.values[o].end(), values.begin(), values.begin() + static_cast<std::ptrdiff_t>(sizes_[o] * count));
    }
  }
}

void CropModel::run(const ImageView& image, std::span<const Affine> regions, Outputs& outputs) const {
  run_chunks([&image](std::size_t) -> const ImageView& { return image; }, regions, outputs);
}

void CropModel::run(std::span<const ImageView> images, std::span<const Affine> regions, Outputs& outputs) const {
  if (images.size() != regions.size())
    throw std::invalid_argument("expected as many pictures as regions, got " + std::to_string(images.size()) + " and " +
                                std::to_string(regions.size()));
  run_chunks([&images](std::size_t i) -> const ImageView& { return images[i]; }, regions, outputs);
}

std::size_t probabilities_output(const CropModel& model) {
  const Manifest& manifest = model.manifest();
  for (const auto& output : manifest.outputs) {
    if (output.kind != OutputKind::kProbabilities && output.kind != OutputKind::kLogits) continue;
    const std::size_t index = output_index(model.engine(), manifest, output.tensor);
    if (model.values_of(index) != manifest.labels.size())
      throw PackError(manifest.name + ": " + std::to_string(manifest.labels.size()) + " labels, but output '" + output.tensor + "' has " +
                      std::to_string(model.values_of(index)) + " values a picture");
    return index;
  }
  throw PackError(manifest.name + ": expected an output of kind probabilities or logits");
}

void to_probabilities(const Manifest& manifest, std::span<float> values) {
  const auto* decode = std::get_if<ClassDecode>(&manifest.decode);
  if (!decode) throw PackError(manifest.name + ": its decoding gives no probabilities");
  activate(values, decode->activation, decode->temperature);
}

}  // namespace affectrt
