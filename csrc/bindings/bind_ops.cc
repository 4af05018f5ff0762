// The operations, one by one: for tests, and for whoever builds a pipeline of their own.
#include <pybind11/stl.h>

#include "affectrt/ops/image_to_tensor_cpu.h"
#include "affectrt/ops/ops.h"
#include "array.h"

namespace affectrt::bindings {
namespace {

using Six = std::array<float, 6>;

Affine to_affine(const Six& m) { return {m[0], m[1], m[2], m[3], m[4], m[5]}; }
Six from_affine(const Affine& m) { return {m.a, m.b, m.c, m.d, m.e, m.f}; }

ColorOrder color_order(const std::string& name) {
  if (name == "rgb") return ColorOrder::kRgb;
  if (name == "bgr") return ColorOrder::kBgr;
  if (name == "gray") return ColorOrder::kGray;
  throw std::invalid_argument("tensor_color: expected rgb, bgr or gray, got '" + name + "'");
}

Layout layout_of(const std::string& name) {
  if (name == "nchw") return Layout::kNchw;
  if (name == "nhwc") return Layout::kNhwc;
  throw std::invalid_argument("layout: expected nchw or nhwc, got '" + name + "'");
}

Fit fit_of(const std::string& name) {
  if (name == "stretch") return Fit::kStretch;
  if (name == "letterbox") return Fit::kLetterbox;
  throw std::invalid_argument("fit: expected stretch or letterbox, got '" + name + "'");
}

std::array<float, 3> per_channel(const std::vector<float>& values, const TensorTarget& target, const char* name) {
  const auto channels = static_cast<std::size_t>(target.channels());
  if (values.size() != channels)
    throw std::invalid_argument(std::string(name) + ": expected " + std::to_string(channels) + " values, got " +
                                std::to_string(values.size()));
  std::array<float, 3> result{};
  std::copy(values.begin(), values.end(), result.begin());
  return result;
}

py::array_t<float> py_image_to_tensor(const py::object& image, const std::string& color, const Six& to_source, int width, int height,
                                      const std::string& layout, const std::string& tensor_color, const std::vector<float>& mean,
                                      const std::vector<float>& scale, const std::vector<float>& pad_value) {
  TensorTarget target;
  if (width < 1 || height < 1 || width > kMaxImageSide || height > kMaxImageSide)
    throw std::invalid_argument("expected a tensor of 1 to " + std::to_string(kMaxImageSide) + " px a side, got " + std::to_string(width) +
                                "x" + std::to_string(height));
  target.width_px = width;
  target.height_px = height;
  target.layout = layout_of(layout);
  target.color = color_order(tensor_color);
  target.mean = per_channel(mean, target, "mean");
  target.scale = per_channel(scale, target, "scale");
  target.pad_value = per_channel(pad_value, target, "pad_value");
  const HeldImage held = as_image(image, color);
  const py::ssize_t c = target.channels();
  py::array_t<float> out(target.layout == Layout::kNchw ? std::vector<py::ssize_t>{c, height, width}
                                                        : std::vector<py::ssize_t>{height, width, c});
  float* data = out.mutable_data();
  py::gil_scoped_release release;
  image_to_tensor(held.view, to_affine(to_source), target, data);
  return out;
}

std::vector<Detection> from_rows(const py::array_t<float>& rows) {
  if (rows.ndim() != 2 || rows.shape(1) < 5 || rows.shape(1) % 2 == 0)
    throw std::invalid_argument("detections: expected shape (N, 5 + 2 K), got " + shape_text(rows));
  std::vector<Detection> detections(static_cast<std::size_t>(rows.shape(0)));
  const float* value = rows.data();
  for (auto& d : detections) {
    d = {value[0], value[1], value[2], value[3], value[4], {}};
    for (py::ssize_t i = 5; i < rows.shape(1); i += 2) d.key_points.push_back({value[i], value[i + 1]});
    value += rows.shape(1);
  }
  return detections;
}

std::vector<Point> to_points(const py::array_t<float>& array, const char* name) {
  if (array.ndim() != 2 || array.shape(1) != 2)
    throw std::invalid_argument(std::string(name) + ": expected shape (N, 2), got " + shape_text(array));
  std::vector<Point> points(static_cast<std::size_t>(array.shape(0)));
  for (std::size_t i = 0; i < points.size(); ++i) points[i] = {array.data()[2 * i], array.data()[2 * i + 1]};
  return points;
}

std::span<const float> span_of(const py::array_t<float>& array) { return {array.data(), static_cast<std::size_t>(array.size())}; }

int side(const py::array& array, py::ssize_t axis) { return static_cast<int>(array.shape(axis)); }

void expect_rank(const py::array& array, py::ssize_t rank, const char* name, const char* shape) {
  if (array.ndim() != rank) throw std::invalid_argument(std::string(name) + ": expected shape " + shape + ", got " + shape_text(array));
}

float py_sharpness(const py::object& tensor, const std::string& layout) {
  const auto values = as_floats(tensor, "tensor");
  expect_rank(values, 3, "tensor", "(C, H, W) or (H, W, C)");
  TensorTarget target;
  target.layout = layout_of(layout);
  const bool planar = target.layout == Layout::kNchw;
  const int channels = side(values, planar ? 0 : 2);
  if (channels != 1 && channels != 3) throw std::invalid_argument("tensor: expected 1 or 3 channels, got " + shape_text(values));
  target.height_px = side(values, planar ? 1 : 0);
  target.width_px = side(values, planar ? 2 : 1);
  target.color = channels == 1 ? ColorOrder::kGray : ColorOrder::kRgb;
  return sharpness_of(values.data(), target);
}

Activation activation_of(const std::string& name) {
  if (name == "softmax") return Activation::kSoftmax;
  if (name == "sigmoid") return Activation::kSigmoid;
  if (name == "identity") return Activation::kIdentity;
  throw std::invalid_argument("activation: expected softmax, sigmoid or identity, got '" + name + "'");
}

// One face after another of one track; what each reading holds is in the docstring.
py::list py_read_affect(const py::object& values, const py::object& ratings, const std::vector<float>& height_px,
                        const std::vector<float>& sharpness, const std::vector<std::int64_t>& stamp_ns, const std::string& activation,
                        const AffectOptions& given) {
  const auto rows = as_floats(values, "values"), vad = as_floats(ratings, "ratings");
  expect_rank(rows, 2, "values", "(N, labels)");
  if (vad.ndim() != 2 || vad.shape(0) != 3 || vad.shape(1) != rows.shape(1))
    throw std::invalid_argument("ratings: expected shape (3, " + std::to_string(rows.shape(1)) + "), got " + shape_text(vad));
  const auto n = static_cast<std::size_t>(rows.shape(0)), count = static_cast<std::size_t>(rows.shape(1));
  if (height_px.size() != n || sharpness.size() != n || stamp_ns.size() != n)
    throw std::invalid_argument("expected " + std::to_string(n) + " heights, sharpnesses and stamps");
  std::vector<Label> labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = {"", vad.data()[i], vad.data()[count + i], vad.data()[2 * count + i]};
  AffectOptions options = given;
  options.activation = activation_of(activation);
  AffectTrack track;
  py::list readings;
  for (std::size_t i = 0; i < n; ++i) {
    const Affect a = read_affect({rows.data() + i * count, count}, height_px[i], sharpness[i], stamp_ns[i], labels, options, track);
    readings.append(py::make_tuple(to_numpy(a.raw_probs), to_numpy(a.probs), a.valence, a.arousal, a.dominance, a.confidence, a.label,
                                   static_cast<int>(a.doubt)));
  }
  return readings;
}

py::array_t<float> py_emotion_layernorm(const py::object& x, const py::object& probs, const py::object& table, const py::object& gamma,
                                        const py::object& beta, float epsilon) {
  const auto tokens = as_floats(x, "x"), p = as_floats(probs, "probs"), t = as_floats(table, "table");
  const auto g = as_floats(gamma, "gamma"), b = as_floats(beta, "beta");
  expect_rank(tokens, 3, "x", "(batch, tokens, width)");
  expect_rank(t, 2, "table", "(emotions, width)");
  std::vector<float> out(static_cast<std::size_t>(tokens.size()));
  const EmotionLayerNorm sizes{side(tokens, 0), side(tokens, 1), side(tokens, 2), side(t, 0), epsilon};
  {
    py::gil_scoped_release release;
    emotion_layernorm(sizes, span_of(tokens), span_of(p), span_of(t), span_of(g), span_of(b), out);
  }
  return to_numpy(out, {tokens.shape(0), tokens.shape(1), tokens.shape(2)});
}

py::array_t<float> py_masked_attention(const py::object& query, const py::object& key_same, const py::object& key_other,
                                       const py::object& value, const std::vector<std::int64_t>& speakers,
                                       const std::vector<std::uint8_t>& mask, float scale) {
  const auto q = as_floats(query, "query"), same = as_floats(key_same, "key_same"), other = as_floats(key_other, "key_other");
  const auto v = as_floats(value, "value");
  expect_rank(q, 4, "query", "(batch, heads, tokens, key width)");
  expect_rank(v, 4, "value", "(batch, heads, tokens, value width)");
  std::vector<float> out(static_cast<std::size_t>(v.size()));
  const MaskedAttention sizes{side(q, 0), side(q, 1), side(q, 2), side(q, 3), side(v, 3), scale};
  {
    py::gil_scoped_release release;
    masked_attention(sizes, span_of(q), span_of(same), span_of(other), span_of(v), speakers, mask, out);
  }
  return to_numpy(out, {v.shape(0), v.shape(1), v.shape(2), v.shape(3)});
}

}  // namespace

py::array_t<float> to_rows(const std::vector<Detection>& detections, std::size_t key_points) {
  const auto width = static_cast<py::ssize_t>(5 + 2 * key_points);
  py::array_t<float> rows({static_cast<py::ssize_t>(detections.size()), width});
  float* value = rows.mutable_data();
  for (const auto& d : detections) {
    for (const float v : {d.score, d.x0, d.y0, d.x1, d.y1}) *value++ = v;
    for (const auto& p : d.key_points) {
      *value++ = p.x;
      *value++ = p.y;
    }
  }
  return frozen(std::move(rows));
}

}  // namespace affectrt::bindings

