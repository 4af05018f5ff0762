#include "affectrt/pack/to_json.h"

#include <charconv>

#include "affectrt/pack/parse_parts.h"

namespace affectrt {
namespace {

using Json = nlohmann::ordered_json;

// The double that prints with the fewest digits that still mean this float, so that 0.1f is written 0.1.
double shortest(float value) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  double number = 0.0;
  std::from_chars(text, end, number);
  return number;
}

Json numbers(const std::vector<float>& values) {
  Json list = Json::array();
  for (const float value : values) list.push_back(shortest(value));
  return list;
}

template <typename Enum>
std::string name_of(const std::vector<std::string_view>& names, Enum value) {
  return std::string(names[static_cast<std::size_t>(value)]);
}

Json to_json(const Crop& crop) {
  if (const auto* box = std::get_if<BoxCrop>(&crop)) {
    return {
        {"kind", "box"},         {"scale", shortest(box->scale)}, {"shift_x", shortest(box->shift_x)}, {"shift_y", shortest(box->shift_y)},
        {"square", box->square}, {"rotate", box->rotate}};
  }
  const auto& points = std::get<KeyPointCrop>(crop);
  Json template_px = Json::array();
  for (const auto& point : points.template_px) template_px.push_back(Json::array({shortest(point[0]), shortest(point[1])}));
  return {{"kind", "key_points"}, {"template", template_px}, {"points", points.points}};
}

struct InputWriter {
  Json operator()(const ImageInput& image) const {
    Json json = {{"tensor", image.tensor},
                 {"kind", "image"},
                 {"layout", name_of(kLayoutNames, image.layout)},
                 {"color", name_of(kColorOrderNames, image.color)},
                 {"width_px", image.width_px},
                 {"height_px", image.height_px},
                 {"mean", numbers(image.mean)},
                 {"scale", numbers(image.scale)},
                 {"pad_value", numbers(image.pad_value)},
                 {"fit", name_of(kFitNames, image.fit)},
                 {"dynamic_batch", image.dynamic_batch}};
    if (image.crop) json["crop"] = to_json(*image.crop);
    return json;
  }
  Json operator()(const TextInput& text) const {
    Json json = {{"tensor", text.tensor},
                 {"kind", "text"},
                 {"tokenizer", text.tokenizer},
                 {"max_tokens", text.max_tokens},
                 {"mask_tensor", text.mask_tensor}};
    if (text.type_tensor) json["type_tensor"] = *text.type_tensor;
    return json;
  }
  Json operator()(const TensorInput& input) const { return {{"tensor", input.tensor}, {"kind", "tensor"}, {"shape", input.shape}}; }
  Json operator()(const ChatInput& chat) const {
    return {{"tensor", chat.tensor}, {"kind", "chat"}, {"context_tokens", chat.context_tokens}};
  }
};

struct DecodeWriter {
  Json operator()(const SsdDecode& ssd) const {
    return {{"kind", "ssd"},
            {"strides", ssd.strides},
            {"anchors_per_cell", ssd.anchors_per_cell},
            {"box_scale_px", ssd.box_scale_px},
            {"score_clip", shortest(ssd.score_clip)},
            {"score_threshold", shortest(ssd.score_threshold)},
            {"iou_threshold", shortest(ssd.iou_threshold)},
            {"key_points", ssd.key_points}};
  }
  Json operator()(const ClassDecode& classes) const {
    return {{"kind", name_of(kActivationNames, classes.activation)},
            {"temperature", shortest(classes.temperature)},
            {"thresholds", numbers(classes.thresholds)},
            {"unknown_below", shortest(classes.unknown_below)}};
  }
  Json operator()(const LandmarkDecode& landmarks) const {
    return {{"kind", "landmarks"},
            {"count", landmarks.count},
            {"scale_px", landmarks.scale_px},
            {"presence_threshold", shortest(landmarks.presence_threshold)}};
  }
  Json operator()(const BlendshapeDecode& blendshapes) const {
    return {{"kind", "blendshapes"}, {"landmark_indices", blendshapes.landmark_indices}};
  }
  Json operator()(const EmbeddingDecode& embedding) const {
    return {{"kind", "embedding"}, {"pooling", name_of(kPoolingNames, embedding.pooling)}, {"normalize", embedding.normalize}};
  }
  Json operator()(const SpanDecode& span) const {
    return {{"kind", "span"},
            {"question", span.question},
            {"max_answer_tokens", span.max_answer_tokens},
            {"null_threshold", shortest(span.null_threshold)},
            {"overlap_tokens", span.overlap_tokens}};
  }
  Json operator()(const PairDecode& pair) const {
    return {{"kind", "pair"}, {"separator", pair.separator}, {"yes", pair.yes}, {"threshold", shortest(pair.threshold)}};
  }
  Json operator()(const ChatDecode& chat) const {
    return {{"kind", "chat"},      {"temperature", shortest(chat.temperature)},       {"top_p", shortest(chat.top_p)},
            {"top_k", chat.top_k}, {"repeat_penalty", shortest(chat.repeat_penalty)}, {"max_tokens", chat.max_tokens},
            {"stop", chat.stop}};
  }
};

Json to_json(const Measurement& measured) {
  Json json = {{"metric", measured.metric}, {"data", measured.data}, {"value", measured.value}};
  if (measured.reference) json["reference"] = *measured.reference;
  if (measured.machine) json["machine"] = *measured.machine;
  if (measured.command) json["command"] = *measured.command;
  return json;
}

Json to_json(const Variant& variant) {
  Json measured = Json::array();
  for (const Measurement& measurement : variant.measured) measured.push_back(to_json(measurement));
  return {{"name", variant.name},
          {"file", variant.file},
          {"format", variant.format},
          {"precision", variant.precision},
          {"golden_tolerance_abs", shortest(variant.golden_tolerance_abs)},
          {"requires", variant.requires_providers},
          {"measured", measured}};
}

Json sources(const Manifest& manifest) {
  Json list = Json::array();
  for (const Source& source : manifest.source) {
    Json json = {{"what", source.what}, {"origin", source.origin}, {"license", source.license}};
    if (source.sha256) json["sha256"] = *source.sha256;
    list.push_back(json);
  }
  return list;
}

Json files(const Manifest& manifest) {
  Json list = Json::array();
  for (const PackFile& file : manifest.files) {
    Json json = {{"path", file.path}, {"size_bytes", file.size_bytes}, {"sha256", file.sha256}};
    if (file.remote) json["remote"] = *file.remote;
    list.push_back(json);
  }
  return list;
}

}  // namespace

