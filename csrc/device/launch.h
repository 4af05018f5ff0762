// Launches of kernels that take one plain struct by value.
#pragma once

#include <type_traits>

#include "affectrt/device/module.h"
#include "affectrt/device/stream.h"

namespace affectrt::cuda {

struct Dim {
  unsigned x = 1, y = 1, z = 1;
};

struct LaunchShape {
  Dim grid, block;
  unsigned shared_bytes = 0;  // dynamic, beside what the kernel declares
};

// Blocks that cover `count` with `per_block` each.
constexpr unsigned blocks_for(std::size_t count, unsigned per_block) { return static_cast<unsigned>((count + per_block - 1) / per_block); }

// Throws std::invalid_argument for an empty or too large grid or block, CudaError naming op, kernel, grid and block.
void launch_bytes(const Kernel& kernel, const LaunchShape& shape, const Stream& stream, const void* parameters, std::size_t bytes);

// On a stream that another library made for the kernel's device; 0 is the legacy default stream.
void launch_bytes(const Kernel& kernel, const LaunchShape& shape, StreamHandle stream, const void* parameters, std::size_t bytes);

// `parameters` is copied when this returns.
template <class Parameters, class OnStream>
void launch(const Kernel& kernel, const LaunchShape& shape, const OnStream& stream, const Parameters& parameters) {
  static_assert(std::is_trivially_copyable_v<Parameters> && std::is_standard_layout_v<Parameters>, "a plain struct, as the kernel sees it");
  static_assert(sizeof(Parameters) <= 4096, "more than a kernel takes by value on every architecture");
  launch_bytes(kernel, shape, stream, &parameters, sizeof parameters);
}

}  // namespace affectrt::cuda
