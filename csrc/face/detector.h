// Faces of a picture, from a face-detection pack.
#pragma once

#include <memory>
#include <vector>

#include "affectrt/core/lease.h"
#include "affectrt/engine/engine.h"
#include "affectrt/face/contract.h"
#include "affectrt/ops/ops.h"
#include "affectrt/pack/pack.h"

namespace affectrt {

class FaceDetector {
 public:
  // Throws PackError if the pack is not for face detection or its contract does not fit its network.
  FaceDetector(const Pack& pack, const std::string& precision, const EngineOptions& options);

  // Detections in pixels of the image, best first. Any number of threads at once.
  std::vector<Detection> detect(const ImageView& image) const;

  const Engine& engine() const { return *engine_; }
  const std::vector<std::string>& key_points() const { return decode_.key_points; }

  // What whoever runs the network elsewhere must know: how a frame goes in, and what the outputs mean.
  const ImageInput& input() const { return input_; }
  const TensorTarget& target() const { return target_; }
  const SsdDecode& decode() const { return decode_; }
  const std::vector<Point>& anchors() const { return anchors_; }
  float unit_px() const { return static_cast<float>(input_.width_px) / static_cast<float>(decode_.box_scale_px); }
  std::size_t input_index() const { return input_index_; }
  std::size_t boxes_index() const { return boxes_index_; }
  std::size_t scores_index() const { return scores_index_; }
  // Detections in tensor pixels to pixels of the image that was brought onto the tensor by `to_source`.
  static void to_image(const Affine& to_source, std::vector<Detection>& detections);

 private:
  struct Workspace {
    explicit Workspace(const FaceDetector& detector);
    std::vector<float> input, boxes, scores;
    Binding binding;
  };

  ImageInput input_;
  SsdDecode decode_;
  TensorTarget target_;
  std::vector<Point> anchors_;
  std::unique_ptr<Engine> engine_;
  std::size_t input_index_ = 0, boxes_index_ = 0, scores_index_ = 0;
  mutable LeasePool<Workspace> workspaces_;
};

}  // namespace affectrt
