#include "affectrt/core/worker.h"

#include <unistd.h>

#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <utility>

#include "affectrt/core/error.h"

namespace affectrt {

struct Worker::State {
  const pid_t process = getpid();
  std::mutex callers;  // one call at a time
  std::mutex mutex;    // of what follows
  std::condition_variable changed;
  const std::function<void()>* work = nullptr;
  std::exception_ptr error;
  bool ending = false;
  std::thread thread;

  void serve() {
    std::unique_lock lock(mutex);
    for (;;) {
      changed.wait(lock, [this] { return work || ending; });
      if (!work) return;
      lock.unlock();
      try {
        (*work)();
      } catch (...) {
        error = std::current_exception();
      }
      lock.lock();
      work = nullptr;
      changed.notify_all();
    }
  }
};

Worker::Worker() : state_(std::make_unique<State>()) {
  state_->thread = std::thread([state = state_.get()] { state->serve(); });
}

Worker::~Worker() {
  if (state_->process != getpid()) {
    static_cast<void>(state_.release());  // a thread that is not there can neither end nor let go of what it waits on
    return;
  }
  {
    const std::lock_guard lock(state_->mutex);
    state_->ending = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void Worker::call(const std::function<void()>& work) {
  State& state = *state_;
  if (state.process != getpid())
    throw DeviceError(
        "opened before a fork(), whose child can use neither its thread nor the GPU; open it in the child, or start processes by spawn");
  const std::lock_guard one(state.callers);
  std::unique_lock lock(state.mutex);
  state.work = &work;
  state.changed.notify_all();
  state.changed.wait(lock, [&state] { return !state.work; });
  if (state.error) std::rethrow_exception(std::exchange(state.error, nullptr));
}

}  // namespace affectrt
