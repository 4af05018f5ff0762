// Camera memory that comes as a dma-buf file descriptor (NVMM on a Jetson: the fd of an NvBufSurface), mapped for the GPU without a copy.
// Compiled with -DAFFECTRT_NVMM=ON only. Only linear (pitch) buffers have pixels where a kernel expects them; a block-linear one must be
// converted first, by nvvidconv for instance. Tried against the fake driver alone: no Jetson has run it.
#pragma once

#include "affectrt/device/import.h"

namespace affectrt::cuda {

struct DmaBufPlane {
  std::size_t offset_bytes = 0, row_bytes = 0;
};

struct DmaBufImage {
  int fd = -1;                 // stays the caller's: a duplicate is handed to the driver
  std::size_t size_bytes = 0;  // of the whole buffer
  int width = 0, height = 0;   // pixels
  PixelFormat format = PixelFormat::kNv12;
  DmaBufPlane pixels, uv;  // uv: Nv12 only
};

// The producer must have finished writing. Throws std::invalid_argument for planes that lie outside the buffer, DeviceError if the driver
// refuses it.
DeviceImage import_dmabuf(const Device& device, const DmaBufImage& image);

}  // namespace affectrt::cuda
