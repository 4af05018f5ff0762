// The GPU as the driver shows it, for `affectrt doctor`; and streams, memory and imported pictures, for tests and for pipelines of one's
// own.
#include <pybind11/stl.h>

#include "affectrt/device/buffer.h"
#include "array.h"
#include "device_image.h"

namespace affectrt::bindings {
namespace {

using Unlock = py::call_guard<py::gil_scoped_release>;

std::uintptr_t number(const cuda::Stream& stream) { return reinterpret_cast<std::uintptr_t>(stream.handle()); }

}  // namespace
}  // namespace affectrt::bindings

void bind_device(pybind11::module_& module) {
  using namespace affectrt::bindings;
  namespace cuda = affectrt::cuda;

  py::class_<cuda::DeviceInfo>(module, "CudaDevice", "A GPU, as the driver describes it.")
      .def_property_readonly(
          "name", [](const cuda::DeviceInfo& info) { return "cuda:" + std::to_string(info.ordinal); }, "What `device=` takes.")
      .def_readonly("model", &cuda::DeviceInfo::name)
      .def_readonly("sm", &cuda::DeviceInfo::sm, "Compute capability, 10 * major + minor.")
      .def_readonly("memory_bytes", &cuda::DeviceInfo::memory_bytes)
      .def_readonly("multiprocessors", &cuda::DeviceInfo::multiprocessors)
      .def_readonly("integrated", &cuda::DeviceInfo::integrated, "Whether it shares its memory with the CPU, as a Jetson's does.")
      .def_property_readonly(
          "cuda_version", [](const cuda::DeviceInfo& info) { return cuda::version_text(info.driver_version); },
          "The CUDA version that the driver serves, such as \"12.6\".");

  module.def(
      "cuda_library", [] { return cuda::Driver::get().library(); }, Unlock(),
      "The driver library that this process has open; opens it. Raises DeviceError that says what is missing.");
  module.def("cuda_devices", &cuda::devices, Unlock(), "All GPUs. Raises DeviceError where there is no driver, or no GPU.");

  py::class_<cuda::Stream, Holder<cuda::Stream>>(module, "CudaStream", "A stream of a GPU's work.")
      .def(py::init([](const std::string& device) { return Holder<cuda::Stream>(new cuda::Stream(cuda::Device::open(device))); }),
           py::arg("device") = "cuda:0", Unlock(), "Raises ValueError for a name that is none, DeviceError where there is no such GPU.")
      .def_property_readonly("handle", &number, "The driver's handle, as other libraries take it.")
      .def("synchronize", &cuda::Stream::synchronize, Unlock(), "Waits for all that was put on it.")
      .def(
          "wait",
          [](const cuda::Stream& stream, std::uintptr_t handle) { stream.wait_foreign(reinterpret_cast<cuda::StreamHandle>(handle)); },
          py::arg("handle"), Unlock(), "What it gets from now on starts after all that another stream has been given.");

  py::class_<cuda::Buffer, Holder<cuda::Buffer>>(module, "CudaBuffer", "Memory of a GPU.")
      .def(py::init([](std::size_t bytes, const std::string& device) {
             return Holder<cuda::Buffer>(new cuda::Buffer(cuda::Device::open(device), bytes));
           }),
           py::arg("bytes"), py::kw_only(), py::arg("device") = "cuda:0", Unlock())
      .def_property_readonly("data", &cuda::Buffer::data, "Its address.")
      .def_property_readonly("bytes", &cuda::Buffer::bytes);

  py::class_<cuda::DeviceImage>(module, "CudaImage", "A picture in a GPU's memory, which belongs to somebody else.")
      .def_readonly("data", &cuda::DeviceImage::data, "Address of the first pixel.")
      .def_readonly("width", &cuda::DeviceImage::width)
      .def_readonly("height", &cuda::DeviceImage::height)
      .def_readonly("row_bytes", &cuda::DeviceImage::row_bytes)
      .def_readonly("uv", &cuda::DeviceImage::uv, "Address of the UV plane of nv12, else 0.")
      .def_readonly("uv_row_bytes", &cuda::DeviceImage::uv_row_bytes);
  module.def(
      "cuda_image", &as_device_image, py::arg("image"), py::arg("color"), py::kw_only(), py::arg("stream"), py::arg("name") = "image",
      "Takes a picture from __dlpack__ or __cuda_array_interface__ without a copy, for work on a stream. Raises TypeError for memory "
      "that is not a GPU's, ValueError for a dtype, shape, layout or GPU that does not fit.");
  module.def("is_on_gpu", &is_on_gpu, py::arg("object"), "Whether an object says that its memory is a GPU's.");
}
