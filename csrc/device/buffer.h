// Memory of the device, page-locked memory of the host, and the copies between them. A copy is put on a stream and returns at once: both
// sides must live, and the source stay as it is, until the stream has done it.
#pragma once

#include <cstddef>

#include "affectrt/device/handle.h"
#include "affectrt/device/stream.h"

namespace affectrt::cuda {

// Device memory that grows and never shrinks, so that a loop over frames allocates in its first round only. Aligned to 256 bytes.
class Buffer {
 public:
  explicit Buffer(const Device& device) : context_(device.context()) {}
  Buffer(const Device& device, std::size_t bytes) : Buffer(device) { reserve(bytes); }
  Buffer(Buffer&&) noexcept = default;
  Buffer& operator=(Buffer&&) noexcept = default;

  // At least `bytes`; the content is lost where that takes new memory, and pointers of before go stale. The driver waits for pending work
  // before it frees the old. Not while a graph is being captured.
  void reserve(std::size_t bytes);

  DevicePtr data() const { return owned_.get(); }
  std::size_t bytes() const { return owned_.get() ? bytes_ : 0; }

 private:
  std::shared_ptr<const Context> context_;
  Owned<DevicePtr, &Driver::cuMemFree_v2> owned_;
  std::size_t bytes_ = 0;
};

// Page-locked memory of the host: the GPU copies from and to it by itself. Its destructor waits for the whole device, so that memory which
// goes while an error unwinds the stack is under nobody's hands.
class PinnedBuffer {
 public:
  explicit PinnedBuffer(const Device& device) : context_(device.context()) {}
  explicit PinnedBuffer(std::shared_ptr<const Context> context) : context_(std::move(context)) {}
  PinnedBuffer(const Device& device, std::size_t bytes) : PinnedBuffer(device) { reserve(bytes); }
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer&&) noexcept = default;
  PinnedBuffer& operator=(PinnedBuffer&& other) noexcept;

  // As Buffer::reserve, but nothing waits: the caller sees to it that no copy from or to the old memory is pending.
  void reserve(std::size_t bytes);

  std::byte* data() const { return static_cast<std::byte*>(owned_.get()); }
  std::size_t bytes() const { return owned_.get() ? bytes_ : 0; }

 private:
  std::shared_ptr<const Context> context_;
  Owned<void*, &Driver::cuMemFreeHost> owned_;
  std::size_t bytes_ = 0;
};

// Page-locks memory that somebody else owns, for as long as this lives. Its destructor waits as PinnedBuffer's does.
class RegisteredMemory {
 public:
  RegisteredMemory(const Device& device, void* data, std::size_t bytes);
  ~RegisteredMemory();
  RegisteredMemory(RegisteredMemory&&) noexcept = default;
  RegisteredMemory& operator=(RegisteredMemory&& other) noexcept;

 private:
  Owned<void*, &Driver::cuMemHostUnregister> owned_;
};

void copy_to_device(DevicePtr to, const void* from, std::size_t bytes, const Stream& stream);
void copy_to_host(void* to, DevicePtr from, std::size_t bytes, const Stream& stream);
void copy_on_device(DevicePtr to, DevicePtr from, std::size_t bytes, const Stream& stream);
void fill(DevicePtr to, unsigned char value, std::size_t bytes, const Stream& stream);

// Rows of `width_bytes`, which lie `row_bytes` apart on either side. Throws std::invalid_argument if a row is wider than its distance.
struct Rows {
  std::size_t width_bytes = 0, height = 0;
};
void copy_rows_to_device(DevicePtr to, std::size_t to_row_bytes, const void* from, std::size_t from_row_bytes, Rows rows,
                         const Stream& stream);
void copy_rows_to_host(void* to, std::size_t to_row_bytes, DevicePtr from, std::size_t from_row_bytes, Rows rows, const Stream& stream);

static_assert(kMoveOnly<Buffer> && kMoveOnly<PinnedBuffer> && kMoveOnly<RegisteredMemory>);

}  // namespace affectrt::cuda
