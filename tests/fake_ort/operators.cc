// Operators that are registered by their library. Those for CUDA really run: the real session, which has the CPU alone, gets them as the
// CPU's in place of their twins, and for a call the tensors lie on the fake driver's device, beside the host's copies. So what an operator
// launches runs on addresses of the device, on the session's stream, as it would inside the CUDA provider.
#include <algorithm>
#include <cstring>

#include "driver.h"
#include "state.h"

namespace fake_ort {
namespace {

constexpr const char* kCuda = "CUDAExecutionProvider";

std::string provider_of(const CustomOp* op) {
  const char* provider = op->GetExecutionProviderType(op);
  return provider ? provider : "";
}

// ---- one call of an operator for CUDA ----

template <class F>
F function_of(const char* name) {
  return reinterpret_cast<F>(driver_function(name));
}

class DeviceCall {
 public:
  DeviceCall(void* stream, int ordinal) : ordinal_(ordinal) {
    function_of<int (*)(void**, int)>("cuDevicePrimaryCtxRetain")(&context_, ordinal);
    function_of<int (*)(void*)>("cuCtxPushCurrent_v2")(context_);
    stream_ = stream;
    if (!stream) function_of<int (*)(void**, unsigned, int)>("cuStreamCreateWithPriority")(&own_, 1, 0), stream_ = own_;
  }

  ~DeviceCall() {
    if (own_) function_of<int (*)(void*)>("cuStreamDestroy_v2")(own_);
    for (const Tensor& tensor : tensors_) function_of<int (*)(std::uint64_t)>("cuMemFree_v2")(tensor.address);
    void* popped = nullptr;
    function_of<int (*)(void**)>("cuCtxPopCurrent_v2")(&popped);
    function_of<int (*)(int)>("cuDevicePrimaryCtxRelease_v2")(ordinal_);
  }

  DeviceCall(const DeviceCall&) = delete;
  DeviceCall& operator=(const DeviceCall&) = delete;

  void* stream() const { return stream_; }
  void know(const Value* value, bool output) { known_[value] = output; }

  // Where the tensor lies on the device; false if it is none of this call's.
  bool on_device(const Value* value, void* host, std::size_t bytes, void** out) {
    const auto found = known_.find(value);
    if (found == known_.end()) return false;
    Tensor tensor{host, 0, bytes, found->second};
    function_of<int (*)(std::uint64_t*, std::size_t)>("cuMemAlloc_v2")(&tensor.address, bytes ? bytes : 1);
    if (!tensor.output && bytes) std::memcpy(shadow(tensor.address, bytes), host, bytes);
    *out = reinterpret_cast<void*>(tensor.address);
    tensors_.push_back(tensor);
    return true;
  }

  // What stands on the stream is done, and the results are seen by the host.
  void finish() {
    run_stream(stream_);
    for (const Tensor& tensor : tensors_)
      if (tensor.output && tensor.bytes) std::memcpy(tensor.host, shadow(tensor.address, tensor.bytes), tensor.bytes);
  }

