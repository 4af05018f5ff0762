#include "affectrt/face/gpu_faces.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "affectrt/face/gpu_crop.h"
#include "affectrt/gpu/pointer.h"
#include "affectrt/ops/detection_gpu.h"
#include "affectrt/ops/sharpness_gpu.h"

namespace affectrt {
namespace {

using cuda::DevicePtr;
using gpu::pointer;

constexpr std::size_t kFloat = sizeof(float);

cuda::Kernel kernel(const GpuContext& context, const char* op, const char* name) { return cuda::Module(context.device, op).kernel(name); }

std::vector<Label> labels_of(const CropModel* expression) { return expression ? expression->manifest().labels : std::vector<Label>{}; }

float logit(float probability) {
  const float p = std::clamp(probability, 1e-6f, 1.0f - 1e-6f);
  return std::log(p / (1.0f - p));
}

}  // namespace

GpuFaces::GpuFaces(const GpuContext& context, const FaceDetector& detector, const CropModel* expression, const FaceLandmarks* landmarks,
                   const AffectOptions& affect, int max_faces)
    : context_(&context),
      detector_(&detector),
      landmark_model_(landmarks),
      affect_options_(affect),
      capacity_(static_cast<std::size_t>(std::min(max_faces, gpu::kMaxDetections))),
      row_values_(5 + 2 * detector.key_points().size()),
      labels_(labels_of(expression).size()),
      image_to_tensor_(context.device),
      detection_(kernel(context, "detection", "detection")),
      sharpness_(kernel(context, "sharpness", "sharpness_f32")),
      align_box_(kernel(context, "align", "align_box")),
      align_points_(kernel(context, "align", "align_points")),
      affect_(kernel(context, "affect", "affect")),
      upload_(context.device),
      tensor_(context.device, detector.target().size() * kFloat),
      boxes_(context.device, detector.anchors().size() * (row_values_ - 1) * kFloat),
      scores_(context.device, detector.anchors().size() * kFloat),
      anchors_(context.device, detector.anchors().size() * sizeof(Point)),
      whole_map_(context.device, 6 * kFloat),
      rows_(context.device, capacity_ * row_values_ * kFloat),
      status_(context.device, 2 * sizeof(int)),
      sharp_(context.device, capacity_ * kFloat),
      faces_(context.device, capacity_ * sizeof(gpu::AffectFace)),
      ratings_(context.device, std::max<std::size_t>(1, 3 * labels_) * kFloat),
      track_probs_(context.device, std::max<std::size_t>(1, kTracksAFace * capacity_ * labels_) * kFloat),
      track_states_(context.device, kTracksAFace * capacity_ * sizeof(gpu::AffectTrackState)),
      raw_probs_(context.device, std::max<std::size_t>(1, capacity_ * labels_) * kFloat),
      probs_(context.device, std::max<std::size_t>(1, capacity_ * labels_) * kFloat),
      readings_(context.device, capacity_ * sizeof(gpu::AffectReading)),
      home_(context.device),
      sent_(context.device, capacity_ * sizeof(gpu::AffectFace)),
      located_(context.device),
      detector_binding_(std::make_unique<Binding>(detector.engine())) {
  const auto& stream = context.stream;
  std::size_t home = 64 + (capacity_ * row_values_ + detector.anchors().size() * row_values_) * kFloat;
  home += capacity_ * (sizeof(gpu::AffectReading) + (2 * labels_ + 1) * kFloat) + 256;
  if (expression) {
    expression_ = std::make_unique<Crop>(context, *expression, capacity_);
    probs_output_ = probabilities_output(*expression);
  }
  if (landmarks) {
    landmarks_ = std::make_unique<Crop>(context, landmarks->model(), capacity_);
    for (std::size_t i = 0; i < landmarks_->outputs.size(); ++i) home += capacity_ * landmarks->model().values_of(i) * kFloat + 16;
    home += capacity_ * sizeof(Affine);
  }
  home_.reserve(home);

  // Constants go up once; the host's copies must stay until they have.
  std::vector<float> ratings;
  for (const auto& label : labels_of(expression)) ratings.push_back(label.valence);
  for (const auto& label : labels_of(expression)) ratings.push_back(label.arousal);
  for (const auto& label : labels_of(expression)) ratings.push_back(label.dominance.value_or(0.0f));
  cuda::copy_to_device(anchors_.data(), detector.anchors().data(), detector.anchors().size() * sizeof(Point), stream);
  if (!ratings.empty()) cuda::copy_to_device(ratings_.data(), ratings.data(), ratings.size() * kFloat, stream);
  cuda::fill(track_states_.data(), 0, kTracksAFace * capacity_ * sizeof(gpu::AffectTrackState), stream);
  stream.synchronize();

  const auto n = static_cast<std::int64_t>(detector.anchors().size());
  const auto& input = detector.input();
  const std::int64_t h = input.height_px, w = input.width_px, c = detector.target().channels();
  const auto shape = input.layout == Layout::kNchw ? std::array<std::int64_t, 4>{1, c, h, w} : std::array<std::int64_t, 4>{1, h, w, c};
  const std::array<std::int64_t, 3> box_shape{1, n, static_cast<std::int64_t>(row_values_ - 1)}, score_shape{1, n, 1};
  detector_binding_->bind_input(detector.input_index(), pointer<void>(tensor_.data()), tensor_.bytes(), shape, Memory::kGpu);
  detector_binding_->bind_output(detector.boxes_index(), pointer<void>(boxes_.data()), boxes_.bytes(), box_shape, Memory::kGpu);
  detector_binding_->bind_output(detector.scores_index(), pointer<void>(scores_.data()), scores_.bytes(), score_shape, Memory::kGpu);
}

GpuFaces::~GpuFaces() { settle(); }

void GpuFaces::settle() noexcept {
  try {
    finish();
  } catch (const DeviceError&) {
    // The device is gone, and with it the work that used our memory; if it is not, the next frame waits again.
  }
}

void GpuFaces::finish() {
  if (under_way_) context_->stream.synchronize();
  under_way_ = false;
}

std::vector<Detection> GpuFaces::detect(const ImageView& image) {
  check_image(image);
  finish();
  under_way_ = true;
  return locate(upload_(image, context_->stream));
}

std::vector<Detection> GpuFaces::detect(const cuda::DeviceImage& image) {
  finish();
  under_way_ = true;
  return locate(image);
}

std::vector<Detection> GpuFaces::locate(const cuda::DeviceImage& image) {
  const auto& stream = context_->stream;
  found_ = 0;
  if (image.width != whole_width_ || image.height != whole_height_) {
    const auto& input = detector_->input();
    whole_width_ = whole_height_ = 0;  // until the new map is there
    whole_ = fit_whole(image.width, image.height, input.width_px, input.height_px, input.fit);
    cuda::copy_to_device(whole_map_.data(), &whole_, sizeof whole_, stream);
    stream.synchronize();  // once for each size of frame: the map is ours to change again
    whole_width_ = image.width;
    whole_height_ = image.height;
  }
  image_to_tensor_(image, whole_map_.data(), 0, 1, detector_->target(), tensor_.data(), stream);
  detector_binding_->run(0);

  const auto& decode = detector_->decode();
  gpu::DetectionArgs args{};
  args.scores = pointer<const float>(scores_.data());
  args.boxes = pointer<const float>(boxes_.data());
  args.anchors = pointer<const float>(anchors_.data());
  args.to_source = pointer<const float>(whole_map_.data());
  args.rows = pointer<float>(rows_.data());
  args.status = pointer<int>(status_.data());
  args.anchor_count = static_cast<int>(detector_->anchors().size());
  args.key_points = static_cast<int>(detector_->key_points().size());
  args.max_detections = static_cast<int>(capacity_);
  args.least_logit = logit(decode.score_threshold);
  args.score_clip = decode.score_clip;
  args.iou_threshold = decode.iou_threshold;
  args.unit_px = detector_->unit_px();
  cuda::launch(detection_, {{1}, {gpu::kDetectionThreads}}, stream, args);

  // The rows go home while the crops are cut: the host has the tracks to see to.
  enqueue_rows_home();
  cut_crops(image);
  located_.synchronize();
  Cursor home{home_.data()};
  const int* status = home.take<int>(2);
  if (status[1] > gpu::kMaxCandidates) return decode_on_cpu(image);
  found_ = static_cast<std::size_t>(status[0]);
  return rows_to_detections(found_);
}

void GpuFaces::enqueue_rows_home() {
  const auto& stream = context_->stream;
  Cursor home{home_.data()};
  cuda::copy_to_host(home.take<int>(2), status_.data(), 2 * sizeof(int), stream);
  cuda::copy_to_host(home.take<float>(capacity_ * row_values_), rows_.data(), capacity_ * row_values_ * kFloat, stream);
  located_.record(stream);
}

std::vector<Detection> GpuFaces::rows_to_detections(std::size_t count) const {
  Cursor home{home_.data()};
  home.take<int>(2);
  const float* row = home.take<float>(capacity_ * row_values_);
  std::vector<Detection> detections(count);
  for (auto& d : detections) {
    d.score = row[0];
    d.x0 = row[1];
    d.y0 = row[2];
    d.x1 = row[3];
    d.y1 = row[4];
    for (std::size_t k = 5; k < row_values_; k += 2) d.key_points.push_back({row[k], row[k + 1]});
    row += row_values_;
  }
  return detections;
}

std::vector<Detection> GpuFaces::decode_on_cpu(const cuda::DeviceImage& image) {
  const auto& stream = context_->stream;
  const std::size_t n = detector_->anchors().size();
  Cursor home{home_.data()};
  int* status = home.take<int>(2);
  float* rows = home.take<float>(capacity_ * row_values_);
  float* scores = home.take<float>(n);
  float* boxes = home.take<float>(n * (row_values_ - 1));
  cuda::copy_to_host(scores, scores_.data(), n * kFloat, stream);
  cuda::copy_to_host(boxes, boxes_.data(), n * (row_values_ - 1) * kFloat, stream);
  stream.synchronize();
  auto detections = weighted_nms(
      decode_detections({scores, n}, {boxes, n * (row_values_ - 1)}, detector_->anchors(), detector_->unit_px(), detector_->decode()),
      detector_->decode().iou_threshold);
  FaceDetector::to_image(whole_, detections);
  if (detections.size() > capacity_) detections.resize(capacity_);
  found_ = detections.size();
  ++decoded_on_cpu_;

  status[0] = static_cast<int>(found_);
  for (const auto& d : detections) {
    for (const float value : {d.score, d.x0, d.y0, d.x1, d.y1}) *rows++ = value;
    for (const auto& point : d.key_points) {
      *rows++ = point.x;
      *rows++ = point.y;
    }
  }
  Cursor again{home_.data()};
  cuda::copy_to_device(status_.data(), again.take<int>(2), 2 * sizeof(int), stream);
  if (found_) cuda::copy_to_device(rows_.data(), again.take<float>(capacity_ * row_values_), found_ * row_values_ * kFloat, stream);
  cut_crops(image);
  return detections;
}

void GpuFaces::cut_crops(const cuda::DeviceImage& image) {
  const auto& stream = context_->stream;
  for (Crop* crop : {expression_.get(), landmarks_.get()}) {
    if (!crop) continue;
    const CropModel& model = *crop->model;
    const cuda::LaunchShape shape{{cuda::blocks_for(capacity_, gpu::kAlignThreads)}, {gpu::kAlignThreads}};
    if (const auto* points = std::get_if<KeyPointCrop>(&*model.input().crop)) {
      gpu::AlignPointsArgs args{};
      args.rows = pointer<const float>(rows_.data());
      args.count = pointer<const int>(status_.data());
      args.regions = pointer<float>(crop->regions.data());
      args.row_values = static_cast<int>(row_values_);
      args.max_count = static_cast<int>(capacity_);
      args.points = static_cast<int>(model.template_points().size());
      for (std::size_t i = 0; i < model.template_points().size(); ++i) {
        args.index[i] = model.template_points()[i];
        args.template_x[i] = points->template_px[i][0];
        args.template_y[i] = points->template_px[i][1];
      }
      cuda::launch(align_points_, shape, stream, args);
    } else {
      const auto& box = std::get<BoxCrop>(*model.input().crop);
      gpu::AlignBoxArgs args{};
      args.rows = pointer<const float>(rows_.data());
      args.count = pointer<const int>(status_.data());
      args.regions = pointer<float>(crop->regions.data());
      args.row_values = static_cast<int>(row_values_);
      args.max_count = static_cast<int>(capacity_);
      args.right_eye = box.rotate ? model.right_eye() : -1;
      args.left_eye = box.rotate ? model.left_eye() : -1;
      args.square = box.square ? 1 : 0;
      args.scale = box.scale;
      args.shift_x = box.shift_x;
      args.shift_y = box.shift_y;
      args.tensor_width_px = model.target().width_px;
      args.tensor_height_px = model.target().height_px;
      cuda::launch(align_box_, shape, stream, args);
    }
    image_to_tensor_(image, crop->regions.data(), status_.data(), static_cast<int>(capacity_), model.target(), crop->input.data(), stream);
  }
  if (!expression_) return;
  const TensorTarget& target = expression_->model->target();
  const int pixels = target.width_px * target.height_px;
  gpu::SharpnessArgs args{};
  args.tensor = pointer<const void>(expression_->input.data());
  args.count = pointer<const int>(status_.data());
  args.sharpness = pointer<float>(sharp_.data());
  args.slot_step = static_cast<long long>(target.size());
  args.channel_step = target.layout == Layout::kNchw ? pixels : 1;
  args.width_px = target.width_px;
  args.height_px = target.height_px;
  args.channels = target.channels();
  args.least_variance = static_cast<float>(kLeastVariance);
  cuda::launch(sharpness_, {{static_cast<unsigned>(capacity_)}, {gpu::kSharpnessThreads}}, stream, args);
}

}  // namespace affectrt
