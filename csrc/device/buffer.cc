#include "affectrt/device/buffer.h"

#include <stdexcept>

namespace affectrt::cuda {
namespace {

void wait_for_device(const Context& context) noexcept {
  const capture::Pause pause;
  const ContextGuard guard(context, std::nothrow);
  context.driver().cuCtxSynchronize();
}

std::string copy_text(const char* what, std::size_t bytes) { return std::string(what) + " of " + std::to_string(bytes) + " bytes"; }

void copy_rows(Copy2d copy, const char* what, Rows rows, const Stream& stream) {
  if (rows.width_bytes > copy.from_pitch || rows.width_bytes > copy.to_pitch)
    throw std::invalid_argument(std::string(what) + ": expected rows at least " + std::to_string(rows.width_bytes) + " bytes apart, got " +
                                std::to_string(copy.from_pitch) + " at the source and " + std::to_string(copy.to_pitch) + " at the target");
  if (rows.width_bytes == 0 || rows.height == 0) return;
  copy.width_bytes = rows.width_bytes;
  copy.height = rows.height;
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(),
                     std::string(what) + " of " + std::to_string(rows.height) + " rows of " + std::to_string(rows.width_bytes) + " bytes",
                     cuMemcpy2DAsync_v2, &copy, stream.handle());
}

}  // namespace

void Buffer::reserve(std::size_t wanted) {
  if (wanted <= bytes()) return;
  const capture::Pause pause;
  const ContextGuard guard(*context_);
  DevicePtr data = 0;
  AFFECTRT_CUDA_CALL(context_->driver(), "device buffer of " + std::to_string(wanted) + " bytes", cuMemAlloc_v2, &data, wanted);
  owned_ = {context_, data};
  bytes_ = wanted;
}

PinnedBuffer::~PinnedBuffer() {
  if (owned_.get()) wait_for_device(*context_);
}

PinnedBuffer& PinnedBuffer::operator=(PinnedBuffer&& other) noexcept {
  if (this != &other) {
    if (owned_.get()) wait_for_device(*context_);
    context_ = std::move(other.context_);
    owned_ = std::move(other.owned_);
    bytes_ = other.bytes_;
  }
  return *this;
}

void PinnedBuffer::reserve(std::size_t wanted) {
  if (wanted <= bytes()) return;
  const capture::Pause pause;
  const ContextGuard guard(*context_);
  void* data = nullptr;
  AFFECTRT_CUDA_CALL(context_->driver(), "page-locked buffer of " + std::to_string(wanted) + " bytes", cuMemHostAlloc, &data, wanted,
                     kHostAllocPortable);
  owned_ = {context_, data};
  bytes_ = wanted;
}

RegisteredMemory::RegisteredMemory(const Device& device, void* data, std::size_t bytes) {
  const capture::Pause pause;
  const ContextGuard guard(device);
  AFFECTRT_CUDA_CALL(device.context()->driver(), "page-locking " + std::to_string(bytes) + " bytes", cuMemHostRegister_v2, data, bytes,
                     kHostRegisterPortable);
  owned_ = {device.context(), data};
}

RegisteredMemory::~RegisteredMemory() {
  if (owned_.get()) wait_for_device(owned_.context());
}

RegisteredMemory& RegisteredMemory::operator=(RegisteredMemory&& other) noexcept {
  if (this != &other) {
    if (owned_.get()) wait_for_device(owned_.context());
    owned_ = std::move(other.owned_);
  }
  return *this;
}

void copy_to_device(DevicePtr to, const void* from, std::size_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(), copy_text("copy to the device", bytes), cuMemcpyHtoDAsync_v2, to, from, bytes, stream.handle());
}

void copy_to_host(void* to, DevicePtr from, std::size_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(), copy_text("copy to the host", bytes), cuMemcpyDtoHAsync_v2, to, from, bytes, stream.handle());
}

void copy_on_device(DevicePtr to, DevicePtr from, std::size_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(), copy_text("copy on the device", bytes), cuMemcpyDtoDAsync_v2, to, from, bytes, stream.handle());
}

void fill(DevicePtr to, unsigned char value, std::size_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(), copy_text("filling", bytes), cuMemsetD8Async, to, value, bytes, stream.handle());
}

void copy_rows_to_device(DevicePtr to, std::size_t to_row_bytes, const void* from, std::size_t from_row_bytes, Rows rows,
                         const Stream& stream) {
  Copy2d copy;
  copy.from_type = kMemoryHost;
  copy.from_host = from;
  copy.from_pitch = from_row_bytes;
  copy.to_type = kMemoryDevice;
  copy.to_device = to;
  copy.to_pitch = to_row_bytes;
  copy_rows(copy, "copy to the device", rows, stream);
}

void copy_rows_to_host(void* to, std::size_t to_row_bytes, DevicePtr from, std::size_t from_row_bytes, Rows rows, const Stream& stream) {
  Copy2d copy;
  copy.from_type = kMemoryDevice;
  copy.from_device = from;
  copy.from_pitch = from_row_bytes;
  copy.to_type = kMemoryHost;
  copy.to_host = to;
  copy.to_pitch = to_row_bytes;
  copy_rows(copy, "copy to the host", rows, stream);
}

}  // namespace affectrt::cuda
