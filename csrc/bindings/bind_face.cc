// _core.FacePipeline and the single face networks.
#include <pybind11/stl.h>

#include <memory>

#include "affectrt/face/pipeline.h"
#include "array.h"
#include "device_image.h"
#include "engine_options.h"

namespace affectrt::bindings {
namespace {

const char* text_of(Doubt doubt) {
  switch (doubt) {
    case Doubt::kNone:
      return "";
    case Doubt::kTinyFace:
      return "tiny face";
    case Doubt::kBlurredFace:
      return "blurred face";
    case Doubt::kUncertain:
      return "uncertain";
  }
  return "";
}

py::array_t<float> box_of(const Detection& d) { return to_numpy({d.x0, d.y0, d.x1, d.y1}); }

py::array_t<float> points_of(const std::vector<Point>& points) {
  py::array_t<float> array({static_cast<py::ssize_t>(points.size()), py::ssize_t{2}});
  float* value = array.mutable_data();
  for (const auto& p : points) {
    *value++ = p.x;
    *value++ = p.y;
  }
  return frozen(std::move(array));
}

py::array_t<float> landmarks_of(const std::vector<Landmark>& landmarks) {
  py::array_t<float> array({static_cast<py::ssize_t>(landmarks.size()), py::ssize_t{3}});
  float* value = array.mutable_data();
  for (const auto& p : landmarks) {
    *value++ = p.x;
    *value++ = p.y;
    *value++ = p.z;
  }
  return frozen(std::move(array));
}

std::vector<std::string> names_of(const std::vector<Label>& labels) {
  std::vector<std::string> names;
  for (const auto& label : labels) names.push_back(label.name);
  return names;
}

// Faces as tuples, in the order of the fields of FaceObservation that come from here.
py::list to_python(const std::vector<Face>& faces) {
  py::list result;
  for (const auto& f : faces)
    result.append(py::make_tuple(box_of(f.detection), points_of(f.detection.key_points), f.detection.score, f.track_id, f.label,
                                 to_numpy(f.probs), to_numpy(f.raw_probs), f.valence, f.arousal, f.dominance, f.confidence,
                                 text_of(f.doubt), f.landmarks ? py::object(landmarks_of(*f.landmarks)) : py::none(),
                                 f.blendshapes ? py::object(py::cast(*f.blendshapes)) : py::none()));
  return result;
}

struct Result {
  std::vector<Face> faces;
  FaceTimings timings;
};

py::tuple run_face(FacePipeline& pipeline, const py::object& image, const std::string& color, std::int64_t stamp_ns) {
  Result result;
  if (pipeline.gpu_stream() && is_on_gpu(image)) {
    // The producer's work comes before ours on our stream, and the call returns when ours is done: so neither has to wait for the other's.
    const cuda::DeviceImage on_gpu = as_device_image(image, color, *pipeline.gpu_stream(), "frame");
    py::gil_scoped_release release;
    result.faces = pipeline(on_gpu, stamp_ns, &result.timings);
  } else {
    const HeldImage held = as_image(image, color, "frame");
    py::gil_scoped_release release;
    result.faces = pipeline(held.view, stamp_ns, &result.timings);
  }
  const auto& t = result.timings;
  return py::make_tuple(to_python(result.faces),
                        py::make_tuple(t.detect_ms, t.expression_ms, t.landmarks_ms, t.blendshapes_ms, t.total_ms));
}

// Whole pictures to (N, C) probabilities and (N,) sharpness.
py::tuple classify(const CropModel& model, const py::list& images, const std::string& color) {
  std::vector<HeldImage> held;
  std::vector<ImageView> views;
  std::vector<Affine> regions;
  for (const auto& image : images) {
    held.push_back(as_image(py::reinterpret_borrow<py::object>(image), color, "crop " + std::to_string(held.size())));
    views.push_back(held.back().view);
    regions.push_back(model.whole(views.back()));
  }
  const std::size_t classes = model.manifest().labels.size(), output = probabilities_output(model);
  CropModel::Outputs outputs;
  std::vector<float> probs;
  {
    py::gil_scoped_release release;
    model.run(views, regions, outputs);
    probs = std::move(outputs.values[output]);
    for (std::size_t i = 0; i < views.size(); ++i) to_probabilities(model.manifest(), {probs.data() + i * classes, classes});
  }
  return py::make_tuple(to_numpy(probs, {static_cast<py::ssize_t>(views.size()), static_cast<py::ssize_t>(classes)}),
                        to_numpy(outputs.sharpness));
}

// A class that is made of a pack alone.
template <class Network>
py::class_<Network, Holder<Network>> bind_network(py::module_& module, const char* name, const char* what) {
  py::class_<Network, Holder<Network>> bound(module, name, what);
  bound.def(py::init([](const Pack& pack, const std::string& precision, const ProviderList& providers, bool strict, int threads) {
              py::gil_scoped_release release;
              return Holder<Network>(new Network(pack, precision, engine_options(providers, strict, threads, false)));
            }),
            py::arg("pack"), py::kw_only(), py::arg("precision") = "auto", py::arg("providers") = ProviderList{}, py::arg("strict") = false,
            py::arg("threads") = 0);
  return bound;
}

}  // namespace
}  // namespace affectrt::bindings

