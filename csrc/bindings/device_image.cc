#include "device_image.h"

#include <pybind11/stl.h>

#include <stdexcept>

#include "array.h"

namespace affectrt::bindings {
namespace {

// ---- DLPack, version 1 and before it, as dlpack.h lays it out -----------------------------------------------------------------------

constexpr int kDlCuda = 2, kDlCudaHost = 3, kDlCpu = 1, kDlCudaManaged = 13;
constexpr std::uint32_t kDlMajor = 1;

struct DlTensor {
  void* data;
  std::int32_t device_type, device_id, ndim;
  std::uint8_t code, bits;
  std::uint16_t lanes;
  std::int64_t* shape;
  std::int64_t* strides;  // elements; null: C-contiguous
  std::uint64_t byte_offset;
};

struct DlManaged {
  DlTensor tensor;
  void* manager;
  void (*deleter)(DlManaged*);
};

struct DlVersioned {
  std::uint32_t major, minor;
  void* manager;
  void (*deleter)(DlVersioned*);
  std::uint64_t flags;
  DlTensor tensor;
};

// Runs `drop` with Python's lock, unless Python has ended.
template <class F>
void with_lock(F drop) {
  if (!Py_IsInitialized()) return;
  const py::gil_scoped_acquire lock;
  drop();
}

std::shared_ptr<const void> keep(py::object object) {
  return {object.release().ptr(),
          [](const void* held) { with_lock([held] { py::handle(static_cast<PyObject*>(const_cast<void*>(held))).dec_ref(); }); }};
}

// Takes the tensor out of its capsule, as the protocol wants it: renamed, and given back by its own deleter.
template <class T>
std::shared_ptr<const void> take(const py::object& capsule, const char* used) {
  auto* managed = static_cast<T*>(PyCapsule_GetPointer(capsule.ptr(), PyCapsule_GetName(capsule.ptr())));
  if (!managed || PyCapsule_SetName(capsule.ptr(), used) != 0) throw py::error_already_set();
  return {managed, [](const void* held) {
            auto* tensor = static_cast<T*>(const_cast<void*>(held));
            with_lock([tensor] {
              if (tensor->deleter) tensor->deleter(tensor);
            });
          }};
}

std::string dtype_text(const DlTensor& tensor) {
  constexpr const char* kCodes[] = {"i", "u", "f", "opaque ", "bfloat", "c", "b"};
  const std::string code = tensor.code < std::size(kCodes) ? kCodes[tensor.code] : "unknown ";
  std::string text = tensor.bits == 8 ? "|" : "<";
  text.append(code).append(std::to_string(tensor.bits / 8));
  if (tensor.lanes != 1) text.append(" x").append(std::to_string(tensor.lanes));
  return text;
}

cuda::DeviceArray from_tensor(const DlTensor& tensor, std::shared_ptr<const void> owner, const std::string& name) {
  if (tensor.device_type != kDlCuda)
    throw py::type_error(name + ": expected memory of a GPU, got a DLPack tensor on device type " + std::to_string(tensor.device_type));
  cuda::DeviceArray array;
  array.owner = std::move(owner);
  array.data = reinterpret_cast<cuda::DevicePtr>(tensor.data) + tensor.byte_offset;
  array.dtype = dtype_text(tensor);
  array.shape.assign(tensor.shape, tensor.shape + tensor.ndim);
  if (tensor.strides) {
    array.strides.emplace(tensor.strides, tensor.strides + tensor.ndim);
    for (auto& stride : *array.strides) stride *= tensor.bits / 8;
  }
  return array;
}

cuda::DeviceArray from_dlpack(const py::object& object, const cuda::Stream& stream, const std::string& name) {
  const auto handle = reinterpret_cast<std::uintptr_t>(stream.handle());
  py::object capsule;
  try {
    capsule = object.attr("__dlpack__")(py::arg("stream") = handle, py::arg("max_version") = py::make_tuple(kDlMajor, 0));
  } catch (py::error_already_set& error) {
    if (!error.matches(PyExc_TypeError)) throw;  // a producer from before version 1 does not know max_version
    capsule = object.attr("__dlpack__")(py::arg("stream") = handle);
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor_versioned")) {
    const auto owner = take<DlVersioned>(capsule, "used_dltensor_versioned");
    const auto* managed = static_cast<const DlVersioned*>(owner.get());
    if (managed->major != kDlMajor)
      throw py::type_error(name + ": expected DLPack of version 1, got " + std::to_string(managed->major) + "." +
                           std::to_string(managed->minor));
    return from_tensor(managed->tensor, owner, name);
  }
  if (PyCapsule_IsValid(capsule.ptr(), "dltensor")) {
    const auto owner = take<DlManaged>(capsule, "used_dltensor");
    return from_tensor(static_cast<const DlManaged*>(owner.get())->tensor, owner, name);
  }
  throw py::type_error(name + ": expected __dlpack__ to return a capsule \"dltensor\" or \"dltensor_versioned\"");
}

// ---- __cuda_array_interface__ -------------------------------------------------------------------------------------------------------

template <class T>
T entry(const py::dict& interface, const char* key, const char* expected, const std::string& name) {
  try {
    return interface[key].cast<T>();
  } catch (const std::exception&) {  // not there, or of another type
    throw py::type_error(name + ": __cuda_array_interface__: expected \"" + key + "\", " + expected);
  }
}

bool has(const py::dict& interface, const char* key) { return interface.contains(key) && !interface[key].is_none(); }

cuda::DeviceArray from_interface(const py::object& object, const cuda::Stream& stream, const std::string& name) {
  const py::object value = object.attr("__cuda_array_interface__");
  if (!py::isinstance<py::dict>(value)) throw py::type_error(name + ": __cuda_array_interface__: expected a dict");
  const auto interface = py::reinterpret_borrow<py::dict>(value);
  const int version = entry<int>(interface, "version", "an integer", name);
  if (version != 2 && version != 3)
    throw py::type_error(name + ": __cuda_array_interface__: expected version 2 or 3, got " + std::to_string(version));
  if (has(interface, "mask"))
    throw py::type_error(name + ": __cuda_array_interface__: a mask is not supported; pass the pixels without it");

  cuda::DeviceArray array;
  array.data = static_cast<cuda::DevicePtr>(
      entry<std::pair<std::uintptr_t, bool>>(interface, "data", "a pair (address, whether it is read-only)", name).first);
  array.dtype = entry<std::string>(interface, "typestr", "a string", name);
  array.shape = entry<std::vector<std::int64_t>>(interface, "shape", "a tuple of integers", name);
  if (has(interface, "strides"))
    array.strides = entry<std::vector<std::int64_t>>(interface, "strides", "None or a tuple of integers", name);
  std::optional<std::int64_t> producer;
  if (has(interface, "stream")) producer = entry<std::int64_t>(interface, "stream", "None or an integer", name);
  // The dict may be what keeps the memory, as the object may.
  array.owner = keep(py::make_tuple(object, interface));
  const py::gil_scoped_release unlocked;
  cuda::wait_for_producer(stream, producer, name);
  return array;
}

std::optional<int> dlpack_device(const py::object& object) {
  if (!py::hasattr(object, "__dlpack__") || !py::hasattr(object, "__dlpack_device__")) return {};
  return py::int_(object.attr("__dlpack_device__")().cast<py::tuple>()[0]).cast<int>();
}

}  // namespace

bool is_on_gpu(const py::object& object) {
  if (py::isinstance<py::array>(object)) return false;
  if (const auto device = dlpack_device(object)) return *device != kDlCpu && *device != kDlCudaHost;
  return py::hasattr(object, "__cuda_array_interface__");
}

cuda::DeviceImage as_device_image(const py::object& object, const std::string& color, const cuda::Stream& stream, const std::string& name) {
  const PixelFormat format = pixel_format(color);
  const auto device = dlpack_device(object);
  const bool has_interface = py::hasattr(object, "__cuda_array_interface__");
  if (!device && !has_interface)
    throw py::type_error(name + ": expected an object with __dlpack__ or __cuda_array_interface__, got " +
                         py::str(py::type::of(object).attr("__name__")).cast<std::string>());
  if (device && *device != kDlCuda && !(*device == kDlCudaManaged && has_interface))
    throw py::type_error(name + ": expected memory of a GPU, got a DLPack tensor on device type " + std::to_string(*device));
  const auto array = device && *device == kDlCuda ? from_dlpack(object, stream, name) : from_interface(object, stream, name);
  const py::gil_scoped_release unlocked;
  return cuda::device_image(array, format, stream, name);
}

}  // namespace affectrt::bindings