 private:
  struct Tensor {
    void* host;
    std::uint64_t address;
    std::size_t bytes;
    bool output;
  };
  int ordinal_;
  void *context_ = nullptr, *stream_ = nullptr, *own_ = nullptr;
  std::map<const Value*, bool> known_;
  std::vector<Tensor> tensors_;
};

thread_local DeviceCall* running = nullptr;

// ---- an operator for CUDA as the real session sees it ----

struct OnCuda : CustomOp {
  const CustomOp* inner = nullptr;
  void* stream = nullptr;
  int ordinal = 0;
};

struct Kernel {
  const OnCuda* op;
  void* inner;
};

template <auto Member>
struct Through;
template <class R, class... A, R (*CustomOp::*Member)(const CustomOp*, A...)>
struct Through<Member> {
  static R call(const CustomOp* op, A... a) {
    const CustomOp* inner = static_cast<const OnCuda*>(op)->inner;
    return (inner->*Member)(inner, a...);
  }
};

Status* create_kernel(const CustomOp* base, const RawApi* api, const KernelInfo* info, void** out) {
  const auto* op = static_cast<const OnCuda*>(base);
  void* inner = nullptr;
  if (Status* status = op->inner->CreateKernelV2(op->inner, api, info, &inner)) return status;
  *out = new Kernel{op, inner};
  return nullptr;
}

Status* compute(void* kernel, KernelContext* context) {
  const auto* mine = static_cast<const Kernel*>(kernel);
  DeviceCall call(mine->op->stream, mine->op->ordinal);
  running = &call;
  Status* status = mine->op->inner->KernelComputeV2(mine->inner, context);
  running = nullptr;
  if (!status) call.finish();
  return status;
}

std::shared_ptr<CustomOp> as_the_cpus(const CustomOp* inner, const Given& given, bool lose_stream) {
  auto op = std::make_shared<OnCuda>();
  static_cast<CustomOp&>(*op) = *inner;
  op->inner = inner;
  op->stream = lose_stream ? nullptr : given.stream;
  for (const auto& [key, value] : given.options)
    if (key == "device_id") op->ordinal = std::stoi(value);
  op->GetExecutionProviderType = [](const CustomOp*) -> const char* { return nullptr; };
  op->GetName = &Through<&CustomOp::GetName>::call;
  op->GetInputType = &Through<&CustomOp::GetInputType>::call;
  op->GetInputTypeCount = &Through<&CustomOp::GetInputTypeCount>::call;
  op->GetOutputType = &Through<&CustomOp::GetOutputType>::call;
  op->GetOutputTypeCount = &Through<&CustomOp::GetOutputTypeCount>::call;
  op->GetInputCharacteristic = &Through<&CustomOp::GetInputCharacteristic>::call;
  op->GetOutputCharacteristic = &Through<&CustomOp::GetOutputCharacteristic>::call;
  op->GetInputMemoryType = &Through<&CustomOp::GetInputMemoryType>::call;
  op->InferOutputShapeFn = &Through<&CustomOp::InferOutputShapeFn>::call;
  op->GetStartVersion = &Through<&CustomOp::GetStartVersion>::call;
  op->GetEndVersion = &Through<&CustomOp::GetEndVersion>::call;
  op->CreateKernelV2 = &create_kernel;
  op->KernelComputeV2 = &compute;
  op->KernelDestroy = [](void* kernel) {
    auto* mine = static_cast<Kernel*>(kernel);
    mine->op->inner->KernelDestroy(mine->inner);
    delete mine;
  };
  return op;
}

// ---- domains ----

Status* create_domain(const char* name, CustomOpDomain** out) {
  if (Status* refused = enter("CreateCustomOpDomain", Line().text("name", name))) return refused;
  if (Status* status = real().api.CreateCustomOpDomain(name, out)) return status;
  track(*out, "CustomOpDomain");
  return nullptr;
}

// The real domain gets them when it is known which session it is for.
Status* add_operator(CustomOpDomain* domain, const CustomOp* op) {
  if (Status* refused =
          enter("CustomOpDomain_Add",
                Line().text("op", op->GetName(op)).text("provider", provider_of(op)).number("element", op->GetOutputType(op, 0))))
    return refused;
  if (op->version != kApiVersion) violation("an operator states API version " + std::to_string(op->version));
  State& s = state();
  const std::lock_guard lock(s.mutex);
  s.domains[domain].operators.push_back(op);
  return nullptr;
}

Status* add_domain(SessionOptions* options, CustomOpDomain* domain) {
  if (Status* refused = enter("AddCustomOpDomain")) return refused;
  std::vector<const CustomOp*> operators;
  std::vector<std::shared_ptr<CustomOp>> wrapped;
  const Given* cuda = nullptr;
  Given kept;
  bool lose_stream = false;
  State& s = state();
  {
    const std::lock_guard lock(s.mutex);
    operators = s.domains[domain].operators;
    lose_stream = s.lose_stream;
    for (const Given& given : s.session_options[options])
      if (given.name == kCuda) kept = given, cuda = &kept;
    s.domains_of[options].push_back(domain);
  }
  for (const CustomOp* op : operators) {
    if (provider_of(op) == kCuda) {
      if (!cuda || !has_driver()) continue;
      wrapped.push_back(as_the_cpus(op, *cuda, lose_stream));
      op = wrapped.back().get();
    } else {
      const bool has_twin = cuda && std::any_of(operators.begin(), operators.end(), [&](const CustomOp* other) {
                              return provider_of(other) == kCuda && std::strcmp(other->GetName(other), op->GetName(op)) == 0 &&
                                     other->GetOutputType(other, 0) == op->GetOutputType(op, 0);
                            });
      if (has_twin) continue;
    }
    if (Status* status = real().api.CustomOpDomain_Add(domain, op)) return status;
  }
  {
    const std::lock_guard lock(s.mutex);
    s.domains[domain].wrapped = std::move(wrapped);
  }
  return real().api.AddCustomOpDomain(options, domain);
}

void release_domain(CustomOpDomain* domain) {
  if (!domain) return;
  untrack(domain, "CustomOpDomain");
  DomainRecord kept;
  {
    State& s = state();
    const std::lock_guard lock(s.mutex);
    for (const auto& [session, record] : s.sessions)
      for (const CustomOpDomain* used : record->domains)
        if (used == domain) s.violations.push_back("a domain of operators was released before a session that uses it");
    kept = std::move(s.domains[domain]);
    s.domains.erase(domain);
  }
  real().api.ReleaseCustomOpDomain(domain);
}

// ---- what an operator asks while it runs ----

Status* get_input(const KernelContext* context, std::size_t index, const Value** out) {
  if (Status* refused = enter("KernelContext_GetInput")) return refused;
  Status* status = real().api.KernelContext_GetInput(context, index, out);
  if (!status && running) running->know(*out, false);
  return status;
}

Status* get_output(KernelContext* context, std::size_t index, const std::int64_t* shape, std::size_t rank, Value** out) {
  if (Status* refused = enter("KernelContext_GetOutput")) return refused;
  Status* status = real().api.KernelContext_GetOutput(context, index, shape, rank, out);
  if (!status && running) running->know(*out, true);
  return status;
}

// What it gives is the context's own, so nobody releases it.
Status* shape_of_input(const ShapeInferContext* context, std::size_t index, TensorInfo** out) {
  if (Status* refused = enter("ShapeInferContext_GetInputTypeShape")) return refused;
  return real().api.ShapeInferContext_GetInputTypeShape(context, index, out);
}

std::size_t bytes_of(const Value* value) {
  const Api& api = real().api;
  TensorInfo* info = nullptr;
  if (api.GetTensorTypeAndShape(value, &info)) return 0;
  int type = 0;
  std::size_t rank = 0;
  std::int64_t shape[8] = {};
  api.GetTensorElementType(info, &type);
  api.GetDimensionsCount(info, &rank);
  api.GetDimensions(info, shape, rank);
  api.ReleaseTensorTypeAndShapeInfo(info);
  std::size_t bytes = type == kFloat32 ? 4 : type == kFloat16 ? 2 : type == kInt64 ? 8 : 1;
  for (std::size_t i = 0; i < rank; ++i) bytes *= static_cast<std::size_t>(shape[i]);
  return bytes;
}

Status* mutable_data(Value* value, void** out) {
  if (Status* refused = enter("GetTensorMutableData")) return refused;
  void* host = nullptr;
  if (Status* status = real().api.GetTensorMutableData(value, &host)) return status;
  if (!running || !running->on_device(value, host, bytes_of(value), out)) *out = host;
  return nullptr;
}

Status* compute_stream(const KernelContext*, void** out) {
  if (Status* refused = enter("KernelContext_GetGPUComputeStream")) return refused;
  if (!running) return refuse("this provider has no stream of a GPU");
  *out = running->stream();
  return nullptr;
}

}  // namespace

void replace_operators(const void** table) {
  FAKE_ORT_PUT(Api, CreateCustomOpDomain, create_domain);
  FAKE_ORT_PUT(Api, CustomOpDomain_Add, add_operator);
  FAKE_ORT_PUT(Api, AddCustomOpDomain, add_domain);
  FAKE_ORT_PUT(Api, ReleaseCustomOpDomain, release_domain);
  FAKE_ORT_PUT(Api, ShapeInferContext_GetInputTypeShape, shape_of_input);
  FAKE_ORT_PUT(Api, KernelContext_GetInput, get_input);
  FAKE_ORT_PUT(Api, KernelContext_GetOutput, get_output);
  FAKE_ORT_PUT(Api, GetTensorMutableData, mutable_data);
  FAKE_ORT_PUT(Api, KernelContext_GetGPUComputeStream, compute_stream);
}

}  // namespace fake_ort
