// What must agree between the sections of pack.json.
#include <algorithm>

#include "affectrt/pack/parse_parts.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

std::string at(const std::string& list, std::size_t i, const std::string& key = "") {
  return list + "[" + std::to_string(i) + "]" + (key.empty() ? "" : "." + key);
}

std::string shown(const std::vector<std::int64_t>& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return text + "]";
}

const PackFile& listed(const Manifest& manifest, const std::string& path, const std::string& where) {
  const auto found = std::find_if(manifest.files.begin(), manifest.files.end(), [&](const PackFile& file) { return file.path == path; });
  if (found == manifest.files.end()) fail_manifest(where, "a file that is listed under files", in_quotes(path));
  return *found;
}

void check_carried(const Manifest& manifest, const std::string& path, const std::string& where) {
  if (listed(manifest, path, where).remote) fail_manifest(where, "a file that the pack carries", in_quotes(path) + ", which is remote");
}

void check_npy(const Manifest& manifest, const std::string& path, const std::string& where) {
  check_carried(manifest, path, where);
  if (!path.ends_with(".npy")) fail_manifest(where, "a .npy file", in_quotes(path));
}

void check_files(const Manifest& manifest) {
  // "a" and "a/b" cannot both be files.
  std::vector<std::string> paths;
  for (const PackFile& file : manifest.files) paths.push_back(file.path + "/");
  std::sort(paths.begin(), paths.end());
  for (std::size_t i = 1; i < paths.size(); ++i) {
    if (paths[i].starts_with(paths[i - 1])) {
      fail_manifest("files", "paths of which none is the folder of another", in_quotes(paths[i - 1].substr(0, paths[i - 1].size() - 1)));
    }
  }
  check_carried(manifest, manifest.card, "card");
  for (std::size_t i = 0; i < manifest.variants.size(); ++i) listed(manifest, manifest.variants[i].file, at("variants", i, "file"));
}

// The input of the one kind that a task reads.
template <typename T>
const T& only_input(const Manifest& manifest, const char* kind) {
  if (manifest.inputs.size() != 1) {
    fail_manifest("inputs", std::string("one input of kind ") + kind, std::to_string(manifest.inputs.size()));
  }
  const T* input = std::get_if<T>(&manifest.inputs[0]);
  if (input == nullptr) {
    fail_manifest("inputs[0].kind", std::string(kind) + " for the task " + std::string(kTaskNames[static_cast<std::size_t>(manifest.task)]),
                  "another kind");
  }
  return *input;
}

// Index of the only output of a kind.
std::size_t only_output(const Manifest& manifest, OutputKind kind) {
  const std::string name(kOutputKindNames[static_cast<std::size_t>(kind)]);
  std::vector<std::size_t> found;
  for (std::size_t i = 0; i < manifest.outputs.size(); ++i) {
    if (manifest.outputs[i].kind == kind) found.push_back(i);
  }
  if (found.size() != 1) fail_manifest("outputs", "one output of kind " + name, std::to_string(found.size()));
  return found[0];
}

void check_kinds(const Manifest& manifest, const std::vector<OutputKind>& allowed) {
  for (std::size_t i = 0; i < manifest.outputs.size(); ++i) {
    if (std::find(allowed.begin(), allowed.end(), manifest.outputs[i].kind) != allowed.end()) continue;
    std::string all;
    for (const OutputKind kind : allowed) all += (all.empty() ? "" : " | ") + std::string(kOutputKindNames[static_cast<std::size_t>(kind)]);
    fail_manifest(at("outputs", i, "kind"), all + " for the task " + std::string(kTaskNames[static_cast<std::size_t>(manifest.task)]),
                  std::string(kOutputKindNames[static_cast<std::size_t>(manifest.outputs[i].kind)]));
  }
}

// Every known size of the output, its free ones taken as 1, must make `elements` numbers.
void check_elements(const Manifest& manifest, std::size_t output, std::int64_t elements, const std::string& why) {
  std::int64_t count = 1;
  for (const std::int64_t size : manifest.outputs[output].shape) count *= std::max<std::int64_t>(size, 1);
  if (count != elements) {
    fail_manifest(at("outputs", output, "shape"), std::to_string(elements) + " numbers an item (" + why + ")",
                  shown(manifest.outputs[output].shape));
  }
}

void check_no_labels(const Manifest& manifest) {
  if (!manifest.labels.empty())
    fail_manifest("labels", "an empty list for this task", "an array of " + std::to_string(manifest.labels.size()));
}

