#include "affectrt/device/pinned_ring.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace affectrt::cuda {

PinnedRing::PinnedRing(const Device& device, std::size_t max_slots) : context_(device.context()), max_slots_(max_slots) {
  if (max_slots == 0) throw std::invalid_argument("max_slots: expected at least 1, got 0");
  slots_.reserve(max_slots);
}

std::size_t PinnedRing::bytes() const {
  std::size_t sum = 0;
  for (const Slot& slot : slots_) sum += slot.buffer.bytes();
  return sum;
}

PinnedRing::Slot& PinnedRing::take(std::size_t bytes) {
  const auto longest_ago = [](const Slot& a, const Slot& b) { return a.used < b.used; };
  std::sort(slots_.begin(), slots_.end(), longest_ago);
  auto free = std::find_if(slots_.begin(), slots_.end(), [](Slot& slot) {
    if (slot.pending && slot.copied.done()) slot.pending = false;
    return !slot.pending;
  });
  if (free == slots_.end() && slots_.size() < max_slots_) {
    Slot slot{PinnedBuffer(context_), Event(context_)};
    slot.buffer.reserve(bytes);
    slots_.push_back(std::move(slot));
    return slots_.back();
  }
  if (free == slots_.end()) {
    free = slots_.begin();
    free->copied.synchronize();
    free->pending = false;
    ++waits_;
  }
  free->buffer.reserve(bytes);
  return *free;
}

void PinnedRing::send(Slot& slot, DevicePtr to, std::size_t bytes, const Stream& stream) {
  copy_to_device(to, slot.buffer.data(), bytes, stream);
  slot.used = ++uploads_;
  try {
    slot.copied.record(stream);
  } catch (const CudaError&) {
    // The copy is under way, and without its event nothing tells when it is done.
    stream.driver().cuStreamSynchronize(stream.handle());
    throw;
  }
  slot.pending = true;
}

void PinnedRing::upload(DevicePtr to, const void* from, std::size_t bytes, const Stream& stream) {
  if (bytes == 0) return;
  const ContextGuard guard(*context_);  // for all that follows, also where something of it fails
  Slot& slot = take(bytes);
  std::memcpy(slot.buffer.data(), from, bytes);
  send(slot, to, bytes, stream);
}

void PinnedRing::upload_rows(DevicePtr to, const void* from, std::size_t from_row_bytes, Rows rows, const Stream& stream) {
  if (rows.width_bytes > from_row_bytes)
    throw std::invalid_argument("upload: expected rows at least " + std::to_string(rows.width_bytes) + " bytes apart, got " +
                                std::to_string(from_row_bytes));
  const std::size_t bytes = rows.width_bytes * rows.height;
  if (bytes == 0) return;
  const ContextGuard guard(*context_);  // for all that follows, also where something of it fails
  Slot& slot = take(bytes);
  const auto* source = static_cast<const std::byte*>(from);
  for (std::size_t y = 0; y < rows.height; ++y)
    std::memcpy(slot.buffer.data() + y * rows.width_bytes, source + y * from_row_bytes, rows.width_bytes);
  send(slot, to, bytes, stream);
}

}  // namespace affectrt::cuda
