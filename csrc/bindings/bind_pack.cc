// _core.Pack and _core.parse_manifest.
#include <pybind11/pybind11.h>
#include <pybind11/stl/filesystem.h>

#include <memory>
#include <string>

#include "affectrt/pack/pack.h"
#include "affectrt/pack/to_json.h"

namespace py = pybind11;

void bind_pack(py::module_& module) {
  using affectrt::Check;
  using affectrt::Pack;

  module.def(
      "parse_manifest", [](const std::string& text) { return affectrt::manifest_to_json(affectrt::parse_manifest(text)); }, py::arg("text"),
      py::call_guard<py::gil_scoped_release>(),
      "The contents of a pack.json (str, or bytes of UTF-8), checked, as JSON with its keys in the order of the format's page.\n\n"
      "Raises PackError naming the place, what was expected and what came.");

  py::class_<Pack, std::shared_ptr<Pack>>(module, "Pack", "An opened pack: every path, size and hash in it has been checked.")
      .def_static(
          "open",
          [](const std::filesystem::path& folder, bool check_hashes, const std::filesystem::path& remote_files) {
            return std::make_shared<Pack>(Pack::open(folder, check_hashes ? Check::kFull : Check::kStructure, remote_files));
          },
          py::arg("folder"), py::kw_only(), py::arg("check_hashes") = true, py::arg("remote_files") = std::filesystem::path(),
          py::call_guard<py::gil_scoped_release>(),
          "Open the pack in a folder that holds pack.json. Pulled files are looked for under remote_files/<sha256>/<file name>.\n\n"
          "check_hashes=False leaves out the SHA-256 of each file, for listing. Raises PackError.")
      .def_property_readonly("name", [](const Pack& pack) { return pack.manifest().name; })
      .def_property_readonly("version", [](const Pack& pack) { return pack.manifest().version; })
      .def_property_readonly(
          "folder", [](const Pack& pack) { return pack.folder(); }, "Absolute path of the pack's folder.")
      .def_property_readonly(
          "manifest_json", [](const Pack& pack) { return affectrt::manifest_to_json(pack.manifest()); },
          "The manifest as JSON, as parse_manifest returns it.")
      .def("file", &Pack::file, py::arg("path"),
           "Absolute path of a file listed in the manifest. Raises PackError if it is not listed, or remote and not pulled.")
      .def(
          "variant", [](const Pack& pack, const std::string& wanted) { return pack.variant(wanted).name; }, py::arg("wanted") = "auto",
          "Name of the variant of that name, or of that precision, or the first for \"auto\". Raises PackError listing what there is.");
}