void check_detection(const Manifest& manifest) {
  const auto& image = only_input<ImageInput>(manifest, "image");
  const auto& ssd = std::get<SsdDecode>(manifest.decode);
  check_kinds(manifest, {OutputKind::kBoxes, OutputKind::kScores});
  check_no_labels(manifest);
  std::int64_t anchors = 0;
  for (std::size_t i = 0; i < ssd.strides.size(); ++i) {
    const std::int64_t columns = (image.width_px + ssd.strides[i] - 1) / ssd.strides[i];
    const std::int64_t rows = (image.height_px + ssd.strides[i] - 1) / ssd.strides[i];
    anchors += columns * rows * ssd.anchors_per_cell[i];
  }
  const std::string why = std::to_string(anchors) + " anchors from decode and the size of the input";
  const auto values = static_cast<std::int64_t>(4 + 2 * ssd.key_points.size());
  check_elements(manifest, only_output(manifest, OutputKind::kBoxes), anchors * values,
                 why + ", " + std::to_string(values) + " values each");
  check_elements(manifest, only_output(manifest, OutputKind::kScores), anchors, why);
}

void check_classes(const Manifest& manifest) {
  const auto& decode = std::get<ClassDecode>(manifest.decode);
  check_kinds(manifest, {OutputKind::kProbabilities, OutputKind::kLogits, OutputKind::kEmbedding});
  const bool ready = decode.activation == Activation::kIdentity;
  const std::size_t output = only_output(manifest, ready ? OutputKind::kProbabilities : OutputKind::kLogits);
  if (manifest.labels.empty()) fail_manifest("labels", "at least one label", "an empty array");
  check_elements(manifest, output, static_cast<std::int64_t>(manifest.labels.size()), "one a label");
  const std::size_t thresholds = decode.activation == Activation::kSigmoid ? manifest.labels.size() : 0;
  if (decode.thresholds.size() != thresholds) {
    fail_manifest("decode.thresholds",
                  thresholds == 0 ? "an empty array for this kind of decode" : std::to_string(thresholds) + " numbers, one a label",
                  "an array of " + std::to_string(decode.thresholds.size()));
  }
}

void check_landmarks(const Manifest& manifest) {
  only_input<ImageInput>(manifest, "image");
  check_kinds(manifest, {OutputKind::kLandmarks, OutputKind::kPresence});
  check_no_labels(manifest);
  const int count = std::get<LandmarkDecode>(manifest.decode).count;
  check_elements(manifest, only_output(manifest, OutputKind::kLandmarks), 3LL * count, "x, y and z of each landmark");
  check_elements(manifest, only_output(manifest, OutputKind::kPresence), 1, "one logit");
}

void check_blendshapes(const Manifest& manifest) {
  const auto& input = only_input<TensorInput>(manifest, "tensor");
  const auto points = static_cast<std::int64_t>(std::get<BlendshapeDecode>(manifest.decode).landmark_indices.size());
  const std::size_t rank = input.shape.size();
  if (rank < 2 || input.shape[rank - 1] != 2 || input.shape[rank - 2] != points) {
    fail_manifest("inputs[0].shape", "[..., " + std::to_string(points) + ", 2], a point a landmark index", shown(input.shape));
  }
  check_kinds(manifest, {OutputKind::kBlendshapes});
  if (manifest.labels.empty()) fail_manifest("labels", "at least one label", "an empty array");
  check_elements(manifest, only_output(manifest, OutputKind::kBlendshapes), static_cast<std::int64_t>(manifest.labels.size()),
                 "one a label");
}

void check_text(const Manifest& manifest) {
  const auto& text = only_input<TextInput>(manifest, "text");
  check_carried(manifest, text.tokenizer, "inputs[0].tokenizer");
  const bool twice =
      text.mask_tensor == text.tensor || (text.type_tensor && (*text.type_tensor == text.tensor || *text.type_tensor == text.mask_tensor));
  if (twice) fail_manifest("inputs[0]", "different names for tensor, mask_tensor and type_tensor", "a name twice");
}

// One vector a text, pooled by the network ([-1, D]), or one a token ([-1, -1, D]).
void check_embedding(const Manifest& manifest) {
  check_kinds(manifest, {OutputKind::kEmbedding});
  check_no_labels(manifest);
  const std::size_t output = only_output(manifest, OutputKind::kEmbedding);
  const auto& shape = manifest.outputs[output].shape;
  const bool pooled = std::get<EmbeddingDecode>(manifest.decode).pooling == Pooling::kNone;
  const std::size_t rank = pooled ? 2 : 3;
  if (shape.size() != rank || shape.back() < 1 || std::any_of(shape.begin(), shape.end() - 1, [](std::int64_t n) { return n != -1; })) {
    fail_manifest(at("outputs", output, "shape"), pooled ? "[-1, D] for pooling none" : "[-1, -1, D] for pooling mean or cls",
                  shown(shape));
  }
}

