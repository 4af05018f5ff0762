// The contract of a pack: inputs, outputs, labels, decode.
#include "affectrt/pack/parse_parts.h"

namespace affectrt {

const std::vector<std::string_view> kLayoutNames = {"nchw", "nhwc"};
const std::vector<std::string_view> kColorOrderNames = {"rgb", "bgr", "gray"};
const std::vector<std::string_view> kFitNames = {"stretch", "letterbox"};
const std::vector<std::string_view> kOutputKindNames = {"probabilities", "logits",      "boxes",     "scores", "landmarks",
                                                        "presence",      "blendshapes", "embedding", "text",   "span_logits"};
const std::vector<std::string_view> kActivationNames = {"softmax", "sigmoid", "identity"};
const std::vector<std::string_view> kPoolingNames = {"mean", "cls", "none"};
const std::vector<std::string_view> kFrameColorNames = {"rgb8", "bgr8", "rgba8", "bgra8", "mono8", "nv12", "yuv422_yuy2"};
// Of the person's own sides. A detector names what it gives; a crop names what it needs.
const std::vector<std::string_view> kKeyPointNames = {"right_eye", "left_eye",    "nose_tip", "mouth",
                                                      "right_ear", "right_mouth", "left_ear", "left_mouth"};

namespace {

constexpr int kMaxSidePx = 8192;
constexpr std::int64_t kMaxDim = 1 << 24;
constexpr std::int64_t kMaxElements = 1 << 28;  // 1 GiB of float32: no perception model needs more, and nothing overflows
constexpr double kMaxReal = 1e6;

int integer(const JsonValue& value, std::int64_t least, std::int64_t most) { return static_cast<int>(value.integer(least, most)); }

std::vector<float> reals(const JsonValue& value, std::size_t count, double least, double most) {
  std::vector<float> numbers;
  for (const JsonValue& element : value.array(count, count)) numbers.push_back(element.real(least, most));
  return numbers;
}

std::vector<std::int64_t> parse_shape(const JsonValue& value) {
  std::vector<std::int64_t> shape;
  std::int64_t elements = 1;
  for (const JsonValue& element : value.array(0, 8)) {
    shape.push_back(element.integer(-1, kMaxDim));
    if (shape.back() == 0) element.fail("a size, or -1 for a free one");
    if (shape.back() > 0) elements *= shape.back();  // at most 2^28 * 2^24: no overflow before the check
    if (elements > kMaxElements) value.fail("a shape of at most " + std::to_string(kMaxElements) + " elements");
  }
  return shape;
}

std::vector<std::string> parse_key_points(const JsonValue& value, std::size_t least) {
  std::vector<std::string> points;
  std::set<std::string> seen;
  for (const JsonValue& element : value.array(least, kKeyPointNames.size())) {
    points.emplace_back(kKeyPointNames[element.one_of(kKeyPointNames)]);
    if (!seen.insert(points.back()).second) element.fail("every key point once");
  }
  return points;
}

Crop parse_crop(const JsonValue& value) {
  JsonObject object(value);
  if (object.at("kind").one_of({"box", "key_points"}) == 0) {
    BoxCrop crop;
    const JsonValue scale = object.at("scale");
    crop.scale = scale.real(0.01, 100.0);
    crop.shift_x = object.at("shift_x").real(-10.0, 10.0);
    crop.shift_y = object.at("shift_y").real(-10.0, 10.0);
    crop.square = object.at("square").boolean();
    crop.rotate = object.at("rotate").boolean();
    object.done();
    return crop;
  }
  KeyPointCrop crop;
  crop.points = parse_key_points(object.at("points"), 2);
  const JsonValue template_value = object.at("template");
  for (const JsonValue& element : template_value.array(crop.points.size(), crop.points.size())) {
    const std::vector<float> point = reals(element, 2, -kMaxSidePx, 2 * kMaxSidePx);
    crop.template_px.push_back({point[0], point[1]});
  }
  bool spread = false;  // a template of one spot has no size to scale to
  for (const auto& point : crop.template_px) spread = spread || point != crop.template_px[0];
  if (!spread) template_value.fail("points that do not all coincide");
  object.done();
  return crop;
}

ImageInput parse_image(JsonObject& object) {
  ImageInput image;
  image.layout = static_cast<Layout>(object.at("layout").one_of(kLayoutNames));
  image.color = static_cast<ColorOrder>(object.at("color").one_of(kColorOrderNames));
  image.width_px = integer(object.at("width_px"), 1, kMaxSidePx);
  image.height_px = integer(object.at("height_px"), 1, kMaxSidePx);
  const std::size_t channels = image.color == ColorOrder::kGray ? 1 : 3;
  image.mean = reals(object.at("mean"), channels, -kMaxReal, kMaxReal);
  const JsonValue scale = object.at("scale");
  image.scale = reals(scale, channels, -kMaxReal, kMaxReal);
  for (const float s : image.scale) {
    if (s == 0.0f) scale.fail("scales other than 0");
  }
  image.pad_value = reals(object.at("pad_value"), channels, 0.0, 255.0);
  image.fit = static_cast<Fit>(object.at("fit").one_of(kFitNames));
  image.dynamic_batch = object.at("dynamic_batch").boolean();
  if (object.has("crop")) image.crop = parse_crop(object.at("crop"));
  return image;
}

// A template whose only braces are those of its fields, so that filling it in can neither fail nor do anything else.
std::string parse_question(const JsonValue& value) {
  const std::string question = value.text();
  bool emotion = false;
  for (std::size_t i = question.find_first_of("{}"); i != std::string::npos; i = question.find_first_of("{}", i)) {
    const std::string_view rest = std::string_view(question).substr(i);
    std::size_t length = 0;
    for (const std::string_view field : {"{target}", "{evidence}", "{emotion}"}) {
      if (rest.starts_with(field)) length = field.size();
    }
    if (length == 0) value.fail("no braces but those of the fields {target}, {evidence} and {emotion}");
    emotion = emotion || rest.starts_with("{emotion}");
    i += length;
  }
  if (!emotion) value.fail("a question with the field {emotion}");
  return question;
}

}  // namespace

Input parse_input(const JsonValue& value) {
  JsonObject object(value);
  const std::string tensor = object.at("tensor").text();
  Input input;
  switch (object.at("kind").one_of({"image", "text", "tensor", "chat"})) {
    case 0: {
      ImageInput image = parse_image(object);
      image.tensor = tensor;
      input = image;
      break;
    }
    case 1: {
      TextInput text;
      text.tensor = tensor;
      text.tokenizer = object.at("tokenizer").path();
      text.max_tokens = integer(object.at("max_tokens"), 1, 1 << 20);
      text.mask_tensor = object.at("mask_tensor").text();
      if (object.has("type_tensor")) text.type_tensor = object.at("type_tensor").text();
      input = text;
      break;
    }
    case 2:
      input = TensorInput{tensor, parse_shape(object.at("shape"))};
      break;
    default:
      input = ChatInput{tensor, integer(object.at("context_tokens"), 1, 1 << 24)};
  }
  object.done();
  return input;
}

Output parse_output(const JsonValue& value) {
  JsonObject object(value);
  Output output;
  output.tensor = object.at("tensor").text();
  output.kind = static_cast<OutputKind>(object.at("kind").one_of(kOutputKindNames));
  output.shape = parse_shape(object.at("shape"));
  object.done();
  return output;
}

std::vector<Label> parse_labels(const JsonValue& value) {
  std::vector<Label> labels;
  std::set<std::string> seen;
  for (const JsonValue& element : value.array(0, 4096)) {
    JsonObject object(element);
    Label& label = labels.emplace_back();
    const JsonValue name = object.at("name");
    label.name = name.text();
    if (label.name == "unknown") name.fail("a label other than unknown, which means that the runtime is not sure");
    if (!seen.insert(label.name).second) name.fail("every label once");
    label.valence = object.at("valence").real(-1.0, 1.0);
    label.arousal = object.at("arousal").real(-1.0, 1.0);
    if (object.has("dominance")) label.dominance = object.at("dominance").real(-1.0, 1.0);
    object.done();
  }
  return labels;
}

Decode parse_decode(const JsonValue& value, Task task) {
  JsonObject object(value);
  const JsonValue kind = object.at("kind");
  Decode decode;
  switch (task) {
    case Task::kFaceDetection: {
      kind.one_of({"ssd"});
      SsdDecode ssd;
      for (const JsonValue& stride : object.at("strides").array(1, 16)) ssd.strides.push_back(integer(stride, 1, kMaxSidePx));
      for (const JsonValue& count : object.at("anchors_per_cell").array(ssd.strides.size(), ssd.strides.size())) {
        ssd.anchors_per_cell.push_back(integer(count, 1, 64));
      }
      ssd.box_scale_px = integer(object.at("box_scale_px"), 1, kMaxSidePx);
      ssd.score_clip = object.at("score_clip").real(1.0, 1000.0);
      ssd.score_threshold = object.at("score_threshold").real(0.0, 1.0);
      ssd.iou_threshold = object.at("iou_threshold").real(0.0, 1.0);
      ssd.key_points = parse_key_points(object.at("key_points"), 0);
      decode = ssd;
      break;
    }
    case Task::kFaceExpression:
    case Task::kTextEmotion: {
      ClassDecode classes;
      classes.activation = static_cast<Activation>(kind.one_of(kActivationNames));
      classes.temperature = object.at("temperature").real(1e-3, 1e3);
      for (const JsonValue& threshold : object.at("thresholds").array(0, 4096)) classes.thresholds.push_back(threshold.real(0.0, 1.0));
      classes.unknown_below = object.at("unknown_below").real(0.0, 1.0);
      decode = classes;
      break;
    }
    case Task::kTextEmbedding: {
      kind.one_of({"embedding"});
      const auto pooling = static_cast<Pooling>(object.at("pooling").one_of(kPoolingNames));
      decode = EmbeddingDecode{pooling, object.at("normalize").boolean()};
      break;
    }
    case Task::kTextSpan: {
      kind.one_of({"span"});
      SpanDecode span;
      span.question = parse_question(object.at("question"));
      span.max_answer_tokens = integer(object.at("max_answer_tokens"), 1, 1 << 20);
      span.null_threshold = object.at("null_threshold").real(-kMaxReal, kMaxReal);
      span.overlap_tokens = integer(object.at("overlap_tokens"), 0, 1 << 20);
      decode = span;
      break;
    }
    case Task::kTextPair: {
      kind.one_of({"pair"});
      const JsonValue separator = object.at("separator");
      // Parts have single blanks, so that a separator with some could come about in one of them.
      if (separator.text().find_first_of(" \t") != std::string::npos) separator.fail("a separator without blanks");
      decode = PairDecode{separator.text(), object.at("yes").text(), object.at("threshold").real(0.0, 1.0)};
      break;
    }
    case Task::kFaceLandmarks: {
      kind.one_of({"landmarks"});
      decode = LandmarkDecode{integer(object.at("count"), 1, 100'000), integer(object.at("scale_px"), 1, kMaxSidePx),
                              object.at("presence_threshold").real(0.0, 1.0)};
      break;
    }
    case Task::kFaceBlendshapes: {
      kind.one_of({"blendshapes"});
      BlendshapeDecode blendshapes;
      for (const JsonValue& index : object.at("landmark_indices").array(1, 100'000)) {
        blendshapes.landmark_indices.push_back(integer(index, 0, 99'999));
      }
      decode = blendshapes;
      break;
    }
    case Task::kDialogue: {
      kind.one_of({"chat"});
      ChatDecode chat;
      chat.temperature = object.at("temperature").real(0.0, 100.0);
      chat.top_p = object.at("top_p").real(1e-6, 1.0);
      chat.top_k = integer(object.at("top_k"), 0, 1 << 24);
      chat.repeat_penalty = object.at("repeat_penalty").real(1e-3, 100.0);
      chat.max_tokens = integer(object.at("max_tokens"), 1, 1 << 24);
      for (const JsonValue& stop : object.at("stop").array(0, 64)) chat.stop.push_back(stop.text(true));
      decode = chat;
      break;
    }
  }
  object.done();
  return decode;
}

}  // namespace affectrt
