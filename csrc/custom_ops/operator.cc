#include "affectrt/custom_ops/operator.h"

#include <climits>
#include <sstream>
#include <stdexcept>

#include "affectrt/core/error.h"
#include "affectrt/custom_ops/half.h"

namespace affectrt::custom_ops {
namespace {

using ort::Runtime;

constexpr int kFail = 1;          // ORT_FAIL
constexpr int kFirstVersion = 1;  // of the domain
constexpr const char* kCuda = "CUDAExecutionProvider";

struct Node {
  const Operator* op;
  float attribute;
};

const Operator& self(const ort::CustomOp* op) { return *static_cast<const Operator*>(op); }

// Nothing may be thrown through the runtime.
template <class F>
ort::Status* guarded(const Operator& op, F function) {
  const auto& api = op.runtime().api();
  try {
    function();
    return nullptr;
  } catch (const std::exception& error) {
    return api.CreateStatus(kFail, (std::string(op.signature().name) + ": " + error.what()).c_str());
  }
}

// A node that does not give the attribute has the default; one that gives it as another type is refused.
float attribute_of(const Operator& op, const ort::KernelInfo* info) {
  const auto& api = op.runtime().api();
  float value = op.signature().otherwise;
  if (ort::Status* status = api.KernelInfoGetAttribute_float(info, op.signature().attribute, &value)) {
    const std::string said = api.GetErrorMessage(status);
    api.ReleaseStatus(status);
    if (said.find("type") != std::string::npos) throw EngineError(std::string(op.signature().attribute) + ": " + said);
    value = op.signature().otherwise;
  }
  return value;
}

ort::Status* create(const ort::CustomOp* base, const ort::RawApi*, const ort::KernelInfo* info, void** kernel) {
  const Operator& op = self(base);
  return guarded(op, [&] { *kernel = new Node{&op, attribute_of(op, info)}; });
}

ort::Status* compute(void* kernel, ort::KernelContext* context) {
  const Node& node = *static_cast<const Node*>(kernel);
  return guarded(*node.op, [&] {
    Call call(*node.op, node.attribute, context);
    node.op->signature().compute(call);
  });
}

ort::Status* infer(const ort::CustomOp* base, ort::ShapeInferContext* context) {
  const Operator& op = self(base);
  return guarded(op, [&] {
    const Runtime& rt = op.runtime();
    ort::TensorInfo* info = nullptr;
    rt.check(rt.api().ShapeInferContext_GetInputTypeShape(context, op.signature().like, &info), "shape");
    // Where the rank is not known the runtime says 0, which would be taken for a scalar's.
    std::size_t rank = 0;
    rt.check(rt.api().GetDimensionsCount(info, &rank), "shape");
    if (rank != op.signature().inputs[op.signature().like].rank) return;
    // Borrowed: it is the context's own.
    rt.check(rt.api().ShapeInferContext_SetOutputTypeShape(context, 0, info), "shape");
  });
}

std::string text_of(std::span<const std::int64_t> shape) {
  std::ostringstream text;
  for (std::size_t i = 0; i < shape.size(); ++i) text << (i ? ", " : "(") << shape[i];
  text << (shape.empty() ? "()" : ")");
  return text.str();
}

}  // namespace

Operator::Operator(const Runtime& runtime, const Signature& signature, const Target& target)
    : runtime_(&runtime), signature_(&signature), target_(target) {
  GetName = [](const CustomOp* op) { return self(op).signature().name; };
  GetExecutionProviderType = [](const CustomOp* op) -> const char* { return self(op).target().gpu ? kCuda : nullptr; };
  GetInputType = [](const CustomOp* op, std::size_t input) { return int{self(op).type(input)}; };
  GetInputTypeCount = [](const CustomOp* op) { return self(op).signature().inputs.size(); };
  GetOutputType = [](const CustomOp* op, std::size_t) { return int{self(op).target().element}; };
  GetOutputTypeCount = [](const CustomOp*) { return std::size_t{1}; };
  KernelDestroy = [](void* kernel) { delete static_cast<Node*>(kernel); };
  GetInputCharacteristic = [](const CustomOp*, std::size_t) { return ort::kRequiredTensor; };
  GetOutputCharacteristic = [](const CustomOp*, std::size_t) { return ort::kRequiredTensor; };
  GetInputMemoryType = [](const CustomOp*, std::size_t) { return ort::kProviderMemory; };
  GetVariadicInputMinArity = GetVariadicOutputMinArity = [](const CustomOp*) { return 0; };
  GetVariadicInputHomogeneity = GetVariadicOutputHomogeneity = [](const CustomOp*) { return 0; };
  CreateKernelV2 = &create;
  KernelComputeV2 = &compute;
  InferOutputShapeFn = &infer;
  GetStartVersion = [](const CustomOp*) { return kFirstVersion; };
  GetEndVersion = [](const CustomOp*) { return kFirstVersion; };
}

ort::ElementType Operator::type(std::size_t input) const {
  const ort::ElementType type = signature_->inputs[input].type;
  return type == ort::kUndefined ? target_.element : type;
}

Call::Call(const Operator& op, float attribute, ort::KernelContext* context)
    : op_(&op), attribute_(attribute), context_(context), tensors_(op.signature().inputs.size()) {
  const Runtime& rt = op.runtime();
  const auto& api = rt.api();
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const Input& input = op.signature().inputs[i];
    const ort::Value* value = nullptr;
    rt.check(api.KernelContext_GetInput(context, i, &value), input.name);
    ort::TensorInfo* info = nullptr;
    rt.check(api.GetTensorTypeAndShape(value, &info), input.name);
    ort::OwnedTensorInfo owned(info);
    std::size_t rank = 0;
    rt.check(api.GetDimensionsCount(info, &rank), input.name);
    tensors_[i].shape.resize(rank);
    rt.check(api.GetDimensions(info, tensors_[i].shape.data(), rank), input.name);
    // The API has one call for both; an input is only read.
    rt.check(api.GetTensorMutableData(const_cast<ort::Value*>(value), &tensors_[i].data), input.name);
    if (rank != input.rank)
      throw std::invalid_argument(std::string("expected ") + input.name + " with " + std::to_string(input.rank) +
                                  " dimensions, got shape " + text_of(tensors_[i].shape));
    for (auto extent : tensors_[i].shape)
      if (extent > INT_MAX) throw std::invalid_argument(std::string(input.name) + " is too large: " + text_of(tensors_[i].shape));
  }
}

