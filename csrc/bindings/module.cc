// The extension affectrt._core: what each bind_*.cc registers, and the exceptions.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "affectrt/core/error.h"

namespace py = pybind11;

void bind_pack(py::module_& module);
void bind_cancel(py::module_& module);
void bind_device(py::module_& module);
void bind_engine(py::module_& module);
void bind_ops(py::module_& module);
void bind_memory(py::module_& module);
void bind_face(py::module_& module);
void bind_skip_crf(py::module_& module);

PYBIND11_MODULE(_core, module) {
  module.doc() = "The native half of affectrt. The package's own modules are its public face.";
  py::register_exception<affectrt::PackError>(module, "PackError", PyExc_RuntimeError).doc() =
      "A pack that is missing, damaged, or not what its manifest says. The text names the file, what was expected and what came.";
  py::register_exception<affectrt::EngineError>(module, "EngineError", PyExc_RuntimeError).doc() =
      "A network that could not be opened or run, or an inference library that is not there.";
  py::register_exception<affectrt::DeviceError>(module, "DeviceError", PyExc_RuntimeError).doc() =
      "A device or provider that was asked for and cannot be had.";
  module.attr("compiler") = __VERSION__;
  module.attr("numpy_abi_version") = static_cast<unsigned>(py::detail::npy_api::get().PyArray_GetNDArrayCFeatureVersion_());

  bind_pack(module);
  bind_cancel(module);
  bind_device(module);
  bind_engine(module);
  bind_ops(module);
  bind_memory(module);
  bind_face(module);
  bind_skip_crf(module);
}