void bind_face(pybind11::module_& module) {
  namespace py = pybind11;
  using namespace affectrt;
  using namespace affectrt::bindings;
  constexpr auto unlocked = py::call_guard<py::gil_scoped_release>();

  module.attr("MIN_SHARPNESS") = kMinSharpness;

  py::class_<FacePipeline, Holder<FacePipeline>>(module, "FacePipeline", "From a frame to its faces; see affectrt.Face.")
      .def(py::init([](const Pack& detector, const Pack* expression, const Pack* landmarks, const Pack* blendshapes,
                       const std::string& precision, const ProviderList& providers, bool strict, int threads, int max_faces,
                       float smoothing_ms) {
             py::gil_scoped_release release;
             FaceOptions options;
             options.engine = engine_options(providers, strict, threads, false);
             options.precision = precision;
             options.max_faces = max_faces;
             options.smoothing_ms = smoothing_ms;
             return Holder<FacePipeline>(new FacePipeline(detector, expression, landmarks, blendshapes, options));
           }),
           py::arg("detector"), py::kw_only(), py::arg("expression") = nullptr, py::arg("landmarks") = nullptr,
           py::arg("blendshapes") = nullptr, py::arg("precision") = "auto", py::arg("providers") = ProviderList{},
           py::arg("strict") = false, py::arg("threads") = 0, py::arg("max_faces") = 16, py::arg("smoothing_ms") = 250.0f)
      .def("__call__", &run_face, py::arg("frame"), py::arg("color"), py::arg("stamp_ns"),
           "Returns (faces, timings): a tuple a face, and ms of detection, expression, landmarks, blendshapes and in all.")
      .def_property_readonly(
          "on_gpu", [](const FacePipeline& self) { return self.gpu_stream() != nullptr; },
          "Whether all stages run on a GPU, from the frame on.")
      .def("reset", &FacePipeline::reset, unlocked)
      .def("adopt", &FacePipeline::adopt, py::arg("other"), "Go on with the tracks of another pipeline, before the first call of this one.")
      .def_property_readonly("labels", [](const FacePipeline& self) { return names_of(self.labels()); })
      .def_property_readonly("blendshape_names", [](const FacePipeline& self) { return names_of(self.blendshape_names()); })
      .def_property_readonly("provider", &FacePipeline::provider)
      .def_property_readonly("fallbacks", &FacePipeline::fallbacks);

  bind_network<FaceDetector>(module, "FaceDetector", "Faces of a picture.")
      .def(
          "__call__",
          [](const FaceDetector& self, const py::object& image, const std::string& color) {
            const HeldImage held = as_image(image, color);
            std::vector<Detection> detections;
            {
              py::gil_scoped_release release;
              detections = self.detect(held.view);
            }
            return to_rows(detections, self.key_points().size());
          },
          py::arg("image"), py::arg("color"), "Rows of score, x0, y0, x1, y1, key points; float32, pixels, best first.")
      .def_property_readonly("key_points", &FaceDetector::key_points)
      .def_property_readonly("provider", [](const FaceDetector& self) { return self.engine().provider(); });

  bind_network<CropModel>(module, "CropModel", "A network over whole pictures; see affectrt.FaceExpression.")
      .def("classify", &classify, py::arg("images"), py::arg("color"),
           "Probabilities (N, C) float32 and sharpness (N,) float32 of N pictures.")
      .def_property_readonly("fallbacks", [](const CropModel& self) { return self.engine().fallbacks(); })
      .def_property_readonly("provider", [](const CropModel& self) { return self.engine().provider(); });

  bind_network<FaceLandmarks>(module, "FaceLandmarks", "Dense landmarks of a face.")
      .def(
          "whole",
          [](const FaceLandmarks& self, const py::object& image, const std::string& color) -> py::object {
            const HeldImage held = as_image(image, color);
            std::optional<std::vector<Landmark>> found;
            {
              py::gil_scoped_release release;
              const Affine region = self.model().whole(held.view);
              found = std::move(self.find(held.view, {&region, 1})[0]);
            }
            if (!found) return py::none();
            return landmarks_of(*found);
          },
          py::arg("image"), py::arg("color"), "Landmarks (count, 3) float32 of a picture that is a face crop, or None if it shows no face.")
      .def_property_readonly("provider", [](const FaceLandmarks& self) { return self.model().engine().provider(); });

  bind_network<Blendshapes>(module, "Blendshapes", "ARKit blendshapes from landmarks.")
      .def(
          "from_points",
          [](const Blendshapes& self, const py::object& points) {
            const auto array = as_floats(points, "points");
            std::vector<float> scores;
            {
              py::gil_scoped_release release;
              scores = self.from_points({array.data(), static_cast<std::size_t>(array.size())});
            }
            return to_numpy(scores);
          },
          py::arg("points"), "One value in [0, 1] per label from the network's own points, (146, 2) float32.")
      .def_property_readonly("provider", [](const Blendshapes& self) { return self.engine().provider(); });
}
