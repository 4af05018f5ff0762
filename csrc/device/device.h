// A GPU: what it is, and its primary context, which ONNX Runtime, PyTorch and CuPy in the same process share.
//
// Rules of all types in this folder: each owns one thing, is move-only, holds the context as long as it lives, and may be destroyed on any
// thread; a destructor never throws. Whatever needs the context makes it current for itself, so a ContextGuard is only for calls of other
// libraries. A method that throws (CudaError, a DeviceError) has changed nothing. An object that was moved from may only be destroyed or
// assigned to.
#pragma once

#include <memory>
#include <new>
#include <string>
#include <vector>

#include "affectrt/core/capture.h"
#include "affectrt/device/driver.h"

namespace affectrt::cuda {

struct DeviceInfo {
  int ordinal = 0;
  std::string name;
  int sm = 0;  // 10 * major + minor of the compute capability
  std::size_t memory_bytes = 0;
  int multiprocessors = 0;
  bool integrated = false;  // shares its memory with the CPU, as a Jetson's does
  int driver_version = 0;   // 1000 * major + 10 * minor
};

// Retains a primary context, and releases it with the last owner.
class Context {
 public:
  explicit Context(int ordinal);
  ~Context();
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;

  const Driver& driver() const { return *driver_; }
  ContextHandle handle() const { return handle_; }
  const DeviceInfo& info() const { return info_; }

 private:
  const Driver* driver_;
  DeviceInfo info_;
  int device_ = 0;  // the driver's number for it
  ContextHandle handle_ = nullptr;
};

// All GPUs that the driver shows; retains none. Throws DeviceError.
std::vector<DeviceInfo> devices();

class Device {
 public:
  // "cuda" (the first) or "cuda:N". Throws std::invalid_argument for another name, DeviceError where there is no such GPU.
  static Device open(const std::string& name);
  explicit Device(int ordinal);

  Device(Device&&) noexcept = default;
  Device& operator=(Device&&) noexcept = default;

  const DeviceInfo& info() const { return context_->info(); }
  std::string name() const { return "cuda:" + std::to_string(info().ordinal); }
  const std::shared_ptr<const Context>& context() const { return context_; }

 private:
  std::shared_ptr<const Context> context_;
};

// Makes the context current on this thread for the guard's life. Costs one cheap call where it is current already.
class ContextGuard {
 public:
  explicit ContextGuard(const Context& context);
  explicit ContextGuard(const Device& device) : ContextGuard(*device.context()) {}
  // For destructors: does not throw; ok() tells whether the context is current.
  ContextGuard(const Context& context, std::nothrow_t) noexcept;
  ~ContextGuard();
  ContextGuard(ContextGuard&& other) noexcept : context_(other.context_), pushed_(other.pushed_), ok_(other.ok_) { other.pushed_ = false; }
  ContextGuard& operator=(ContextGuard&&) = delete;

  bool ok() const { return ok_; }

 private:
  const Context* context_;
  bool pushed_ = false;
  bool ok_ = false;
};

// Lets this thread wait for streams and events, and ask about them, while another captures a graph in CUDA's global mode, as ONNX Runtime
// does: by its default mode the thread would be refused, and break the capture. What captures collide with in any mode is behind a
// capture::Pause.
class RelaxedCapture {
 public:
  explicit RelaxedCapture(const Driver& driver) : driver_(&driver) {
    AFFECTRT_CUDA_CALL(driver, "capture mode of this thread", cuThreadExchangeStreamCaptureMode, &mode_);
  }
  ~RelaxedCapture() { driver_->cuThreadExchangeStreamCaptureMode(&mode_); }
  RelaxedCapture(const RelaxedCapture&) = delete;
  RelaxedCapture& operator=(const RelaxedCapture&) = delete;

 private:
  const Driver* driver_;
  int mode_ = kCaptureRelaxed;
};

// Position of a device name: 0 of "cuda", N of "cuda:N". Throws std::invalid_argument for another name.
int ordinal_of(const std::string& name);

}  // namespace affectrt::cuda
