// _core.Engine and the settings of the inference library.
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include <memory>

#include "affectrt/core/error.h"
#include "affectrt/core/lease.h"
#include "affectrt/engine/engine.h"
#include "affectrt/engine/plugin.h"
#include "affectrt/engine/profile.h"
#include "affectrt/engine/variant.h"
#include "array.h"
#include "engine_options.h"

namespace affectrt::bindings {
namespace {

DataType data_type(const py::array& array, const IoSpec& spec) {
  const std::string name = py::str(array.dtype());
  if (name != name_of(spec.type)) throw py::type_error("'" + spec.name + "': expected dtype " + name_of(spec.type) + ", got " + name);
  return spec.type;
}

// An Engine with a pool of bindings, so that Python threads do not wait for one another.
class PyEngine {
 public:
  explicit PyEngine(std::unique_ptr<Engine> engine)
      : engine_(std::move(engine)), bindings_([this] { return std::make_unique<Binding>(*engine_); }) {}

  const Engine& engine() const { return *engine_; }

  py::dict run(const py::dict& feeds) {
    const auto& specs = engine_->inputs();
    std::vector<py::array> arrays;  // alive until the run is over
    for (const auto& spec : specs) {
      if (!feeds.contains(spec.name.c_str())) throw std::invalid_argument("expected an input '" + spec.name + "', got " + keys(feeds));
      py::array array = as_array(feeds[spec.name.c_str()], spec.name);
      data_type(array, spec);
      if (!(array.flags() & py::array::c_style))
        throw std::invalid_argument("'" + spec.name + "': expected a C-contiguous array; pass numpy.ascontiguousarray(...)");
      arrays.push_back(std::move(array));
    }
    if (feeds.size() != specs.size())
      throw std::invalid_argument("expected " + std::to_string(specs.size()) + " inputs, got " + keys(feeds));

    auto binding = bindings_.take();
    for (std::size_t i = 0; i < specs.size(); ++i) {
      const std::vector<std::int64_t> shape(arrays[i].shape(), arrays[i].shape() + arrays[i].ndim());
      // ONNX Runtime takes inputs as mutable memory and never writes to them.
      binding->bind_input(i, const_cast<void*>(arrays[i].data()), static_cast<std::size_t>(arrays[i].nbytes()), shape);
    }
    std::vector<Tensor> tensors;
    {
      py::gil_scoped_release release;
      for (std::size_t i = 0; i < engine_->outputs().size(); ++i) binding->bind_output(i);
      binding->run();
      tensors = binding->take_outputs();
    }
    py::dict results;
    for (std::size_t i = 0; i < tensors.size(); ++i) results[engine_->outputs()[i].name.c_str()] = to_numpy_owned(std::move(tensors[i]));
    return results;
  }

 private:
  static std::string keys(const py::dict& feeds) { return py::str(py::list(feeds.attr("keys")())); }

  // The array keeps the network's own memory alive.
  static py::array to_numpy_owned(Tensor tensor) {
    auto* held = new Tensor(std::move(tensor));
    py::capsule owner(held, [](void* p) { delete static_cast<Tensor*>(p); });
    return py::array(py::dtype(name_of(held->type)), held->shape, held->data, owner);
  }

  std::unique_ptr<Engine> engine_;
  LeasePool<Binding> bindings_;
};

py::list specs_of(const std::vector<IoSpec>& specs) {
  py::list result;
  for (const auto& spec : specs) result.append(py::make_tuple(spec.name, name_of(spec.type), py::tuple(py::cast(spec.shape))));
  return result;
}

}  // namespace

EngineOptions engine_options(const ProviderList& providers, bool strict, int threads, bool spinning) {
  EngineOptions options;
  for (const auto& [name, settings] : providers) options.providers.push_back({name, {settings.begin(), settings.end()}});
  options.strict = strict;
  options.threads = threads;
  options.spinning = spinning;
  return options;
}

}  // namespace affectrt::bindings

