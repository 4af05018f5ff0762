// A CUDA graph: work captured once and launched again as a whole, with the pointers and sizes that it had.
#pragma once

#include <functional>

#include "affectrt/device/stream.h"

namespace affectrt::cuda {

class Graph {
 public:
  // Runs `work`, which puts its work on the stream; nothing of it runs yet. It must not allocate, free, load a module or synchronise on
  // this thread. Throws what `work` throws, or CudaError; the stream is out of capture and usable in either case. There is no fallback
  // here: whoever can do without a graph catches the error, and says so.
  static Graph capture(const Stream& stream, const std::function<void()>& work);

  void launch(const Stream& stream) const;

 private:
  using OwnedExec = Owned<GraphExecHandle, &Driver::cuGraphExecDestroy>;
  explicit Graph(OwnedExec exec) noexcept : exec_(std::move(exec)) {}

  OwnedExec exec_;
};

static_assert(kMoveOnly<Graph>);

}  // namespace affectrt::cuda
