// Compiled kernels on a device.
#pragma once

#include <span>
#include <string>

#include "affectrt/device/handle.h"
#include "affectrt/device/kernel_images.h"

namespace affectrt::cuda {

// One kernel. Keeps its module loaded.
class Kernel {
 public:
  Kernel(Kernel&&) noexcept = default;
  Kernel& operator=(Kernel&&) noexcept = default;

  FunctionHandle handle() const { return handle_; }
  const std::string& op() const { return op_; }
  const std::string& name() const { return name_; }
  unsigned max_threads() const { return max_threads_; }  // per block, as compiled
  const Context& context() const { return module_->context(); }

 private:
  friend class Module;
  using OwnedModule = Owned<ModuleHandle, &Driver::cuModuleUnload>;
  Kernel() = default;

  std::shared_ptr<const OwnedModule> module_;
  FunctionHandle handle_ = nullptr;
  std::string op_, name_;
  unsigned max_threads_ = 0;
};

class Module {
 public:
  // The kernels of csrc/ops/OP.cu. Throws DeviceError naming the op, the architecture and the driver where this build has none that fit.
  Module(const Device& device, std::string op);
  // Any image that cuModuleLoadData takes; PTX text ends with a zero byte.
  Module(const Device& device, std::string op, std::span<const std::byte> image);
  Module(Module&&) noexcept = default;
  Module& operator=(Module&&) noexcept = default;

  // By the name in the source (extern "C"). Throws CudaError naming the op and the kernel if it is not there.
  Kernel kernel(const std::string& name) const;

 private:
  std::string op_;
  std::shared_ptr<const Kernel::OwnedModule> module_;
};

static_assert(kMoveOnly<Kernel> && kMoveOnly<Module>);

}  // namespace affectrt::cuda
