// The stages of a face pipeline on a GPU: a frame goes in, what is read of each face comes out, and nothing in between leaves the device
// but where the faces are, which the tracks need. All of it runs on one stream, which the networks share.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <vector>

#include "affectrt/face/detector.h"
#include "affectrt/face/landmarks.h"
#include "affectrt/gpu/frame_upload.h"
#include "affectrt/gpu/image_to_tensor.h"
#include "affectrt/ops/affect_gpu.h"
#include "affectrt/ops/align_gpu.h"

namespace affectrt {

// A GPU and the stream that networks and kernels share. Made before the networks, and outlives them.
struct GpuContext {
  explicit GpuContext(int ordinal) : device(ordinal), stream(device) {}
  cuda::Device device;
  cuda::Stream stream;
};

struct Cursor;

class GpuFaces {
 public:
  // What affect.cu says of one face.
  struct Reading {
    std::vector<float> raw_probs, probs;
    gpu::AffectReading affect{};
    float sharpness = 0;
  };

  // All networks must have been opened on the context's stream. Throws DeviceError if this build has no kernels for the device.
  GpuFaces(const GpuContext& context, const FaceDetector& detector, const CropModel* expression, const FaceLandmarks* landmarks,
           const AffectOptions& affect, int max_faces);
  ~GpuFaces();

  // Where the faces are, in pixels of the frame, best first; their crops are under way when this returns. Not for two threads at once, as
  // the other calls.
  std::vector<Detection> detect(const ImageView& image);
  // The picture must be ready for the stream, or have been imported for it, and stay until read() has returned, or, after an error of
  // either, settle().
  std::vector<Detection> detect(const cuda::DeviceImage& image);

  // What the faces of the last detect() express, each smoothed over its track; `tracks` are the ids of their tracks.
  void read(std::span<const int> tracks, std::int64_t stamp_ns, std::vector<Reading>& readings,
            std::vector<std::optional<std::vector<Landmark>>>& landmarks);

  // Waits for the work that an error has left under way, as far as the device can still be waited for.
  void settle() noexcept;

  // Forgets the tracks.
  void reset() { slots_.clear(); }

  const cuda::Stream& stream() const { return context_->stream; }
  // Frames whose detections were worked out on the CPU, since they had more candidates than the kernel takes.
  std::size_t decoded_on_cpu() const { return decoded_on_cpu_; }

 private:
  struct Crop;
  struct Answers;
  struct Slot {
    int index = 0;
    std::uint64_t used = 0;
    bool settled = false;  // the device has this track's state, and not that of another who had the place before
  };
  std::vector<Detection> locate(const cuda::DeviceImage& image);
  std::vector<Detection> decode_on_cpu(const cuda::DeviceImage& image);
  std::vector<Detection> rows_to_detections(std::size_t count) const;
  void cut_crops(const cuda::DeviceImage& image);
  void enqueue_rows_home();
  int slot_of(int track, bool& fresh);
  void enqueue_expressions(std::span<const int> tracks, std::int64_t stamp_ns, Cursor& home, Answers& answers);
  void enqueue_landmarks(Cursor& home, Answers& answers);
  void finish();

  const GpuContext* context_;
  const FaceDetector* detector_;
  const FaceLandmarks* landmark_model_;
  AffectOptions affect_options_;
  std::size_t capacity_, row_values_;
  std::size_t labels_ = 0;

  gpu::ImageToTensor image_to_tensor_;
  cuda::Kernel detection_, sharpness_, align_box_, align_points_, affect_;
  gpu::FrameUpload upload_;
  int whole_width_ = 0, whole_height_ = 0;
  Affine whole_;

  cuda::Buffer tensor_, boxes_, scores_, anchors_, whole_map_, rows_, status_;
  cuda::Buffer sharp_, faces_, ratings_, track_probs_, track_states_, raw_probs_, probs_, readings_;
  cuda::PinnedBuffer home_, sent_;
  cuda::Event located_;
  std::unique_ptr<Binding> detector_binding_;
  std::unique_ptr<Crop> expression_, landmarks_;
  std::size_t probs_output_ = 0;

  std::map<int, Slot> slots_;  // by track
  std::uint64_t frames_ = 0;
  std::size_t found_ = 0, decoded_on_cpu_ = 0;
  bool under_way_ = false;
};

}  // namespace affectrt