void check_span(const Manifest& manifest) {
  check_kinds(manifest, {OutputKind::kSpanLogits});
  check_no_labels(manifest);
  const std::size_t output = only_output(manifest, OutputKind::kSpanLogits);
  const auto& shape = manifest.outputs[output].shape;
  if (shape != std::vector<std::int64_t>{-1, -1, 2}) {
    fail_manifest(at("outputs", output, "shape"), "[-1, -1, 2], two logits a token", shown(shape));
  }
  const auto& span = std::get<SpanDecode>(manifest.decode);
  const int tokens = std::get<TextInput>(manifest.inputs[0]).max_tokens;
  // Any answer then lies whole in one of the windows, and there is room beside the overlap to go on in.
  if (span.overlap_tokens < span.max_answer_tokens - 1 || 2 * static_cast<std::int64_t>(span.overlap_tokens) >= tokens) {
    fail_manifest("decode.overlap_tokens",
                  "at least " + std::to_string(span.max_answer_tokens - 1) + " (max_answer_tokens - 1) and under half of the " +
                      std::to_string(tokens) + " tokens of the input",
                  std::to_string(span.overlap_tokens));
  }
}

void check_pair(const Manifest& manifest) {
  check_kinds(manifest, {OutputKind::kLogits});
  const std::size_t output = only_output(manifest, OutputKind::kLogits);
  const auto count = static_cast<std::int64_t>(manifest.labels.size());
  const auto& shape = manifest.outputs[output].shape;
  if (count == 0) fail_manifest("labels", "at least one label", "an empty array");
  if (shape != std::vector<std::int64_t>{-1, count}) {
    fail_manifest(at("outputs", output, "shape"), shown({-1, count}) + ", a logit a label", shown(shape));
  }
  const std::string& yes = std::get<PairDecode>(manifest.decode).yes;
  if (std::none_of(manifest.labels.begin(), manifest.labels.end(), [&](const Label& label) { return label.name == yes; })) {
    fail_manifest("decode.yes", "the name of a label", in_quotes(yes));
  }
}

void check_outputs(const Manifest& manifest) {
  std::set<std::string> seen;
  for (std::size_t i = 0; i < manifest.outputs.size(); ++i) {
    if (!seen.insert(manifest.outputs[i].tensor).second) {
      fail_manifest(at("outputs", i, "tensor"), "every tensor once", in_quotes(manifest.outputs[i].tensor));
    }
  }
}

void check_formats(const Manifest& manifest) {
  const std::string format = manifest.task == Task::kDialogue ? "gguf" : "onnx";
  for (std::size_t i = 0; i < manifest.variants.size(); ++i) {
    if (manifest.variants[i].format == format) continue;
    fail_manifest(at("variants", i, "format"), format + " for the task " + std::string(kTaskNames[static_cast<std::size_t>(manifest.task)]),
                  in_quotes(manifest.variants[i].format));
  }
}

void check_golden(const Manifest& manifest) {
  const bool text = manifest.task >= Task::kTextEmotion;
  const std::string input = text ? "text" : manifest.task == Task::kFaceBlendshapes ? "points" : "image";
  // In the order of Task.
  static constexpr const char* kResults[] = {"detections", "landmarks", "scores", "probs", "probs",
                                             "embedding",  "logits",    "probs",  "tokens"};
  const std::string result = kResults[static_cast<std::size_t>(manifest.task)];
  for (std::size_t i = 0; i < manifest.golden.size(); ++i) {
    const Golden& golden = manifest.golden[i];
    if (!golden.input.contains(input)) fail_manifest(at("golden", i, "input"), "the key " + input, in_quotes(golden.input.begin()->first));
    if (golden.input.contains("question") != (manifest.task == Task::kTextSpan)) {
      fail_manifest(at("golden", i, "input"), "the key question for the task text-span, and for no other",
                    golden.input.contains("question") ? "it" : "none");
    }
    if (!text) check_npy(manifest, golden.input.at(input), at("golden", i, "input." + input));
    if (golden.expected.size() != 1 || !golden.expected.contains(result)) {
      fail_manifest(at("golden", i, "expected"), "the key " + result + " only",
                    golden.expected.empty() ? "none" : in_quotes(golden.expected.begin()->first));
    }
    check_npy(manifest, golden.expected.at(result), at("golden", i, "expected." + result));
  }
}

}  // namespace

void check_manifest(const Manifest& manifest) {
  check_files(manifest);
  check_outputs(manifest);
  check_formats(manifest);
  switch (manifest.task) {
    case Task::kFaceDetection:
      check_detection(manifest);
      break;
    case Task::kFaceLandmarks:
      check_landmarks(manifest);
      break;
    case Task::kFaceBlendshapes:
      check_blendshapes(manifest);
      break;
    case Task::kFaceExpression:
      only_input<ImageInput>(manifest, "image");
      check_classes(manifest);
      break;
    case Task::kTextEmotion:
      check_text(manifest);
      check_classes(manifest);
      break;
    case Task::kTextEmbedding:
      check_text(manifest);
      check_embedding(manifest);
      break;
    case Task::kTextSpan:
      check_text(manifest);
      check_span(manifest);
      break;
    case Task::kTextPair:
      check_text(manifest);
      check_pair(manifest);
      break;
    case Task::kDialogue:
      only_input<ChatInput>(manifest, "chat");
      check_kinds(manifest, {OutputKind::kText});
      check_no_labels(manifest);
      break;
  }
  check_golden(manifest);
}

}  // namespace affectrt
