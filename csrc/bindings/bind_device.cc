// The GPU as the driver shows it, for `affectrt doctor`; and streams, memory, kernels and imported pictures, for tests, for benchmarks and
// for pipelines of one's own.
#include <pybind11/functional.h>
#include <pybind11/stl.h>

#include <array>

#include "affectrt/device/buffer.h"
#include "affectrt/device/graph.h"
#include "affectrt/device/launch.h"
#include "array.h"
#include "device_image.h"

namespace affectrt::bindings {
namespace {

using Unlock = py::call_guard<py::gil_scoped_release>;

std::uintptr_t number(const cuda::Stream& stream) { return reinterpret_cast<std::uintptr_t>(stream.handle()); }

using Bytes = py::array_t<std::uint8_t, py::array::c_style>;
using Counts3 = std::array<unsigned, 3>;

void check_range(const cuda::Buffer& buffer, std::size_t first, std::size_t bytes) {
  if (first > buffer.bytes() || bytes > buffer.bytes() - first)
    throw std::invalid_argument("expected bytes within a buffer of " + std::to_string(buffer.bytes()) + ", got " + std::to_string(bytes) +
                                " from byte " + std::to_string(first));
}

void write_bytes(const cuda::Buffer& buffer, const Bytes& from, const cuda::Stream& stream, std::size_t at_bytes) {
  const std::uint8_t* data = from.data();
  const auto bytes = static_cast<std::size_t>(from.size());
  const py::gil_scoped_release unlocked;
  check_range(buffer, at_bytes, bytes);
  cuda::copy_to_device(buffer.data() + at_bytes, data, bytes, stream);
  stream.synchronize();
}

void read_bytes(const cuda::Buffer& buffer, Bytes& to, const cuda::Stream& stream, std::size_t at_bytes) {
  std::uint8_t* data = to.mutable_data();
  const auto bytes = static_cast<std::size_t>(to.size());
  const py::gil_scoped_release unlocked;
  check_range(buffer, at_bytes, bytes);
  cuda::copy_to_host(data, buffer.data() + at_bytes, bytes, stream);
  stream.synchronize();
}

void launch_kernel(const cuda::Kernel& kernel, const Counts3& grid, const Counts3& block, const py::bytes& parameters,
                   const cuda::Stream& stream, unsigned shared_bytes) {
  const std::string held = parameters;
  const py::gil_scoped_release unlocked;
  const cuda::LaunchShape shape{{grid[0], grid[1], grid[2]}, {block[0], block[1], block[2]}, shared_bytes};
  cuda::launch_bytes(kernel, shape, stream, held.data(), held.size());
}

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
      .def_property_readonly("bytes", &cuda::Buffer::bytes)
      .def("write", &write_bytes, py::arg("values").noconvert(), py::arg("stream"), py::kw_only(), py::arg("at_bytes") = 0,
           "Copies C-contiguous uint8 there, and waits. Raises ValueError if it does not fit.")
      .def("read", &read_bytes, py::arg("values").noconvert(), py::arg("stream"), py::kw_only(), py::arg("at_bytes") = 0,
           "Fills C-contiguous uint8 from there, and waits. Raises ValueError if there is not that much.")
      .def(
          "copy_from",
          [](const cuda::Buffer& to, const cuda::Buffer& from, std::size_t bytes, const cuda::Stream& stream) {
            check_range(to, 0, bytes);
            check_range(from, 0, bytes);
            cuda::copy_on_device(to.data(), from.data(), bytes, stream);
          },
          py::arg("other"), py::arg("bytes"), py::arg("stream"), Unlock(),
          "Puts a copy of the first bytes of another on a stream; both must live until it is done.");

  py::class_<cuda::Event, Holder<cuda::Event>>(module, "CudaEvent", "A point in the work of a stream, with the time when it was reached.")
      .def(py::init([](const std::string& device) { return Holder<cuda::Event>(new cuda::Event(cuda::Device::open(device), true)); }),
           py::kw_only(), py::arg("device") = "cuda:0", Unlock())
      .def("record", &cuda::Event::record, py::arg("stream"), Unlock(), "Marks the end of what a stream has been given until now.")
      .def("synchronize", &cuda::Event::synchronize, Unlock(), "Waits for it.")
      .def("ms_since", &cuda::Event::ms_since, py::arg("earlier"), Unlock(), "Milliseconds from another; both must be done.");

  py::class_<cuda::Kernel, Holder<cuda::Kernel>>(module, "CudaKernel", "A kernel of csrc/ops/OP.cu on a GPU, as this build carries it.")
      .def(py::init([](const std::string& op, const std::string& name, const std::string& device) {
             return Holder<cuda::Kernel>(new cuda::Kernel(cuda::Module(cuda::Device::open(device), op).kernel(name)));
           }),
           py::arg("op"), py::arg("name"), py::kw_only(), py::arg("device") = "cuda:0", Unlock(),
           "Raises DeviceError where this build carries none that fits the GPU and its driver.")
      .def("launch", &launch_kernel, py::arg("grid"), py::arg("block"), py::arg("parameters"), py::arg("stream"), py::kw_only(),
           py::arg("shared_bytes") = 0,
           "Puts a launch on a stream; parameters are the bytes of the kernel's struct. Nothing checks the addresses in it.");

  py::class_<cuda::Graph, Holder<cuda::Graph>>(module, "CudaGraph", "Work that is captured once and launched again as a whole.")
      .def(py::init([](const cuda::Stream& stream, const std::function<void()>& work) {
             return Holder<cuda::Graph>(new cuda::Graph(cuda::Graph::capture(stream, work)));
           }),
           py::arg("stream"), py::arg("work"), "Calls `work`, which puts its work on the stream and does not wait; nothing runs yet.")
      .def("launch", &cuda::Graph::launch, py::arg("stream"), Unlock());

  module.def(
      "cuda_kernel_images",
      [] {
        std::vector<std::tuple<std::string, int, int, int, std::size_t>> images;
        for (const auto& image : cuda::kernel_images())
          images.emplace_back(image.op, image.sm, image.min_driver, image.below_driver, image.bytes);
        return images;
      },
      "The compiled kernels in this build, none where it was made without nvcc: (op, SM or 0 for all, oldest driver, first driver that is "
      "too\n"
      "new or 0, bytes), drivers as 1000 * major + 10 * minor of CUDA.");

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
