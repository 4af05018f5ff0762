// Beside the capture of a graph by another library, and the thread that a pipeline runs its networks on.
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "affectrt/core/capture.h"
#include "affectrt/core/error.h"
#include "affectrt/core/worker.h"
#include "affectrt/device/module.h"
#include "affectrt/device/pinned_ring.h"
#include "harness.h"

using namespace affectrt;
using namespace affectrt::cuda;
using harness::expect;
using harness::Failure;
using harness::fake;

SCENARIO(waits_and_questions_leave_a_capture_whole) {
  const Device device(0);
  const Stream stream(device), captured(device);
  const Buffer target(device, 64);
  Event event(device);
  PinnedRing ring(device, 1);
  const std::vector<unsigned char> frame(64, 3);
  ring.upload(target.data(), frame.data(), 64, stream);
  CHECK(fake().begin_capture(captured.handle()) == kSuccess);
  ring.upload(target.data(), frame.data(), 64, stream);  // asks whether the slot is free, and waits for it
  event.record(stream);
  static_cast<void>(event.done());
  event.synchronize();
  static_cast<void>(stream.done());
  stream.synchronize();
  CHECK(fake().end_capture(captured.handle()) == kSuccess);
}

SCENARIO(memory_and_modules_wait_for_the_end_of_a_capture) {
  const Device device(0);
  const Stream captured(device);
  std::atomic<bool> done{false};
  std::thread other;
  {
    const capture::Turn turn;
    CHECK(turn.taken());
    CHECK(fake().begin_capture(captured.handle()) == kSuccess);
    other = std::thread([&] {
      const Buffer buffer(device, 64);
      const PinnedBuffer pinned(device, 64);
      std::vector<unsigned char> ordinary(4096);
      const RegisteredMemory registered(device, ordinary.data(), ordinary.size());
      const Module module(device, "setting", {reinterpret_cast<const std::byte*>("any image"), 10});
      done = true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    CHECK(!done);
    CHECK(fake().end_capture(captured.handle()) == kSuccess);
  }
  other.join();
  CHECK(done);
}

SCENARIO(a_turn_is_for_one_and_never_waits) {
  const auto elsewhere = [] {
    bool taken = false;
    std::thread([&] { taken = capture::Turn().taken(); }).join();
    return taken;
  };
  CHECK(elsewhere());
  {
    const capture::Pause pause, again;  // a thread may ask twice
    CHECK(!capture::Turn().taken());
    CHECK(!elsewhere());
  }
  {
    const capture::Turn turn;
    CHECK(turn.taken() && !elsewhere() && !capture::Turn().taken());
    const capture::Pause inside;
    CHECK(!elsewhere());
  }
  CHECK(elsewhere());
}

SCENARIO(a_worker_is_one_thread_for_all_callers) {
  Worker worker;
  std::atomic<int> inside{0}, calls{0};
  std::atomic<bool> overlapped{false};
  std::thread::id first;
  worker.call([&] { first = std::this_thread::get_id(); });
  CHECK(first != std::this_thread::get_id());
  std::vector<std::thread> callers;
  for (int i = 0; i < 4; ++i)
    callers.emplace_back([&] {
      for (int k = 0; k < 200; ++k)
        worker.call([&] {
          overlapped = overlapped || ++inside != 1 || std::this_thread::get_id() != first;
          ++calls;
          --inside;
        });
    });
  for (auto& caller : callers) caller.join();
  CHECK(calls == 800 && !overlapped);
}

SCENARIO(what_the_work_throws_comes_to_its_caller) {
  Worker worker;
  for (int i = 0; i < 2; ++i) {
    expect<EngineError>([&] { worker.call([] { throw EngineError("the first of its kind"); }); }, {"the first of its kind"});
    int done = 0;
    worker.call([&] { ++done; });
    CHECK(done == 1);
  }
}

SCENARIO(a_worker_in_the_child_of_a_fork_says_so) {
  auto worker = std::make_unique<Worker>();
  worker->call([] {});  // its thread has started: the child would wait for ever for what AddressSanitizer locks meanwhile
  const pid_t child = fork();
  if (child == 0) {
    bool said = false;
    try {
      worker->call([] {});
    } catch (const DeviceError& error) {
      said = std::string(error.what()).find("before a fork()") != std::string::npos;
    }
    worker.reset();
    _exit(said ? 0 : 1);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  worker->call([] {});
}
