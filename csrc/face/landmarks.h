// Dense landmarks of a face, and the ARKit blendshapes that follow from them.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "affectrt/face/crop_model.h"

namespace affectrt {

struct Landmark {
  float x = 0, y = 0;  // pixels of the picture
  float z = 0;         // depth in the same unit, smaller is nearer
};

class FaceLandmarks {
 public:
  FaceLandmarks(const Pack& pack, const std::string& precision, const EngineOptions& options,
                const std::vector<std::string>& key_points = {});

  // One entry a region; nullopt where the network sees no face.
  std::vector<std::optional<std::vector<Landmark>>> find(const ImageView& image, std::span<const Affine> regions) const;
  // The same of what the network has answered elsewhere.
  std::vector<std::optional<std::vector<Landmark>>> read(const CropModel::Outputs& outputs, std::span<const Affine> regions) const;

  const CropModel& model() const { return model_; }
  int count() const { return decode_.count; }

 private:
  CropModel model_;
  LandmarkDecode decode_;
  std::size_t landmarks_index_ = 0, presence_index_ = 0;
};

class Blendshapes {
 public:
  Blendshapes(const Pack& pack, const std::string& precision, const EngineOptions& options);

  // All landmarks of one face to one value in [0, 1] per label.
  std::vector<float> from_landmarks(std::span<const Landmark> landmarks) const;
  // The network's own points, x and y in turn: as golden vectors have them.
  std::vector<float> from_points(std::span<const float> points) const;

  const Manifest& manifest() const { return manifest_; }
  const Engine& engine() const { return *engine_; }

 private:
  struct Workspace {
    explicit Workspace(const Blendshapes& model);
    std::vector<float> points, scores;
    Binding binding;
  };

  Manifest manifest_;
  BlendshapeDecode decode_;
  std::unique_ptr<Engine> engine_;
  mutable LeasePool<Workspace> workspaces_;
};

}  // namespace affectrt
