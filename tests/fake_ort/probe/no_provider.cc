// A library of providers, as the real ONNX Runtime loads them, that has none: what a test can register without a GPU.
#include <cstddef>

extern "C" __attribute__((visibility("default"))) void* CreateEpFactories(const char*, const void*, const void*, void**, std::size_t,
                                                                          std::size_t* count) {
  *count = 0;
  return nullptr;
}
extern "C" __attribute__((visibility("default"))) void* ReleaseEpFactory(void*) { return nullptr; }
