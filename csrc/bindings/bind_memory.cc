// Recall: the nearest memories, and their 8-bit codes.
#include <pybind11/stl.h>

#include "affectrt/ops/memory_top_k_cpu.h"
#include "affectrt/ops/ops.h"
#include "array.h"

namespace affectrt::bindings {
namespace {

Combination combination_of(const std::string& name) {
  if (name == "semantic") return Combination::kSemantic;
  if (name == "emotional") return Combination::kEmotional;
  if (name == "C-A") return Combination::kSum;
  if (name == "C-M") return Combination::kProduct;
  if (name == "S-C") return Combination::kSemanticFirst;
  if (name == "S-S") return Combination::kEmotionalFirst;
  throw std::invalid_argument("combination: expected semantic, emotional, C-A, C-M, S-C or S-S, got '" + name + "'");
}

// An array of a type and rank, and None as an empty one.
template <class T>
py::array typed(const py::object& object, const char* name, py::ssize_t rank, const char* shape) {
  if (object.is_none()) return py::array_t<T>(std::vector<py::ssize_t>(static_cast<std::size_t>(rank), 0));
  py::array array = as_array(object, name);
  const py::dtype expected = py::dtype::of<T>();
  if (!array.dtype().equal(expected))
    throw py::type_error(std::string(name) + ": expected dtype " + py::str(expected).cast<std::string>() + ", got " +
                         py::str(array.dtype()).cast<std::string>());
  if (array.ndim() != rank) throw std::invalid_argument(std::string(name) + ": expected shape " + shape + ", got " + shape_text(array));
  return array;
}

// Rows may lie apart, or run backwards; the numbers of a row may not.
template <class T>
Rows<T> rows_of(const py::array& array, const char* name) {
  constexpr auto kSize = static_cast<py::ssize_t>(sizeof(T));
  const py::ssize_t count = array.shape(0), width = array.shape(1), step = array.strides(0);
  if (width > std::numeric_limits<int>::max())
    throw std::invalid_argument(std::string(name) + ": expected shorter rows, got shape " + shape_text(array));
  if (array.size() == 0) return {static_cast<const T*>(array.data()), count, static_cast<int>(width), width};
  if ((width > 1 && array.strides(1) != kSize) || (count > 1 && step % kSize != 0) ||
      reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
    throw std::invalid_argument(std::string(name) +
                                ": expected the numbers of a row one after another, and whole numbers between rows, got strides (" +
                                std::to_string(step) + ", " + std::to_string(array.strides(1)) + "); pass numpy.ascontiguousarray(...)");
  return {static_cast<const T*>(array.data()), count, static_cast<int>(width), count > 1 ? step / kSize : width};
}

std::span<const float> query_of(const py::array& array, const char* name) {
  if (array.size() > 1 && array.strides(0) != static_cast<py::ssize_t>(sizeof(float)))
    throw std::invalid_argument(std::string(name) + ": expected a contiguous array; pass numpy.ascontiguousarray(...)");
  return {static_cast<const float*>(array.data()), static_cast<std::size_t>(array.size())};
}

void expect_rows(const py::array& array, py::ssize_t rows, const char* name) {
  if (array.shape(0) != rows)
    throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(rows) + " rows, got shape " + shape_text(array));
}

py::tuple py_memory_top_k(const py::object& semantic, const py::object& emotion, const py::object& semantics, const py::object& emotions,
                          const std::string& combination, std::int64_t k, std::int64_t candidates, const py::object& allowed,
                          const py::object& codes, const py::object& code_bounds, int kernels) {
  const py::array q = typed<float>(semantic, "semantic", 1, "(D,)"), m = typed<float>(emotion, "emotion", 1, "(E,)");
  const py::array s = typed<float>(semantics, "semantics", 2, "(N, D)"), e = typed<float>(emotions, "emotions", 2, "(N, E)");
  const py::array mask = typed<bool>(allowed, "allowed", 1, "(N,)"), c = typed<std::int8_t>(codes, "codes", 2, "(N, D)");
  const py::array b = typed<float>(code_bounds, "code_bounds", 2, "(N, 3)");

  MemoryQuery query{query_of(q, "semantic"), query_of(m, "emotion"), combination_of(combination), k, candidates, kernels};
  Memories memories;
  memories.semantics = rows_of<float>(s, "semantics");
  memories.emotions = rows_of<float>(e, "emotions");
  if (!allowed.is_none()) {
    expect_rows(mask, combination == "emotional" ? e.shape(0) : s.shape(0), "allowed");
    if (mask.size() > 1 && mask.strides(0) != 1)
      throw std::invalid_argument("allowed: expected a contiguous array; pass numpy.ascontiguousarray(...)");
    memories.allowed = static_cast<const std::uint8_t*>(mask.data());
  }
  if (codes.is_none() != code_bounds.is_none()) throw std::invalid_argument("codes and code_bounds: expected both or neither");
  if (!codes.is_none()) {
    expect_rows(b, c.shape(0), "code_bounds");
    if (b.shape(1) != 3 || !(b.flags() & py::array::c_style))
      throw std::invalid_argument("code_bounds: expected a C-contiguous array of shape (N, 3), got " + shape_text(b));
    memories.codes = {rows_of<std::int8_t>(c, "codes"), reinterpret_cast<const CodeBound*>(b.data())};
  }

  std::vector<Recalled> found;
  {
    py::gil_scoped_release release;
    found = memory_top_k(query, memories);
  }
  const auto count = static_cast<py::ssize_t>(found.size());
  py::array_t<std::int64_t> index(count);
  py::array_t<float> distance(count);
  for (std::size_t i = 0; i < found.size(); ++i) {
    index.mutable_data()[i] = found[i].index;
    distance.mutable_data()[i] = found[i].distance;
  }
  return py::make_tuple(index, distance);
}

py::tuple py_memory_codes(const py::object& semantics) {
  const py::array array = typed<float>(semantics, "semantics", 2, "(N, D)");
  const Rows<float> rows = rows_of<float>(array, "semantics");
  py::array_t<std::int8_t> codes({array.shape(0), array.shape(1)});
  py::array_t<float> bounds({array.shape(0), py::ssize_t{3}});
  std::int8_t* to = codes.mutable_data();
  auto* bound = reinterpret_cast<CodeBound*>(bounds.mutable_data());
  {
    py::gil_scoped_release release;
    memory_codes(rows, to, bound);
  }
  return py::make_tuple(codes, bounds);
}

}  // namespace
}  // namespace affectrt::bindings

