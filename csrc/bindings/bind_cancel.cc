// CancelFlag for Python, with the two addresses that a C library's abort callback needs.
#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>

#include "affectrt/core/cancel.h"

namespace py = pybind11;

void bind_cancel(py::module_& m) {
  using affectrt::CancelFlag;
  py::class_<CancelFlag, std::unique_ptr<CancelFlag>>(
      m, "CancelFlag",
      "A flag to stop a native computation from any thread. Whoever hands `data_address` to a C library keeps this object alive until the "
      "library has let go of it.")
      .def(py::init<>())
      .def("set", &CancelFlag::set, "Ask the computation to stop. Never waits.")
      .def("clear", &CancelFlag::clear, "Allow the next computation.")
      .def("is_set", &CancelFlag::is_set)
      .def_property_readonly(
          "callback_address", [](const CancelFlag&) { return reinterpret_cast<std::uintptr_t>(&affectrt_abort); },
          "Address of `bool affectrt_abort(void* data)`, C code that reads the flag.")
      .def_property_readonly(
          "data_address", [](const CancelFlag& self) { return reinterpret_cast<std::uintptr_t>(&self); },
          "Address to pass as that function's `data`; valid while this object lives.");
}
