// A network that looks at regions of a picture: expression, landmarks. One batch for all regions.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "affectrt/core/lease.h"
#include "affectrt/engine/engine.h"
#include "affectrt/ops/ops.h"
#include "affectrt/pack/pack.h"

namespace affectrt {

class CropModel {
 public:
  static constexpr std::size_t kMaxBatch = 16;

  // `key_points` are the names of the detector's points, which the pack's crop may refer to; empty: only whole pictures can be looked at.
  // Throws PackError if the pack takes no image, or its crop needs a point that the detector does not give.
  CropModel(const Pack& pack, const std::string& precision, const EngineOptions& options, const std::vector<std::string>& key_points = {});

  // Where the region of a detection lies. Throws PackError if the pack has no crop.
  Affine region(const Detection& detection) const;
  // The whole picture as the region.
  Affine whole(const ImageView& image) const;

  // What one run gives: for output i of the network, all regions' values one after another.
  struct Outputs {
    std::vector<std::vector<float>> values;
    // Spread of the second differences of the tensors' brightness, in parts of its own spread: low where the crop is blurred.
    std::vector<float> sharpness;
  };

  // Any number of regions (chunks of at most 16), any number of threads at once.
  void run(const ImageView& image, std::span<const Affine> regions, Outputs& outputs) const;
  // One region of each of several pictures.
  void run(std::span<const ImageView> images, std::span<const Affine> regions, Outputs& outputs) const;

  const Engine& engine() const { return *engine_; }
  const Manifest& manifest() const { return manifest_; }
  const ImageInput& input() const { return input_; }
  // Number of values an output has for one region.
  std::size_t values_of(std::size_t output) const { return sizes_[output]; }

  // What whoever runs the network elsewhere must know.
  std::size_t largest_batch() const { return input_.dynamic_batch ? kMaxBatch : 1; }
  const TensorTarget& target() const { return target_; }
  std::size_t input_index() const { return input_index_; }
  const std::vector<int>& template_points() const { return template_points_; }  // KeyPointCrop: positions in the detection
  int right_eye() const { return right_eye_; }                                  // BoxCrop that turns: the same; else -1
  int left_eye() const { return left_eye_; }
  std::vector<std::int64_t> input_shape(std::size_t count) const;
  std::vector<std::int64_t> output_shape(std::size_t output, std::size_t count) const;

 private:
  struct Workspace {
    explicit Workspace(const CropModel& model) : binding(*model.engine_) {}
    std::vector<float> input;
    std::vector<std::vector<float>> outputs;
    Binding binding;
  };
  template <class ImageOf>
  void run_chunks(ImageOf&& image_of, std::span<const Affine> regions, Outputs& outputs) const;
  void bind(Workspace& workspace, std::size_t count) const;

  Manifest manifest_;
  ImageInput input_;
  TensorTarget target_;
  std::vector<int> template_points_;  // KeyPointCrop: positions in the detection
  int right_eye_ = -1, left_eye_ = -1;
  std::unique_ptr<Engine> engine_;
  std::size_t input_index_ = 0;
  std::vector<std::size_t> sizes_;
  mutable LeasePool<Workspace> workspaces_;
};

// The output that holds a value per label. Throws PackError if there is none, or it has another number of values.
std::size_t probabilities_output(const CropModel& model);

// Logits or probabilities of one region into probabilities, by the pack's decoding. Throws PackError if the pack does not classify.
void to_probabilities(const Manifest& manifest, std::span<float> values);

}  // namespace affectrt
