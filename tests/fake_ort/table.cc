// OrtGetApiBase: the real library's table with every function that affectrt calls wrapped, so that it is logged, counted, can fail, and
// what it creates is seen to be released.
#include <dlfcn.h>

#include <cstdio>
#include <cstdlib>
#include <type_traits>

#include "state.h"

namespace fake_ort {
namespace {

constexpr int kSlots = 512;

const char* name_of(int slot) {
  switch (slot) {
#define NAME(number, name, result, arguments) \
  case number:                                \
    return #name;
    AFFECTRT_ORT_SLOTS(NAME)
    AFFECTRT_ORT_PLUGIN_SLOTS(NAME)
#undef NAME
  }
  return "?";
}

template <class T>
constexpr const char* kKind = nullptr;
#define KIND(type) \
  template <>      \
  constexpr const char* kKind<type> = #type
KIND(Env);
KIND(SessionOptions);
KIND(Session);
KIND(RunOptions);
KIND(ThreadingOptions);
KIND(IoBinding);
KIND(Value);
KIND(MemoryInfo);
KIND(TypeInfo);
KIND(TensorInfo);
#undef KIND

template <class T>
void created(T) {}
template <class T>
void created(T** out) {
  if constexpr (!std::is_const_v<T>)
    if constexpr (kKind<T> != nullptr) track(*out, kKind<T>);
}
// The new handle is the last argument.
template <class First, class Second, class... More>
void created(First, Second second, More... more) {
  created(second, more...);
}

template <int Slot, class F>
struct Forward;

template <int Slot, class R, class... A>
struct Forward<Slot, R (*)(A...)> {
  static R call(A... a) {
    const auto function = reinterpret_cast<R (*)(A...)>(const_cast<void*>(real().table[Slot]));
    if constexpr (std::is_same_v<R, Status*>) {
      if (Status* refused = enter(name_of(Slot))) return refused;
      Status* status = function(a...);
      if (!status) created(a...);
      return status;
    } else {
      return function(a...);
    }
  }
};

// Something given back.
template <int Slot, class T>
struct Forward<Slot, void (*)(T*)> {
  static void call(T* handle) {
    if constexpr (kKind<T> != nullptr)
      if (handle) untrack(handle, kKind<T>);
    reinterpret_cast<void (*)(T*)>(const_cast<void*>(real().table[Slot]))(handle);
  }
};

void unknown() {
  std::fprintf(stderr, "fake_ort: a function that csrc/engine/ort_abi.h does not list was called\n");
  std::abort();
}

const void* const* table() {
  static const auto* made = [] {
    static const void* slots[kSlots];
    for (const void*& slot : slots) slot = reinterpret_cast<const void*>(&unknown);
#define FILL(number, name, result, arguments) slots[number] = reinterpret_cast<const void*>(&Forward<number, result(*) arguments>::call);
    AFFECTRT_ORT_SLOTS(FILL)
    AFFECTRT_ORT_PLUGIN_SLOTS(FILL)
#undef FILL
    replace_providers(slots);
    replace_plugins(slots);
    replace_tensors(slots);
    replace_running(slots);
    replace_operators(slots);
    return slots;
  }();
  return made;
}

const void* const* get_api(std::uint32_t version) {
  State& s = state();
  std::uint32_t newest = 0;
  {
    const std::lock_guard lock(s.mutex);
    newest = s.api_version;
  }
  if (newest && version > newest) return nullptr;
  return real().get(version) ? table() : nullptr;
}

const char* get_version() {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  static std::string told;
  if (!s.api_version) return real().version;
  told = "1." + std::to_string(s.api_version) + ".0";
  return told.c_str();
}

}  // namespace

const Real& real() {
  static const Real* opened = [] {
    const char* path = std::getenv("AFFECTRT_FAKE_ORT_REAL");
    void* handle = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
    const auto get_base = handle ? reinterpret_cast<const ApiBase* (*)()>(dlsym(handle, "OrtGetApiBase")) : nullptr;
    if (!get_base) {
      std::fprintf(stderr, "fake_ort: expected AFFECTRT_FAKE_ORT_REAL to name ONNX Runtime's library, got %s: %s\n",
                   path ? path : "nothing", path ? dlerror() : "");
      std::abort();
    }
    const ApiBase* base = get_base();
    const void* const* slots = base->GetApi(kPluginApiVersion);
    if (!slots) {
      std::fprintf(stderr, "fake_ort: expected ONNX Runtime 1.22 or newer, got %s\n", base->GetVersionString());
      std::abort();
    }
    return new Real{slots, base->GetVersionString(), base->GetApi, Api(slots), PluginApi(slots)};
  }();
  return *opened;
}

}  // namespace fake_ort

extern "C" __attribute__((visibility("default"))) const affectrt::ort::ApiBase* OrtGetApiBase() {
  static const affectrt::ort::ApiBase base{&fake_ort::get_api, &fake_ort::get_version};
  return &base;
}
