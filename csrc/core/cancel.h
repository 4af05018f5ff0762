// A flag that one thread sets and another polls: how a caller stops a computation that runs without Python's lock.
#pragma once

#include <atomic>

namespace affectrt {

// Neither copied nor moved: others hold its address.
class CancelFlag {
 public:
  CancelFlag() = default;
  CancelFlag(const CancelFlag&) = delete;
  CancelFlag& operator=(const CancelFlag&) = delete;

  void set() noexcept { cancelled_.store(true, std::memory_order_relaxed); }
  void clear() noexcept { cancelled_.store(false, std::memory_order_relaxed); }
  bool is_set() const noexcept { return cancelled_.load(std::memory_order_relaxed); }

 private:
  std::atomic<bool> cancelled_{false};
  static_assert(std::atomic<bool>::is_always_lock_free, "the flag is polled inside a compute loop and must never wait");
};

}  // namespace affectrt

// ggml_abort_callback's signature. `data` is a CancelFlag that outlives every call; the loop that polls this never touches Python.
extern "C" inline bool affectrt_abort(void* data) { return static_cast<const affectrt::CancelFlag*>(data)->is_set(); }
