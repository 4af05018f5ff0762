// From a frame to the faces in it: detector, aligned crops, expression of all faces in one batch, landmarks and blendshapes on request,
// tracks with stable ids. Runs without Python and may be called from any thread; calls of one pipeline that overlap in time are safe, and
// update its tracks one after another. Where networks run on a GPU, the pipeline has a thread of its own for them, and its calls are done
// one after another.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "affectrt/core/worker.h"
#include "affectrt/device/import.h"
#include "affectrt/face/detector.h"
#include "affectrt/face/landmarks.h"
#include "affectrt/face/tracker.h"

namespace affectrt {

// A crop less sharp (see CropModel::Outputs) is too blurred to read. Measured on FER2013 PublicTest, blurred by Gaussians of
// sigma 0 to 2 px, with fernet-fer7: of pictures below it 0.35 are read right, of those above 0.04 it is 0.68.
inline constexpr float kMinSharpness = 0.01f;

struct FaceOptions {
  EngineOptions engine;
  std::string precision = "auto";
  int max_faces = 16;        // the best-scored are kept
  float smoothing_ms = 250;  // of expression probabilities over a track; 0: none
  float min_face_px = 24;    // a face less high is too small to read an expression from
  float min_sharpness = kMinSharpness;
  TrackerOptions tracker;
};

using Doubt = AffectDoubt;

struct Face {
  Detection detection;
  int track_id = 0;
  std::vector<float> raw_probs, probs;  // of this frame; smoothed. Empty without an expression pack
  int label = -1;                       // position in labels(), or -1: unknown, and `doubt` says why
  Doubt doubt = Doubt::kNone;
  float valence = 0, arousal = 0, dominance = 0, confidence = 0;
  float sharpness = 0;
  std::optional<std::vector<Landmark>> landmarks;
  std::optional<std::vector<float>> blendshapes;  // in the order of blendshape_names()
};

struct FaceTimings {
  double detect_ms = 0, expression_ms = 0, landmarks_ms = 0, blendshapes_ms = 0, total_ms = 0;
};

struct GpuContext;
class GpuFaces;

class FacePipeline {
 public:
  // Null packs leave their stage out; blendshapes need landmarks. Throws PackError, EngineError, DeviceError, std::invalid_argument.
  FacePipeline(const Pack& detector, const Pack* expression, const Pack* landmarks, const Pack* blendshapes,
               const FaceOptions& options = {});
  ~FacePipeline();

  // `stamp_ns` is the capture time by any monotonic clock. Faces come best first.
  std::vector<Face> operator()(const ImageView& image, std::int64_t stamp_ns, FaceTimings* timings = nullptr);
  // A picture that lies on the pipeline's own GPU, ready for gpu_stream(). Throws DeviceError where the pipeline runs on none.
  std::vector<Face> operator()(const cuda::DeviceImage& image, std::int64_t stamp_ns, FaceTimings* timings = nullptr);

  // Forgets all tracks; ids go on counting.
  void reset();

  // Goes on with the tracks of another pipeline, of which calls may still be under way: both share them from now on. Before the first call
  // of this one. Smoothed expressions go on too where both keep them in host memory; those on a GPU start anew.
  void adopt(const FacePipeline& other) { tracks_ = other.tracks_; }

  // The stream that all stages run on. Null where at most single networks run on a GPU: fallbacks() says why.
  const cuda::Stream* gpu_stream() const;

  const FaceDetector& detector() const { return detector_; }
  const std::vector<Label>& labels() const { return labels_; }
  const std::vector<Label>& blendshape_names() const { return blendshape_names_; }
  const std::string& provider() const { return detector_.engine().provider(); }
  // Of all networks: what was asked for and could not be had, each with the reason, once.
  std::vector<std::string> fallbacks() const;

 private:
  static std::unique_ptr<GpuContext> open_gpu(FaceOptions& options, std::vector<std::string>& fallbacks);
  void open_gpu_faces();
  void judge(Face& face, Track& track) const;
  void add_blendshapes(std::vector<Face>& faces, FaceTimings& spent) const;
  std::vector<Face> on_cpu(const ImageView& image, std::int64_t stamp_ns, FaceTimings& spent);
  std::vector<const Engine*> engines() const;
  template <class F>
  void on_its_thread(const F& work);
  template <class Image>
  std::vector<Face> read_on_gpu(const Image& image, std::int64_t stamp_ns, FaceTimings& spent);
  template <class Image>
  std::vector<Face> on_gpu(const Image& image, std::int64_t stamp_ns, FaceTimings& spent);

  FaceOptions options_;
  std::vector<std::string> fallbacks_;  // what keeps the stages from a GPU
  std::unique_ptr<GpuContext> gpu_;     // before the networks, which run on its stream
  FaceDetector detector_;
  std::unique_ptr<CropModel> expression_;
  std::unique_ptr<FaceLandmarks> landmarks_;
  std::unique_ptr<Blendshapes> blendshapes_;
  std::vector<Label> labels_, blendshape_names_;
  std::size_t probs_index_ = 0;
  AffectOptions affect_;
  struct Tracks {
    explicit Tracks(const TrackerOptions& options) : tracker(options) {}
    std::mutex mutex;
    Tracker tracker;
  };
  std::shared_ptr<Tracks> tracks_;  // never null
  std::unique_ptr<GpuFaces> gpu_faces_;
  // Who runs the networks where there is a GPU: ONNX Runtime keeps graphs and handles for each thread that does, as long as the network
  // lives.
  std::unique_ptr<Worker> worker_;
};

}  // namespace affectrt