int Call::extent(std::size_t input, std::size_t axis) const { return static_cast<int>(tensors_[input].shape[axis]); }

void Call::expect(std::size_t input, std::initializer_list<int> shape) const {
  const std::vector<std::int64_t> wanted(shape.begin(), shape.end());
  if (tensors_[input].shape != wanted)
    throw std::invalid_argument(std::string("expected ") + op_->signature().inputs[input].name + " of shape " + text_of(wanted) + ", got " +
                                text_of(tensors_[input].shape));
}

std::size_t Call::count(std::size_t input) const {
  std::size_t count = 1;
  for (auto extent : tensors_[input].shape) count *= static_cast<std::size_t>(extent);
  return count;
}

bool Call::make_output() {
  const Runtime& rt = op_->runtime();
  const auto& shape = tensors_[op_->signature().like].shape;
  ort::Value* value = nullptr;
  rt.check(rt.api().KernelContext_GetOutput(context_, 0, shape.data(), shape.size(), &value), "output");
  rt.check(rt.api().GetTensorMutableData(value, &out_), "output");
  return count(op_->signature().like) != 0;
}

std::span<const float> Call::floats(std::size_t input) {
  Tensor& tensor = tensors_[input];
  const std::size_t size = count(input);
  if (!half()) return {static_cast<const float*>(tensor.data), size};
  const auto* from = static_cast<const Half*>(tensor.data);
  tensor.converted.resize(size);
  for (std::size_t i = 0; i < size; ++i) tensor.converted[i] = to_float(from[i]);
  return tensor.converted;
}

std::span<float> Call::result() {
  const std::size_t size = count(op_->signature().like);
  if (!half()) return {static_cast<float*>(out_), size};
  result_.resize(size);
  return result_;
}

void Call::finish() {
  auto* to = static_cast<Half*>(out_);
  for (std::size_t i = 0; i < result_.size(); ++i) to[i] = to_half(result_[i]);
}

cuda::StreamHandle Call::stream() const {
  const Runtime& rt = op_->runtime();
  void* got = nullptr;
  rt.check(rt.api().KernelContext_GetGPUComputeStream(context_, &got), "stream");
  const auto stream = static_cast<cuda::StreamHandle>(got);
  // On another stream nothing would order it with the work before and after.
  if (op_->target().stream && stream != op_->target().stream) {
    std::ostringstream text;
    text << "expected the provider to compute on the engine's stream " << op_->target().stream << ", got " << got;
    throw DeviceError(text.str());
  }
  return stream;
}

}  // namespace affectrt::custom_ops
