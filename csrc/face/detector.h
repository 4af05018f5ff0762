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
