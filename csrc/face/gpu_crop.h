// What gpu_faces.cc and gpu_read.cc share: a network over crops, and the buffer that the device copies to.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>
#include <vector>

#include "affectrt/device/buffer.h"
#include "affectrt/face/gpu_faces.h"
#include "affectrt/gpu/pointer.h"

namespace affectrt {

// Tracks whose smoothed state is kept, in parts of the faces that a frame may have. One more pushes out the one seen longest ago, which
// starts anew if it comes back.
inline constexpr std::size_t kTracksAFace = 4;

// A slot of a host buffer that the device copies to, in the order in which they are taken.
struct Cursor {
  std::byte* at;
  template <class T>
  T* take(std::size_t count) {
    T* result = reinterpret_cast<T*>(at);
    at += (count * sizeof(T) + 15) / 16 * 16;
    return result;
  }
};

// A network that looks at crops: where they lie, what it is fed, what it answers. Its batches are bound once for each number of faces.
struct GpuFaces::Crop {
  Crop(const GpuContext& context, const CropModel& of, std::size_t capacity)
      : model(&of),
        regions(context.device, capacity * 6 * sizeof(float)),
        input(context.device, capacity * of.target().size() * sizeof(float)) {
    for (std::size_t i = 0; i < of.engine().outputs().size(); ++i)
      outputs.emplace_back(context.device, capacity * of.values_of(i) * sizeof(float));
  }

  // Puts the work for the first `count` faces on the stream.
  void run(std::size_t count) {
    const std::size_t batch = model->largest_batch();
    for (std::size_t first = 0; first < count; first += batch) {
      const std::size_t here = std::min(batch, count - first);
      const auto [at, added] = bound.try_emplace({first, here}, model->engine());
      // Addresses and shapes of one of these never change, so each may be one graph.
      if (added) bind(at->second, first, here);
      at->second.run(static_cast<int>(first * batch + here));
    }
  }

  void bind(Binding& binding, std::size_t first, std::size_t count) const {
    const std::size_t size = model->target().size();
    binding.bind_input(model->input_index(), gpu::pointer<void>(input.data() + first * size * sizeof(float)), count * size * sizeof(float),
                       model->input_shape(count), Memory::kGpu);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      const std::size_t values = model->values_of(i);
      binding.bind_output(i, gpu::pointer<void>(outputs[i].data() + first * values * sizeof(float)), count * values * sizeof(float),
                          model->output_shape(i, count), Memory::kGpu);
    }
  }

  const CropModel* model;
  cuda::Buffer regions, input;
  std::vector<cuda::Buffer> outputs;
  std::map<std::pair<std::size_t, std::size_t>, Binding> bound;  // by first face and number of faces
};

}  // namespace affectrt
