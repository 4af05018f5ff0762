// A thread for work that must always be done by the same one, since a library keeps state for each thread that calls it.
#pragma once

#include <functional>
#include <memory>

namespace affectrt {

class Worker {
 public:
  Worker();
  // Waits for the call that is under way; there must be no other.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  // Has `work` done by the thread, waits for it and throws what it throws. Calls come one after another. Throws DeviceError in the child of
  // a fork(), where the thread does not exist.
  void call(const std::function<void()>& work);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace affectrt
