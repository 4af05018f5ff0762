// Which sessions get our operators, and what they get.
#include <charconv>
#include <cstdlib>
#include <map>
#include <mutex>
#include <optional>

#include "affectrt/core/error.h"
#include "affectrt/custom_ops/operator.h"
#include "affectrt/engine/providers.h"
#include "affectrt/engine/session_hook.h"
#include "affectrt/pack/onnx_scan.h"

namespace affectrt {
namespace {

using custom_ops::GpuKernels;
using custom_ops::Operator;

constexpr const char* kDomain = "affectrt";

using OwnedDomain = ort::Owned<ort::CustomOpDomain, &ort::Api::ReleaseCustomOpDomain>;

struct Domain {
  std::vector<std::unique_ptr<const Operator>> operators;
  OwnedDomain handle;  // which goes first
};

bool uses_our_domain(const std::filesystem::path& model) {
  try {
    const auto real = std::filesystem::canonical(model);
    return operator_domains_of(File(real.parent_path(), real.filename().string(), model.string())).contains(kDomain);
  } catch (const PackError&) {  // ONNX Runtime reads more than ONNX, and says what is wrong with what it cannot read
    return false;
  } catch (const std::filesystem::filesystem_error&) {
    return false;
  }
}

// Loaded once for each device and kept as long as the process lives, so that no kernel is unloaded while it runs. A failure is not
// remembered. Throws DeviceError.
const GpuKernels& kernels_of(int ordinal) {
  static std::mutex mutex;
  static auto* loaded = new std::map<int, std::unique_ptr<const GpuKernels>>;
  const std::lock_guard lock(mutex);
  auto& kernels = (*loaded)[ordinal];
  if (!kernels) kernels = std::make_unique<const GpuKernels>(cuda::Device(ordinal));
  return *kernels;
}

template <class Number>
std::optional<Number> number_in(const Provider& provider, const char* key) {
  for (const auto& [name, value] : provider.options) {
    Number number{};
    if (name == key && std::from_chars(value.data(), value.data() + value.size(), number).ec == std::errc{}) return number;
  }
  return std::nullopt;
}

// The device and stream that the CUDA provider has: the engine's, else those of its own options.
GpuStream gpu_of(const EngineOptions& options) {
  if (options.gpu) return *options.gpu;
  GpuStream gpu;
  for (const Provider& provider : options.providers) {
    if (provider.name != kCudaProvider) continue;
    gpu.ordinal = number_in<int>(provider, "device_id").value_or(0);
    if (number_in<int>(provider, "has_user_compute_stream") == 1)
      gpu.stream = reinterpret_cast<void*>(number_in<std::uintptr_t>(provider, "user_compute_stream").value_or(0));
  }
  return gpu;
}

}  // namespace

AddedOperators add_operators(const SessionToOpen& opening) {
  bool cuda = false;
  for (const auto& name : opening.providers) {
    // Others compile a network as a whole, bodies and all, and know no operators of ours: a node that they cannot take would cut it in two.
    if (name != kCpuProvider && name != kCudaProvider) return {};
    cuda = cuda || name == kCudaProvider;
  }
  // On a CPU ONNX Runtime is several times quicker with the bodies (docs/kernels.md), so ours are only there beside those for the GPU, for
  // nodes that stay on the CPU. The variable is for tests and comparisons.
  if (!cuda && !std::getenv("AFFECTRT_OPERATORS_ON_CPU")) return {};
  if (!uses_our_domain(opening.model)) return {};

  AddedOperators added;
  const GpuKernels* kernels = nullptr;
  GpuStream gpu;
  if (cuda) {
    gpu = gpu_of(opening.options);
    try {
      kernels = &kernels_of(gpu.ordinal);
    } catch (const DeviceError& error) {
      // An operator for the CPU alone would take these nodes away from the GPU, which can run their bodies.
      if (!opening.options.strict) added.fallbacks.push_back("kernels for operators of domain affectrt: " + std::string(error.what()));
      return added;
    }
  }

  const ort::Runtime& rt = opening.runtime;
  auto domain = std::make_shared<Domain>();
  ort::CustomOpDomain* handle = nullptr;
  rt.check(rt.api().CreateCustomOpDomain(kDomain, &handle), "domain affectrt");
  domain->handle.reset(handle);
  const auto add = [&](const custom_ops::Signature& signature, const custom_ops::Target& target) {
    domain->operators.push_back(std::make_unique<const Operator>(rt, signature, target));
    rt.check(rt.api().CustomOpDomain_Add(handle, domain->operators.back().get()), signature.name);
  };
  for (const auto* signature : {&custom_ops::kEmotionLayerNorm, &custom_ops::kMaskedAttention})
    for (const auto element : {ort::kFloat32, ort::kFloat16}) {
      add(*signature, {element, nullptr, nullptr});
      if (kernels) add(*signature, {element, kernels, static_cast<cuda::StreamHandle>(gpu.stream)});
    }
  rt.check(rt.api().AddCustomOpDomain(opening.session, handle), "domain affectrt");
  added.owner = std::move(domain);
  return added;
}

}  // namespace affectrt
