#include "array.h"

#include <stdexcept>

#include "affectrt/ops/ops.h"

namespace affectrt::bindings {
namespace {

const PixelEncoding& encoding_of(const std::string& color) {
  std::string there;
  for (const auto& e : kPixelEncodings) {
    if (color == e.name) return e;
    there += std::string(there.empty() ? "" : ", ") + e.name;
  }
  throw std::invalid_argument("color: expected one of " + there + ", got '" + color + "'");
}

}  // namespace

PixelFormat pixel_format(const std::string& color) { return encoding_of(color).format; }

std::string shape_text(const py::array& array) {
  std::string text = "(";
  for (py::ssize_t i = 0; i < array.ndim(); ++i) text += (i ? ", " : "") + std::to_string(array.shape(i));
  return text + ")";
}

py::array as_array(const py::object& object, const std::string& name) {
  if (py::isinstance<py::array>(object)) return py::reinterpret_borrow<py::array>(object);
  if (py::hasattr(object, "__dlpack__")) {
    constexpr int kCpu = 1, kCudaHost = 3;
    const auto device = object.attr("__dlpack_device__")().cast<std::pair<int, int>>().first;
    if (device != kCpu && device != kCudaHost)
      throw py::type_error(name + ": expected memory of the CPU, got a DLPack tensor on device type " + std::to_string(device) +
                           " (copy it to the CPU first, or open the model with device=\"cuda:N\")");
    return py::module_::import("numpy").attr("from_dlpack")(object).cast<py::array>();
  }
  if (py::hasattr(object, "__cuda_array_interface__"))
    throw py::type_error(
        name + ": expected memory of the CPU, got a CUDA array (copy it to the CPU first, or open the model with device=\"cuda:N\")");
  throw py::type_error(name + ": expected a NumPy array or an object with __dlpack__, got " +
                       py::str(py::type::of(object).attr("__name__")).cast<std::string>());
}

HeldImage as_image(const py::object& object, const std::string& color, const std::string& name) {
  const PixelEncoding& encoding = encoding_of(color);
  py::array array = as_array(object, name);
  if (!array.dtype().equal(py::dtype::of<std::uint8_t>()))
    throw py::type_error(name + ": expected dtype uint8, got " + py::str(array.dtype()).cast<std::string>());

  const bool planar = encoding.channels == 0;
  const bool trailing_one = encoding.format == PixelFormat::kMono8 && array.ndim() == 3 && array.shape(2) == 1;
  const bool rank_fits = planar ? (array.ndim() == 2 || trailing_one) : (array.ndim() == 3 && array.shape(2) == encoding.channels);
  if (!rank_fits) {
    const std::string expected = encoding.format == PixelFormat::kNv12 ? "(height * 3/2, width)"
                                 : planar                              ? "(height, width)"
                                                                       : "(height, width, " + std::to_string(encoding.channels) + ")";
    throw std::invalid_argument(name + ": expected shape " + expected + " for color='" + color + "', got " + shape_text(array));
  }
  if (array.size() == 0) throw std::invalid_argument(name + ": expected at least one pixel, got shape " + shape_text(array));
  const py::ssize_t channels = planar ? 1 : encoding.channels;
  const bool packed = array.strides(1) == channels && (array.ndim() == 2 || channels == 1 || array.strides(2) == 1);
  if ((array.shape(1) > 1 && !packed) || (array.ndim() == 3 && channels > 1 && array.strides(2) != 1) || array.strides(0) < 0)
    throw std::invalid_argument(name + ": expected pixels that lie one after another in each row, got strides (" +
                                std::to_string(array.strides(0)) + ", " + std::to_string(array.strides(1)) +
                                (array.ndim() == 3 ? ", " + std::to_string(array.strides(2)) : "") +
                                "); pass numpy.ascontiguousarray(...), or the unreversed frame with its own color=");

  HeldImage held;
  held.view.data = static_cast<const std::uint8_t*>(array.data());
  held.view.format = encoding.format;
  if (array.shape(0) > 2 * kMaxImageSide || array.shape(1) > 2 * kMaxImageSide)
    throw std::invalid_argument(name + ": expected at most " + std::to_string(kMaxImageSide) + " px a side, got shape " +
                                shape_text(array));
  held.view.height = static_cast<int>(array.shape(0));
  held.view.width = static_cast<int>(array.shape(1));
  held.view.row_bytes = static_cast<std::size_t>(array.shape(0) > 1 ? array.strides(0) : array.shape(1) * channels);
  if (encoding.format == PixelFormat::kNv12) {
    if (array.shape(0) % 3)
      throw std::invalid_argument(name + ": expected shape (height * 3/2, width) for color='nv12', got " + shape_text(array));
    held.view.height = static_cast<int>(array.shape(0) / 3 * 2);
    held.view.uv = held.view.data + held.view.row_bytes * static_cast<std::size_t>(held.view.height);
    held.view.uv_row_bytes = held.view.row_bytes;
  }
  check_image(held.view);
  held.owner = std::move(array);
  return held;
}

py::array_t<float> as_floats(const py::object& object, const std::string& name) {
  py::array array = as_array(object, name);
  if (!array.dtype().equal(py::dtype::of<float>()))
    throw py::type_error(name + ": expected dtype float32, got " + py::str(array.dtype()).cast<std::string>());
  if (!(array.flags() & py::array::c_style))
    throw std::invalid_argument(name + ": expected a C-contiguous array; pass numpy.ascontiguousarray(...)");
  return py::reinterpret_borrow<py::array_t<float>>(array);
}

py::array_t<float> to_numpy(const std::vector<float>& values, std::vector<py::ssize_t> shape) {
  if (shape.empty()) shape = {static_cast<py::ssize_t>(values.size())};
  py::array_t<float> array(shape);
  std::copy(values.begin(), values.end(), array.mutable_data());
  return frozen(std::move(array));
}

py::array_t<float> frozen(py::array_t<float> array) {
  py::detail::array_proxy(array.ptr())->flags &= ~py::detail::npy_api::NPY_ARRAY_WRITEABLE_;
  return array;
}

}  // namespace affectrt::bindings
