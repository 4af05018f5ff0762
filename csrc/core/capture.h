// Who may use the GPU while a CUDA graph is captured. ONNX Runtime captures in CUDA's global mode: until the capture ends, every thread of
// the process that allocates or frees memory of a GPU, loads a module, waits for a device or opens a session is refused, and breaks the
// capture as well. So captures have a turn of their own: what they would collide with waits for the end of one, and a capture that finds
// such work under way does without its graph for now, instead of making anybody wait for minutes. A thread that holds either may ask again.
#pragma once

#include <shared_mutex>

namespace affectrt::capture {

namespace detail {

inline std::shared_mutex& mutex() {
  static auto* instance = new std::shared_mutex;  // never destroyed: destructors of other statics may still ask for it
  return *instance;
}
inline thread_local int held = 0;

}  // namespace detail

// While it lives no capture is under way. Waits for the end of one.
class Pause {
 public:
  Pause() {
    if (detail::held == 0) detail::mutex().lock_shared();
    ++detail::held;
  }
  ~Pause() {
    if (--detail::held == 0) detail::mutex().unlock_shared();
  }
  Pause(const Pause&) = delete;
  Pause& operator=(const Pause&) = delete;
};

// The turn to capture, unless somebody holds a Pause or another turn just now. Never waits.
class Turn {
 public:
  Turn() : taken_(detail::held == 0 && detail::mutex().try_lock()) { detail::held += taken_; }
  ~Turn() {
    if (!taken_) return;
    --detail::held;
    detail::mutex().unlock();
  }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;

  bool taken() const { return taken_; }

 private:
  bool taken_;
};

}  // namespace affectrt::capture
