#include "affectrt/device/module.h"

#include <stdexcept>

#include "affectrt/device/launch.h"

namespace affectrt::cuda {
namespace {

std::span<const std::byte> image_for(const Device& device, const std::string& op) {
  const DeviceInfo& info = device.info();
  const auto image = kernel_image(op, info.sm, info.driver_version);
  if (image.empty())
    throw DeviceError(op + ": this build has no kernel for SM " + std::to_string(info.sm) + " with a driver of CUDA " +
                      version_text(info.driver_version) +
                      (kernel_images().empty() ? "; it was built without nvcc and carries none at all" : ""));
  return image;
}

std::string text(Dim dim) {
  std::string text = "(";
  text.append(std::to_string(dim.x)).append(", ").append(std::to_string(dim.y)).append(", ").append(std::to_string(dim.z)).append(")");
  return text;
}

std::string text(const Kernel& kernel, const LaunchShape& shape) {
  return kernel.op() + ": launch of " + kernel.name() + ", grid " + text(shape.grid) + ", block " + text(shape.block) + ", " +
         std::to_string(shape.shared_bytes) + " bytes of dynamic shared memory";
}

void check(const Kernel& kernel, const LaunchShape& shape) {
  constexpr unsigned kMaxGridX = 0x7fffffff, kMaxGridYz = 65535;
  const auto& [grid, block, shared_bytes] = shape;
  const auto threads = std::uint64_t{block.x} * block.y * block.z;
  if (threads == 0 || threads > kernel.max_threads() || block.x > 1024 || block.y > 1024 || block.z > 64)
    throw std::invalid_argument(text(kernel, shape) + ": expected 1 to " + std::to_string(kernel.max_threads()) + " threads a block, got " +
                                std::to_string(threads));
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > kMaxGridX || grid.y > kMaxGridYz || grid.z > kMaxGridYz)
    throw std::invalid_argument(text(kernel, shape) + ": expected a grid of 1 to (2147483647, 65535, 65535)");
}

void submit(const Kernel& kernel, const LaunchShape& shape, StreamHandle stream, const void* parameters, std::size_t bytes) {
  const auto& [grid, block, shared_bytes] = shape;
  // As one block of bytes with its size, which cuLaunchKernel's other form, an array of pointers, does not tell.
  void* extra[] = {reinterpret_cast<void*>(kLaunchParamBufferPointer), const_cast<void*>(parameters),
                   reinterpret_cast<void*>(kLaunchParamBufferSize), &bytes, reinterpret_cast<void*>(kLaunchParamEnd)};
  const ContextGuard guard(kernel.context());
  AFFECTRT_CUDA_CALL(kernel.context().driver(), text(kernel, shape), cuLaunchKernel, kernel.handle(), grid.x, grid.y, grid.z, block.x,
                     block.y, block.z, shared_bytes, stream, nullptr, extra);
}

}  // namespace

Module::Module(const Device& device, std::string op) : Module(device, op, image_for(device, op)) {}

Module::Module(const Device& device, std::string op, std::span<const std::byte> image) : op_(std::move(op)) {
  if (image.empty()) throw std::invalid_argument(op_ + ": expected a compiled image, got none");
  const capture::Pause pause;
  const ContextGuard guard(device);
  ModuleHandle handle = nullptr;
  AFFECTRT_CUDA_CALL(device.context()->driver(), op_ + ": kernels for SM " + std::to_string(device.info().sm), cuModuleLoadData, &handle,
                     image.data());
  Kernel::OwnedModule owned(device.context(), handle);
  module_ = std::make_shared<const Kernel::OwnedModule>(std::move(owned));
}

Kernel Module::kernel(const std::string& name) const {
  const Driver& driver = module_->driver();
  const capture::Pause pause;  // a driver that loads lazily loads now
  const ContextGuard guard(module_->context());
  Kernel kernel;
  AFFECTRT_CUDA_CALL(driver, op_ + ": kernel " + name, cuModuleGetFunction, &kernel.handle_, module_->get(), name.c_str());
  int threads = 0;
  AFFECTRT_CUDA_CALL(driver, op_ + ": kernel " + name, cuFuncGetAttribute, &threads, kFunctionMaxThreads, kernel.handle_);
  kernel.max_threads_ = static_cast<unsigned>(threads);
  kernel.module_ = module_;
  kernel.op_ = op_;
  kernel.name_ = name;
  return kernel;
}

void launch_bytes(const Kernel& kernel, const LaunchShape& shape, const Stream& stream, const void* parameters, std::size_t bytes) {
  check(kernel, shape);
  if (kernel.context().handle() != stream.context()->handle())
    throw std::invalid_argument(text(kernel, shape) + ": the kernel is loaded on cuda:" + std::to_string(kernel.context().info().ordinal) +
                                ", the stream is of cuda:" + std::to_string(stream.context()->info().ordinal));
  submit(kernel, shape, stream.handle(), parameters, bytes);
}

void launch_bytes(const Kernel& kernel, const LaunchShape& shape, StreamHandle stream, const void* parameters, std::size_t bytes) {
  check(kernel, shape);
  submit(kernel, shape, stream, parameters, bytes);
}

}  // namespace affectrt::cuda
