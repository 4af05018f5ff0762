// Frames from the host to the device without waiting: each upload is copied into a page-locked slot, and from there by the GPU itself.
#pragma once

#include <vector>

#include "affectrt/core/image.h"
#include "affectrt/device/buffer.h"

namespace affectrt::cuda {

class PinnedRing {
 public:
  // `max_slots` frames may be under way; each slot is allocated when it is first needed, with the size of its frame.
  // As it goes, it waits for the copies that are under way.
  explicit PinnedRing(const Device& device, std::size_t max_slots = 4);
  PinnedRing(PinnedRing&&) noexcept = default;
  PinnedRing& operator=(PinnedRing&&) noexcept = default;

  // Puts the copy of `bytes` from ordinary host memory to `to` on the stream; when it returns, `from` is the caller's again. A slot is used
  // again only after its last copy has been done; while none is free, another is added, up to max_slots; then this waits for the oldest.
  // Not for two threads at once, and not while a graph is being captured.
  void upload(DevicePtr to, const void* from, std::size_t bytes, const Stream& stream);
  // The same for rows that lie apart on the host; they lie one after another at `to`.
  void upload_rows(DevicePtr to, const void* from, std::size_t from_row_bytes, Rows rows, const Stream& stream);

  std::size_t slots() const { return slots_.size(); }
  std::size_t bytes() const;                    // of all slots
  std::size_t waits() const { return waits_; }  // uploads that had to wait for a slot

 private:
  struct Slot {
    PinnedBuffer buffer;
    Event copied;
    bool pending = false;
    std::uint64_t used = 0;  // the upload that used it last
  };
  Slot& take(std::size_t bytes);
  void send(Slot& slot, DevicePtr to, std::size_t bytes, const Stream& stream);

  std::shared_ptr<const Context> context_;
  std::size_t max_slots_;
  std::uint64_t uploads_ = 0;
  std::size_t waits_ = 0;
  std::vector<Slot> slots_;
};

static_assert(kMoveOnly<PinnedRing>);

}  // namespace affectrt::cuda
