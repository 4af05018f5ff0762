// Pictures that Python has on a GPU, taken without a copy and in the order of streams.
#pragma once

#include <pybind11/pybind11.h>

#include <string>

#include "affectrt/device/import.h"

namespace affectrt::bindings {

namespace py = pybind11;

// Whether an object says that its memory is a GPU's: by __dlpack_device__, or by __cuda_array_interface__ alone.
bool is_on_gpu(const py::object& object);

// From __dlpack__ (asked with our stream, so that the producer orders its work before ours) or, where there is none, from
// __cuda_array_interface__, version 2 or 3 (whose stream is waited for on ours). The object is kept alive by the result's owner, which may
// be dropped on any thread. Throws TypeError for what is neither, or memory of another kind; std::invalid_argument for another shape,
// layout or device. Needs Python's lock.
cuda::DeviceImage as_device_image(const py::object& object, const std::string& color, const cuda::Stream& stream,
                                  const std::string& name = "image");

}  // namespace affectrt::bindings
