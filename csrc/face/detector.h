// Faces of a picture, from a face-detection pack.
#pragma once

#include <memory>
#include <vector>

#include "affectrt/core/error.h"
#include "affectrt/core/lease.h"
#include "affectrt/engine/engine.h"
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

// The single input of a pack, of the kind that a model class needs. Throws PackError.
template <class T>
const T& only_input(const Manifest& manifest, const char* kind) {
  if (manifest.inputs.size() == 1)
    if (const T* input = std::get_if<T>(&manifest.inputs[0])) return *input;
  throw PackError(manifest.name + ": expected one input of kind " + kind);
}

// The output of a kind. Throws PackError if there is none.
const Output& output_of(const Manifest& manifest, OutputKind kind, const char* name);

// Throws PackError if the pack's task is another.
void expect_task(const Manifest& manifest, Task task, const char* name);

}  // namespace affectrt
