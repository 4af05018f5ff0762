// An address of the device as the kernels' structs have it. The host cannot follow it.
#pragma once

#include <cstdint>

#include "affectrt/device/driver.h"

namespace affectrt::gpu {

template <class T>
T* pointer(cuda::DevicePtr address) {
  return reinterpret_cast<T*>(static_cast<std::uintptr_t>(address));
}

}  // namespace affectrt::gpu
