#include "affectrt/face/detector.h"

namespace affectrt {

FaceDetector::FaceDetector(const Pack& pack, const std::string& precision, const EngineOptions& options)
    : workspaces_([this] { return std::make_unique<Workspace>(*this); }) {
  const Manifest& manifest = pack.manifest();
  expect_task(manifest, Task::kFaceDetection, "face-detection");
  input_ = only_input<ImageInput>(manifest, "image");
  decode_ = std::get<SsdDecode>(manifest.decode);
  target_ = TensorTarget::from(input_);
  anchors_ = make_anchors(decode_, input_.width_px, input_.height_px);
  engine_ = open_network(pack, precision, options);
  input_index_ = affectrt::input_index(*engine_, manifest, input_.tensor);
  boxes_index_ = output_index(*engine_, manifest, output_of(manifest, OutputKind::kBoxes, "boxes").tensor);
  scores_index_ = output_index(*engine_, manifest, output_of(manifest, OutputKind::kScores, "scores").tensor);
  expect_fits(manifest, [this] { workspaces_.take(); });
}

FaceDetector::Workspace::Workspace(const FaceDetector& d)
    : input(d.target_.size()),
      boxes(d.anchors_.size() * (4 + 2 * d.decode_.key_points.size())),
      scores(d.anchors_.size()),
      binding(*d.engine_) {
  const auto n = static_cast<std::int64_t>(d.anchors_.size());
  const std::int64_t h = d.input_.height_px, w = d.input_.width_px, c = d.target_.channels();
  const auto shape = d.input_.layout == Layout::kNchw ? std::array<std::int64_t, 4>{1, c, h, w} : std::array<std::int64_t, 4>{1, h, w, c};
  binding.bind_input(d.input_index_, input.data(), input.size() * sizeof(float), shape);
  const std::array<std::int64_t, 3> box_shape{1, n, static_cast<std::int64_t>(boxes.size()) / n}, score_shape{1, n, 1};
  binding.bind_output(d.boxes_index_, boxes.data(), boxes.size() * sizeof(float), box_shape);
  binding.bind_output(d.scores_index_, scores.data(), scores.size() * sizeof(float), score_shape);
}

std::vector<Detection> FaceDetector::detect(const ImageView& image) const {
  check_image(image);
  const Affine to_source = fit_whole(image.width, image.height, input_.width_px, input_.height_px, input_.fit);
  auto workspace = workspaces_.take();
  image_to_tensor(image, to_source, target_, workspace->input.data());
  workspace->binding.run();
  auto detections =
      weighted_nms(decode_detections(workspace->scores, workspace->boxes, anchors_, unit_px(), decode_), decode_.iou_threshold);
  to_image(to_source, detections);
  return detections;
}

void FaceDetector::to_image(const Affine& to_source, std::vector<Detection>& detections) {
  // Boxes are in edge coordinates (the first pixel spans 0 to 1), the map between pixel centres: half a pixel lies between the two.
  const auto moved = [&to_source](float x, float y) {
    const Point p = apply(to_source, {x - 0.5f, y - 0.5f});
    return Point{p.x + 0.5f, p.y + 0.5f};
  };
  for (auto& d : detections) {
    const Point low = moved(d.x0, d.y0), high = moved(d.x1, d.y1);
    d.x0 = low.x;
    d.y0 = low.y;
    d.x1 = high.x;
    d.y1 = high.y;
    for (auto& point : d.key_points) point = moved(point.x, point.y);
  }
}

}  // namespace affectrt
