#include "affectrt/device/graph.h"

namespace affectrt::cuda {
namespace {

using OwnedGraph = Owned<GraphHandle, &Driver::cuGraphDestroy>;

// Ends a capture that failed, so that the stream can be used again.
void abandon(const Stream& stream) noexcept {
  GraphHandle graph = nullptr;
  stream.driver().cuStreamEndCapture(stream.handle(), &graph);
  if (graph) stream.driver().cuGraphDestroy(graph);
}

}  // namespace

Graph Graph::capture(const Stream& stream, const std::function<void()>& work) {
  const Driver& driver = stream.driver();
  const ContextGuard guard(*stream.context());
  // Of this thread alone: others may go on allocating.
  AFFECTRT_CUDA_CALL(driver, "capture of a graph", cuStreamBeginCapture_v2, stream.handle(), kCaptureThreadLocal);
  try {
    work();
  } catch (...) {
    abandon(stream);
    throw;
  }
  GraphHandle handle = nullptr;
  const Result ended = driver.cuStreamEndCapture(stream.handle(), &handle);
  const OwnedGraph graph(stream.context(), handle);
  driver.check(ended, "cuStreamEndCapture", "capture of a graph");
  GraphExecHandle exec = nullptr;
  AFFECTRT_CUDA_CALL(driver, "captured graph", cuGraphInstantiateWithFlags, &exec, graph.get(), 0);
  return Graph(OwnedExec(stream.context(), exec));
}

void Graph::launch(const Stream& stream) const {
  const ContextGuard guard(*stream.context());
  AFFECTRT_CUDA_CALL(stream.driver(), "launch of a graph", cuGraphLaunch, exec_.get(), stream.handle());
}

}  // namespace affectrt::cuda