std::string manifest_to_json(const Manifest& manifest) {
  Json json = {{"format", "affectrt-pack"},
               {"format_version", manifest.format_version},
               {"name", manifest.name},
               {"version", manifest.version},
               {"task", name_of(kTaskNames, manifest.task)},
               {"description", manifest.description},
               {"license", {{"code", manifest.license_code}, {"weights", manifest.license_weights}}},
               {"source", sources(manifest)},
               {"card", manifest.card},
               {"intended_use", manifest.intended_use},
               {"known_limits", manifest.known_limits}};
  if (manifest.recipe) json["recipe"] = *manifest.recipe;
  json["files"] = files(manifest);
  json["inputs"] = Json::array();
  for (const Input& input : manifest.inputs) json["inputs"].push_back(std::visit(InputWriter{}, input));
  json["outputs"] = Json::array();
  for (const Output& output : manifest.outputs) {
    json["outputs"].push_back(Json{{"tensor", output.tensor}, {"kind", name_of(kOutputKindNames, output.kind)}, {"shape", output.shape}});
  }
  json["decode"] = std::visit(DecodeWriter{}, manifest.decode);
  json["labels"] = Json::array();
  for (const Label& label : manifest.labels) {
    Json entry = {{"name", label.name}, {"valence", shortest(label.valence)}, {"arousal", shortest(label.arousal)}};
    if (label.dominance) entry["dominance"] = shortest(*label.dominance);
    json["labels"].push_back(entry);
  }
  json["variants"] = Json::array();
  for (const Variant& variant : manifest.variants) json["variants"].push_back(to_json(variant));
  json["golden"] = Json::array();
  for (const Golden& golden : manifest.golden) {
    json["golden"].push_back(Json{{"name", golden.name}, {"input", golden.input}, {"expected", golden.expected}});
  }
  return json.dump();
}

}  // namespace affectrt
