// An operator of ours as ONNX Runtime calls it: for one provider and one element type.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <vector>

#include "affectrt/engine/ort_api.h"
#include "affectrt/gpu/emotion_layernorm.h"
#include "affectrt/gpu/masked_attention.h"

namespace affectrt::custom_ops {

// The kernels of all operators on a device.
struct GpuKernels {
  explicit GpuKernels(const cuda::Device& device) : emotion_layernorm(device), masked_attention(device) {}
  gpu::EmotionLayerNormKernels emotion_layernorm;
  gpu::MaskedAttentionKernels masked_attention;
};

struct Target {
  ort::ElementType element = ort::kFloat32;  // or kFloat16
  const GpuKernels* gpu = nullptr;           // null: the CPU
  cuda::StreamHandle stream = nullptr;       // which the provider must compute on; null: it chooses
};

struct Input {
  const char* name;
  std::size_t rank;
  ort::ElementType type = ort::kUndefined;  // undefined: the target's
};

class Call;

// What an operator is, whatever it runs on. It has one attribute, a float, and one output.
struct Signature {
  const char* name;
  std::span<const Input> inputs;
  std::size_t like;  // the input whose shape the output has
  const char* attribute;
  float otherwise;  // where a node does not give it
  void (*compute)(Call& call);
};

extern const Signature kEmotionLayerNorm, kMaskedAttention;

// The runtime calls it by its base; it must outlive all sessions that it is registered with.
class Operator : public ort::CustomOp {
 public:
  Operator(const ort::Runtime& runtime, const Signature& signature, const Target& target);

  const ort::Runtime& runtime() const { return *runtime_; }
  const Signature& signature() const { return *signature_; }
  const Target& target() const { return target_; }
  ort::ElementType type(std::size_t input) const;

 private:
  const ort::Runtime* runtime_;
  const Signature* signature_;
  Target target_;
};

// One run of a node. What throws here becomes the run's error.
class Call {
 public:
  Call(const Operator& op, float attribute, ort::KernelContext* context);

  float attribute() const { return attribute_; }
  const GpuKernels* gpu() const { return op_->target().gpu; }
  bool half() const { return op_->target().element == ort::kFloat16; }

  int extent(std::size_t input, std::size_t axis) const;
  // Throws std::invalid_argument naming the input unless its shape is this.
  void expect(std::size_t input, std::initializer_list<int> shape) const;
  std::size_t count(std::size_t input) const;
  const void* data(std::size_t input) const { return tensors_[input].data; }
  void* out() const { return out_; }
  // Makes the output; false if it is empty, so that nothing is to be done.
  bool make_output();

  // For the CPU: inputs as float32, converted if need be, and a place for the result, which finish() hands over.
  std::span<const float> floats(std::size_t input);
  std::span<float> result();
  void finish();

  // For the GPU.
  cuda::DevicePtr address(const void* data) const { return reinterpret_cast<std::uintptr_t>(data); }
  cuda::DevicePtr address(std::size_t input) const { return address(data(input)); }
  cuda::StreamHandle stream() const;

 private:
  struct Tensor {
    std::vector<std::int64_t> shape;
    void* data = nullptr;
    std::vector<float> converted;
  };
  const Operator* op_;
  float attribute_;
  ort::KernelContext* context_;
  std::vector<Tensor> tensors_;
  void* out_ = nullptr;
  std::vector<float> result_;
};

}  // namespace affectrt::custom_ops