void bind_memory(pybind11::module_& module) {
  namespace py = pybind11;
  using namespace affectrt::bindings;
  module.def(
      "memory_top_k", &py_memory_top_k, py::arg("semantic").none(true), py::arg("emotion").none(true), py::arg("semantics").none(true),
      py::arg("emotions").none(true), py::kw_only(), py::arg("combination"), py::arg("k") = 10, py::arg("candidates") = 20,
      py::arg("allowed") = py::none(), py::arg("codes") = py::none(), py::arg("code_bounds") = py::none(), py::arg("kernels") = 0,
      "The k nearest memories, nearest first, of equally near ones the lower index first: (index int64, distance float32), fewer where\n"
      "fewer are allowed. semantic (D,), emotion (E,), semantics (N, D), emotions (N, E): float32; None where the combination needs "
      "none.\n"
      "Distances (Emotional RAG, 2024): d_sem Euclidean, d_emo cosine, by `combination`: semantic; emotional; C-A, their sum; C-M, their\n"
      "product; S-C, the k nearest by d_emo of the `candidates` nearest by d_sem; S-S the other way round. A row of zeros as emotion\n"
      "lies at d_emo 1; what is not finite lies at infinity. allowed: (N,) bool. codes and code_bounds, as memory_codes gives them for\n"
      "these very rows, make it quicker and the result no different. kernels: which of\n"
      "memory_kernels() computes; the numbers are the same. ValueError or TypeError\n"
      "for what does not fit, a query that is not finite, or zeros as emotion where one is needed.");
  module.def(
      "memory_kernels",
      [] {
        std::vector<std::string> names;
        for (const auto& one : affectrt::kernels::memory_kernels()) names.emplace_back(one.name);
        return names;
      },
      "What this processor can run memory_top_k with, the fastest first.");
  module.def(
      "memory_codes", &py_memory_codes, py::arg("semantics"),
      "8-bit codes of rows (N, D) float32: (codes (N, D) int8, bounds (N, 3) float32: scale, norm of scale * codes, and what the norm "
      "of\nrow - scale * codes is not above). Each row's come of that row alone.");
}
