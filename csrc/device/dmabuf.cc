#include "affectrt/device/dmabuf.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <stdexcept>

namespace affectrt::cuda {
namespace {

constexpr int kDmaBufSince = 13000;  // older drivers take the descriptor as an opaque one

// Lives as long as the picture: first the mapping goes, then the memory object.
struct Mapping {
  Owned<ExternalMemoryHandle, &Driver::cuDestroyExternalMemory> memory;
  Owned<DevicePtr, &Driver::cuMemFree_v2> data;
};

void check_plane(const DmaBufImage& image, const char* name, const DmaBufPlane& plane, std::size_t row_bytes, std::size_t rows) {
  const bool apart = plane.row_bytes >= row_bytes;
  // Written so that nothing overflows: offset + (rows - 1) * pitch + row <= size.
  const bool inside = apart && plane.offset_bytes <= image.size_bytes && row_bytes <= image.size_bytes - plane.offset_bytes &&
                      (rows == 1 || (image.size_bytes - plane.offset_bytes - row_bytes) / (rows - 1) >= plane.row_bytes);
  if (!inside)
    throw std::invalid_argument(std::string("dma-buf: expected the ") + name + " plane, " + std::to_string(rows) + " rows of " +
                                std::to_string(row_bytes) + " bytes, inside " + std::to_string(image.size_bytes) + " bytes, got offset " +
                                std::to_string(plane.offset_bytes) + " and rows " + std::to_string(plane.row_bytes) + " bytes apart");
}

}  // namespace

DeviceImage import_dmabuf(const Device& device, const DmaBufImage& image) {
  if (image.width < 1 || image.height < 1 || image.width > kMaxImageSide || image.height > kMaxImageSide)
    throw std::invalid_argument("dma-buf: expected 1 to " + std::to_string(kMaxImageSide) + " px a side, got " +
                                std::to_string(image.width) + " x " + std::to_string(image.height));
  const bool nv12 = image.format == PixelFormat::kNv12;
  if (((nv12 || image.format == PixelFormat::kYuv422Yuy2) && image.width % 2) || (nv12 && image.height % 2))
    throw std::invalid_argument("dma-buf: expected even sides for this format, got " + std::to_string(image.width) + " x " +
                                std::to_string(image.height));
  const auto width = static_cast<std::size_t>(image.width), height = static_cast<std::size_t>(image.height);
  check_plane(image, "pixel", image.pixels, width * static_cast<std::size_t>(bytes_per_pixel(image.format)), height);
  if (nv12) check_plane(image, "UV", image.uv, width, height / 2);

  const Driver& driver = device.context()->driver();
  const capture::Pause pause;
  const ContextGuard guard(device);
  ExternalMemoryDesc desc;
  desc.type = driver.version() >= kDmaBufSince ? kExternalDmaBufFd : kExternalOpaqueFd;
  desc.handle.fd = ::fcntl(image.fd, F_DUPFD_CLOEXEC, 0);  // the driver owns the one that it imports
  if (desc.handle.fd < 0) throw std::invalid_argument("dma-buf: file descriptor " + std::to_string(image.fd) + ": " + std::strerror(errno));
  desc.size = image.size_bytes;
  const std::string purpose = "dma-buf of " + std::to_string(image.size_bytes) + " bytes";

  auto mapping = std::make_shared<Mapping>();
  ExternalMemoryHandle memory = nullptr;
  if (const Result result = driver.cuImportExternalMemory(&memory, &desc); result != kSuccess) {
    ::close(desc.handle.fd);
    driver.check(result, "cuImportExternalMemory", purpose);
  }
  mapping->memory = {device.context(), memory};
  ExternalBufferDesc whole;
  whole.size = image.size_bytes;
  DevicePtr data = 0;
  AFFECTRT_CUDA_CALL(driver, purpose, cuExternalMemoryGetMappedBuffer, &data, memory, &whole);
  mapping->data = {device.context(), data};

  DeviceImage result;
  result.data = data + image.pixels.offset_bytes;
  result.width = image.width;
  result.height = image.height;
  result.row_bytes = image.pixels.row_bytes;
  result.format = image.format;
  if (nv12) {
    result.uv = data + image.uv.offset_bytes;
    result.uv_row_bytes = image.uv.row_bytes;
  }
  result.owner = std::move(mapping);
  return result;
}

}  // namespace affectrt::cuda
