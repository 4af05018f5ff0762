#include "affectrt/device/device.h"

#include <array>
#include <charconv>
#include <stdexcept>

namespace affectrt::cuda {
namespace {

std::string label(int ordinal) { return "cuda:" + std::to_string(ordinal); }

int device_of(const Driver& driver, int ordinal) {
  int count = 0, device = 0;
  AFFECTRT_CUDA_CALL(driver, "counting GPUs", cuDeviceGetCount, &count);
  if (ordinal < 0 || ordinal >= count)
    throw DeviceError(label(ordinal) + ": no such GPU; the driver shows " +
                      (count == 0   ? "none"
                       : count == 1 ? "one, cuda:0"
                                    : std::to_string(count) + ", cuda:0 to " + label(count - 1)));
  AFFECTRT_CUDA_CALL(driver, label(ordinal), cuDeviceGet, &device, ordinal);
  return device;
}

int attribute(const Driver& driver, int ordinal, int device, int which) {
  int value = 0;
  AFFECTRT_CUDA_CALL(driver, label(ordinal) + ", attribute " + std::to_string(which), cuDeviceGetAttribute, &value, which, device);
  return value;
}

DeviceInfo info_of(const Driver& driver, int ordinal, int device) {
  DeviceInfo info;
  info.ordinal = ordinal;
  info.driver_version = driver.version();
  std::array<char, 256> name{};
  AFFECTRT_CUDA_CALL(driver, label(ordinal) + ", name", cuDeviceGetName, name.data(), static_cast<int>(name.size()) - 1, device);
  info.name = name.data();
  AFFECTRT_CUDA_CALL(driver, label(ordinal) + ", memory", cuDeviceTotalMem_v2, &info.memory_bytes, device);
  info.sm = 10 * attribute(driver, ordinal, device, kAttributeComputeMajor) + attribute(driver, ordinal, device, kAttributeComputeMinor);
  info.multiprocessors = attribute(driver, ordinal, device, kAttributeMultiprocessors);
  info.integrated = attribute(driver, ordinal, device, kAttributeIntegrated) != 0;
  return info;
}

}  // namespace

int ordinal_of(const std::string& name) {
  if (name == "cuda") return 0;
  int ordinal = 0;
  const std::string prefix = "cuda:";
  if (name.starts_with(prefix) && name.size() > prefix.size()) {
    const char* end = name.data() + name.size();
    const auto [stop, error] = std::from_chars(name.data() + prefix.size(), end, ordinal);
    if (error == std::errc() && stop == end && ordinal >= 0) return ordinal;
  }
  throw std::invalid_argument("device: expected \"cuda\" or \"cuda:N\" with N from 0, got '" + name + "'");
}

std::vector<DeviceInfo> devices() {
  const Driver& driver = Driver::get();
  int count = 0;
  AFFECTRT_CUDA_CALL(driver, "counting GPUs", cuDeviceGetCount, &count);
  std::vector<DeviceInfo> found;
  for (int i = 0; i < count; ++i) found.push_back(info_of(driver, i, device_of(driver, i)));
  return found;
}

Context::Context(int ordinal) : driver_(&Driver::get()), device_(device_of(*driver_, ordinal)) {
  info_ = info_of(*driver_, ordinal, device_);
  const capture::Pause pause;
  AFFECTRT_CUDA_CALL(*driver_, label(ordinal) + ", primary context", cuDevicePrimaryCtxRetain, &handle_, device_);
}

Context::~Context() {
  const capture::Pause pause;
  driver_->cuDevicePrimaryCtxRelease_v2(device_);
}

Device Device::open(const std::string& name) { return Device(ordinal_of(name)); }

Device::Device(int ordinal) : context_(std::make_shared<const Context>(ordinal)) {}

ContextGuard::ContextGuard(const Context& context) : context_(&context) {
  const Driver& driver = context.driver();
  ContextHandle current = nullptr;
  AFFECTRT_CUDA_CALL(driver, "current context", cuCtxGetCurrent, &current);
  if (current != context.handle()) {
    AFFECTRT_CUDA_CALL(driver, "making the context current", cuCtxPushCurrent_v2, context.handle());
    pushed_ = true;
  }
  ok_ = true;
}

ContextGuard::ContextGuard(const Context& context, std::nothrow_t) noexcept : context_(&context) {
  const Driver& driver = context.driver();
  ContextHandle current = nullptr;
  ok_ = driver.cuCtxGetCurrent(&current) == kSuccess && current == context.handle();
  if (!ok_) ok_ = pushed_ = driver.cuCtxPushCurrent_v2(context.handle()) == kSuccess;
}

ContextGuard::~ContextGuard() {
  ContextHandle popped = nullptr;
  if (pushed_) context_->driver().cuCtxPopCurrent_v2(&popped);
}

}  // namespace affectrt::cuda