void bind_engine(pybind11::module_& module) {
  namespace py = pybind11;
  using namespace affectrt::bindings;
  using affectrt::ort::Runtime;

  module.def("set_ort_library", &Runtime::set_library, py::arg("path"),
             "Path of the ONNX Runtime library to open; AFFECTRT_ORT_LIBRARY comes before it. EngineError if another is open already.");
  module.def(
      "set_thread_pool", [](int threads, bool spinning) { Runtime::set_pool({threads, spinning}); }, py::kw_only(), py::arg("threads") = 0,
      py::arg("spinning") = false, "Size (0: all cores) and idling of the pool that all engines share; before the first engine only.");
  module.def(
      "ort_info",
      [] {
        const Runtime* runtime = nullptr;
        {
          py::gil_scoped_release release;
          runtime = &Runtime::get();
        }
        py::dict info;
        info["version"] = runtime->version();
        info["library"] = runtime->library();
        info["providers"] = runtime->providers();
        return info;
      },
      "Opens ONNX Runtime if need be: its version, library and providers. EngineError if there is none.");
  module.def("ort_is_open", &Runtime::is_open);
  module.def(
      "register_provider_library",
      [](const std::string& name, const std::filesystem::path& library) {
        py::gil_scoped_release release;
        affectrt::register_provider_library(name, library);
      },
      py::arg("name"), py::arg("library"),
      "Load a provider that comes as a library of its own, for good; networks then find it by its provider's name.\n\n"
      "name: what ONNX Runtime calls the library, by convention the provider's name. The same pair again changes nothing. Raises\n"
      "DeviceError: the library cannot be loaded, another has that name, or ONNX Runtime is older than 1.22.");
  module.def(
      "provider_devices",
      [] {
        std::vector<affectrt::ProviderDevice> devices;
        {
          py::gil_scoped_release release;
          devices = affectrt::provider_devices();
        }
        py::list result;
        for (const auto& device : devices) result.append(py::make_tuple(device.provider, device.vendor, device.gpu, device.ordinal));
        return result;
      },
      "What registered libraries offer, beside ONNX Runtime's own: (provider, vendor, whether it is a GPU, ordinal).");

  py::class_<PyEngine, Holder<PyEngine>>(module, "Engine", "One network, opened once, run from any number of threads.")
      .def(py::init([](const std::filesystem::path& model, const ProviderList& providers, bool strict, int threads, bool spinning) {
             py::gil_scoped_release release;
             return Holder<PyEngine>(
                 new PyEngine(std::make_unique<affectrt::Engine>(model, engine_options(providers, strict, threads, spinning))));
           }),
           py::arg("model"), py::kw_only(), py::arg("providers") = ProviderList{}, py::arg("strict") = false, py::arg("threads") = 0,
           py::arg("spinning") = false)
      .def_property_readonly(
          "inputs", [](const PyEngine& self) { return specs_of(self.engine().inputs()); },
          "List of (name, dtype, shape); -1 is a free dimension.")
      .def_property_readonly("outputs", [](const PyEngine& self) { return specs_of(self.engine().outputs()); })
      .def_property_readonly(
          "provider", [](const PyEngine& self) { return self.engine().provider(); }, "The provider that the network really runs on.")
      .def_property_readonly(
          "fallbacks", [](const PyEngine& self) { return self.engine().fallbacks(); },
          "Providers that could not be had, each with the reason.")
      .def("run", &PyEngine::run, py::arg("feeds"),
           "Run once. `feeds`: input name to C-contiguous array of the input's dtype, not copied. Returns output name to array.");

  module.def(
      "provider_library", [](const std::string& name) { return affectrt::provider_library(name); }, py::arg("name"),
      "Path of the library that was registered under a name; an empty path if none was.");
  module.def(
      "shape_ranges",
      [](const affectrt::Pack& pack) {
        py::list result;
        for (const auto& range : affectrt::shape_ranges(pack.manifest()))
          result.append(py::make_tuple(range.tensor, py::tuple(py::cast(range.least)), py::tuple(py::cast(range.usual)),
                                       py::tuple(py::cast(range.most))));
        return result;
      },
      py::arg("pack"),
      "Between which shapes an engine of a pack serves: (input, least, usual, most) for each input with a free dimension.\n\n"
      "TensorRT providers get them with the pack's networks, unless their own options name some.");

  module.def(
      "open_variant",
      [](const affectrt::Pack& pack, const std::string& wanted, const ProviderList& providers, bool strict, int threads) {
        affectrt::OpenedVariant opened;
        {
          py::gil_scoped_release release;
          opened = affectrt::open_variant(pack, wanted, engine_options(providers, strict, threads, false));
        }
        return std::pair(opened.name, Holder<PyEngine>(new PyEngine(std::move(opened.engine))));
      },
      py::arg("pack"), py::arg("wanted") = "auto", py::kw_only(), py::arg("providers") = ProviderList{}, py::arg("strict") = false,
      py::arg("threads") = 0,
      "Name of a variant and its network. \"auto\": the first that needs no provider, or one that was asked for and is to be had.\n\n"
      "Raises PackError, EngineError; DeviceError if the variant needs a provider that was not asked for, or none can run.");
}
