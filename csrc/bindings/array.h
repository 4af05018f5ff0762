// How arrays cross between Python and C++: in by buffer or DLPack, never by copy, with errors that name the argument; small results out.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <memory>
#include <string>
#include <vector>

#include "affectrt/core/image.h"
#include "affectrt/ops/ops.h"

namespace affectrt::bindings {

namespace py = pybind11;

// A picture and the Python object that owns its pixels.
struct HeldImage {
  py::array owner;
  ImageView view;
};

// "rgb8", "bgr8", "rgba8", "bgra8", "mono8", "nv12", "yuv422_yuy2". Throws std::invalid_argument listing them.
PixelFormat pixel_format(const std::string& color);

// A NumPy array, or anything with __dlpack__ on the CPU. Throws TypeError otherwise.
py::array as_array(const py::object& object, const std::string& name);

// uint8, of the rank and channel count that `color` needs; rows may be apart (a view of a larger picture), pixels in a row may not.
HeldImage as_image(const py::object& object, const std::string& color, const std::string& name = "image");

// C-contiguous float32. Throws TypeError for another dtype, std::invalid_argument for another layout.
py::array_t<float> as_floats(const py::object& object, const std::string& name);

// The same array, read-only from now on: what observations hold is not to be changed.
py::array_t<float> frozen(py::array_t<float> array);

// Rows of score, x0, y0, x1, y1 and key points; read-only.
py::array_t<float> to_rows(const std::vector<Detection>& detections, std::size_t key_points);

// A read-only NumPy array that holds a copy of `values`.
py::array_t<float> to_numpy(const std::vector<float>& values, std::vector<py::ssize_t> shape = {});

std::string shape_text(const py::array& array);

// Owns a native object for Python, and destroys it with the interpreter's lock free, since that may wait for threads.
template <class T>
struct Unlocked {
  void operator()(T* object) const {
    py::gil_scoped_release release;
    delete object;
  }
};
template <class T>
using Holder = std::unique_ptr<T, Unlocked<T>>;

}  // namespace affectrt::bindings