void bind_ops(pybind11::module_& module) {
  namespace py = pybind11;
  using namespace affectrt::bindings;
  using affectrt::Detection;

  module.def("image_to_tensor", &py_image_to_tensor, py::arg("image"), py::arg("color"), py::kw_only(), py::arg("to_source"),
             py::arg("width"), py::arg("height"), py::arg("layout") = "nchw", py::arg("tensor_color") = "rgb", py::arg("mean"),
             py::arg("scale"), py::arg("pad_value"),
             "Crop or warp, resample, convert, normalise and lay out in one pass. `to_source` (a, b, c, d, e, f) maps a tensor pixel (x, "
             "y) to the\n"
             "picture's (a x + b y + c, d x + e y + f). Returns float32 (C, H, W) or (H, W, C) of (pixel - mean) * scale.");
  module.def(
      "fit_whole",
      [](int width, int height, int tensor_width, int tensor_height, const std::string& fit) {
        return from_affine(affectrt::fit_whole(width, height, tensor_width, tensor_height, fit_of(fit)));
      },
      py::arg("width"), py::arg("height"), py::arg("tensor_width"), py::arg("tensor_height"), py::arg("fit"),
      "The map of a whole picture onto a tensor, \"stretch\" or \"letterbox\".");
  module.def(
      "align_points",
      [](const py::object& source, const py::object& target) {
        return from_affine(
            affectrt::align_points(to_points(as_floats(source, "source"), "source"), to_points(as_floats(target, "target"), "target")));
      },
      py::arg("source"), py::arg("target"), "Least-squares similarity from target points (N, 2) float32 to source points (Umeyama, 1991).");
  module.def(
      "align_box",
      [](const py::object& detection, float scale, float shift_x, float shift_y, bool square, bool rotate, int width, int height) {
        const auto rows = from_rows(as_floats(detection, "detection"));
        if (rows.size() != 1) throw std::invalid_argument("detection: expected one row, got " + std::to_string(rows.size()));
        if (rotate && rows[0].key_points.size() < 2)
          throw std::invalid_argument("detection: rotating needs the two eyes as its first key points");
        return from_affine(affectrt::align_box(rows[0], {scale, shift_x, shift_y, square, rotate}, width, height, 0, 1));
      },
      py::arg("detection"), py::kw_only(), py::arg("scale"), py::arg("shift_x") = 0.0f, py::arg("shift_y") = 0.0f, py::arg("square") = true,
      py::arg("rotate") = false, py::arg("width"), py::arg("height"),
      "The map of a detection's box, (1, 5 + 2 K) float32, onto a tensor; its first two key points are the right and the left eye.");
  module.def(
      "decode_detections",
      [](const py::object& scores, const py::object& boxes, const std::vector<int>& strides, const std::vector<int>& anchors_per_cell,
         int width, int height, float unit_px, float score_threshold, std::size_t key_points) {
        affectrt::SsdDecode decode;
        if (strides.size() != anchors_per_cell.size()) throw std::invalid_argument("expected as many strides as anchors_per_cell");
        for (const int stride : strides)
          if (stride < 1) throw std::invalid_argument("strides: expected at least 1, got " + std::to_string(stride));
        decode.strides = strides;
        decode.anchors_per_cell = anchors_per_cell;
        decode.score_threshold = score_threshold;
        decode.key_points.resize(key_points);
        const auto s = as_floats(scores, "scores"), b = as_floats(boxes, "boxes");
        const auto anchors = affectrt::make_anchors(decode, width, height);
        return to_rows(affectrt::decode_detections({s.data(), static_cast<std::size_t>(s.size())},
                                                   {b.data(), static_cast<std::size_t>(b.size())}, anchors, unit_px, decode),
                       key_points);
      },
      py::arg("scores"), py::arg("boxes"), py::kw_only(), py::arg("strides"), py::arg("anchors_per_cell"), py::arg("width"),
      py::arg("height"), py::arg("unit_px") = 1.0f, py::arg("score_threshold"), py::arg("key_points"),
      "SSD outputs to rows of score, x0, y0, x1, y1, key points in tensor pixels, best first.");
  module.def(
      "weighted_nms",
      [](const py::object& detections, float iou_threshold) {
        const auto rows = as_floats(detections, "detections");
        auto parsed = from_rows(rows);
        return to_rows(affectrt::weighted_nms(std::move(parsed), iou_threshold), static_cast<std::size_t>((rows.shape(1) - 5) / 2));
      },
      py::arg("detections"), py::kw_only(), py::arg("iou_threshold"), "Score-weighted mean of overlapping rows, which come best first.");
  module.def(
      "smooth",
      [](const py::object& state, const py::object& sample, float dt_ms, float tau_ms) {
        const auto from = as_floats(state, "state"), to = as_floats(sample, "sample");
        std::vector<float> result(from.data(), from.data() + from.size());
        affectrt::smooth(result, {to.data(), static_cast<std::size_t>(to.size())}, dt_ms, tau_ms);
        return to_numpy(result);
      },
      py::arg("state"), py::arg("sample"), py::kw_only(), py::arg("dt_ms"), py::arg("tau_ms"),
      "state + (1 - exp(-dt / tau)) (sample - state), float32.");
  module.def("sharpness", &py_sharpness, py::arg("tensor"), py::kw_only(), py::arg("layout") = "nchw",
             "How sharp a tensor of 1 or 3 channels is, float32: mean square of its second differences over its variance, as in 64x64.");
  module.def(
      "read_affect",
      [](const py::object& values, const py::object& ratings, const std::vector<float>& height_px, const std::vector<float>& sharpness,
         const std::vector<std::int64_t>& stamp_ns, const std::string& activation, float temperature, float smoothing_ms, float min_face_px,
         float min_sharpness, float full_height_px, float unknown_below) {
        const affectrt::AffectOptions options{
            affectrt::Activation::kSoftmax, temperature, smoothing_ms, min_face_px, min_sharpness, full_height_px, unknown_below};
        return py_read_affect(values, ratings, height_px, sharpness, stamp_ns, activation, options);
      },
      py::arg("values"), py::arg("ratings"), py::kw_only(), py::arg("height_px"), py::arg("sharpness"), py::arg("stamp_ns"),
      py::arg("activation") = "softmax", py::arg("temperature") = 1.0f, py::arg("smoothing_ms") = 250.0f, py::arg("min_face_px") = 24.0f,
      py::arg("min_sharpness") = 0.01f, py::arg("full_height_px") = 48.0f, py::arg("unknown_below") = 0.0f,
      "N frames of one face: what a network gave, (N, labels) float32, to tuples (raw probs, smoothed probs, valence, arousal, dominance, "
      "confidence,\nlabel or -1, doubt: 0 none, 1 tiny, 2 blurred, 3 uncertain). `ratings` is (3, labels) float32.");
  module.def("emotion_layernorm", &py_emotion_layernorm, py::arg("x"), py::arg("probs"), py::arg("table"), py::arg("gamma"),
             py::arg("beta"), py::kw_only(), py::arg("epsilon") = 1e-5f,
             "LayerNorm(x + probs @ table) * gamma + beta, float32: x (batch, tokens, width), probs (batch, emotions), table (emotions, "
             "width).");
  module.def("masked_attention", &py_masked_attention, py::arg("query"), py::arg("key_same"), py::arg("key_other"), py::arg("value"),
             py::arg("speakers"), py::arg("mask"), py::kw_only(), py::arg("scale") = 1.0f,
             "Attention with one set of keys for a query's own speaker and one for others. (batch, heads, tokens, width) float32; speakers "
             "and mask are\nbatch * tokens numbers, one item after another; an empty mask hides nothing.");
}
