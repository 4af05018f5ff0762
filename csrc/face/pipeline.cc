#include "affectrt/face/pipeline.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "affectrt/core/error.h"
#include "affectrt/engine/providers.h"
#include "affectrt/face/gpu_faces.h"
#include "affectrt/ops/detection_gpu.h"
#include "affectrt/pack/text.h"

namespace affectrt {
namespace {

// Above this height a face gives an expression network all the pixels it can use; below, confidence falls with the height.
constexpr float kFullHeightPx = 48.0f;

class Stopwatch {
 public:
  double lap_ms() {
    const auto now = std::chrono::steady_clock::now();
    const double ms = std::chrono::duration<double, std::milli>(now - last_).count();
    last_ = now;
    return ms;
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

// The position of the GPU that a provider's options name.
int gpu_ordinal(const Provider& provider) {
  int ordinal = 0;
  for (const auto& [key, value] : provider.options) {
    if (key != "device_id") continue;
    const char* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, ordinal);
    if (error != std::errc() || stop != end || ordinal < 0)
      throw std::invalid_argument(provider.name + ": option device_id: expected the number of a GPU, from 0, got '" + printable(value) +
                                  "'");
  }
  return ordinal;
}

// Some detection, with points that do not coincide.
Detection whole_face(std::size_t key_points) {
  Detection face{1, 0, 0, 64, 64, {}};
  for (std::size_t i = 0; i < key_points; ++i) face.key_points.push_back({static_cast<float>(10 * i), static_cast<float>(7 * i % 13)});
  return face;
}

}  // namespace

FacePipeline::FacePipeline(const Pack& detector, const Pack* expression, const Pack* landmarks, const Pack* blendshapes,
                           const FaceOptions& options)
    : options_(options),
      gpu_(open_gpu(options_, fallbacks_)),
      detector_(detector, options_.precision, options_.engine),
      tracks_(std::make_shared<Tracks>(options_.tracker)) {
  if (!(options.smoothing_ms >= 0) || !std::isfinite(options.smoothing_ms))
    throw std::invalid_argument("smoothing_ms: expected a finite number of at least 0, got " + std::to_string(options.smoothing_ms));
  if (options.max_faces < 1) throw std::invalid_argument("max_faces: expected at least 1, got " + std::to_string(options.max_faces));
  if (blendshapes && !landmarks) throw std::invalid_argument("blendshapes need a pack of landmarks");
  const auto& points = detector_.key_points();
  if (expression) {
    expect_task(expression->manifest(), Task::kFaceExpression, "face-expression");
    expression_ = std::make_unique<CropModel>(*expression, options_.precision, options_.engine, points);
    labels_ = expression->manifest().labels;
    probs_index_ = probabilities_output(*expression_);
    const auto& decode = std::get<ClassDecode>(expression->manifest().decode);
    affect_ = {decode.activation,      decode.temperature, options_.smoothing_ms, options_.min_face_px,
               options_.min_sharpness, kFullHeightPx,      decode.unknown_below};
  }
  if (landmarks) landmarks_ = std::make_unique<FaceLandmarks>(*landmarks, options_.precision, options_.engine, points);
  if (blendshapes) {
    EngineOptions without_graphs = options_.engine;  // which have no use for tensors of the host
    if (without_graphs.gpu) without_graphs.gpu->graphs = false;
    blendshapes_ = std::make_unique<Blendshapes>(*blendshapes, options_.precision, without_graphs);
    blendshape_names_ = blendshapes->manifest().labels;
    const int count = landmarks_->count();
    for (const int index : std::get<BlendshapeDecode>(blendshapes->manifest().decode).landmark_indices)
      if (index >= count)
        throw PackError(blendshapes->manifest().name + ": reads landmark " + std::to_string(index) + ", and " + landmarks->manifest().name +
                        " gives " + std::to_string(count));
  }
  open_gpu_faces();
  const auto all = engines();
  if (std::any_of(all.begin(), all.end(), [](const Engine* engine) { return engine->gpu().has_value(); }))
    worker_ = std::make_unique<Worker>();
}

FacePipeline::~FacePipeline() = default;

std::unique_ptr<GpuContext> FacePipeline::open_gpu(FaceOptions& options, std::vector<std::string>& fallbacks) {
  const auto& asked = options.engine.providers;
  const auto of_gpu = [](const Provider& provider) { return is_gpu_provider(provider.name); };
  if (options.engine.gpu || std::none_of(asked.begin(), asked.end(), of_gpu)) return nullptr;
  // Where ONNX Runtime has no such provider, the networks say so themselves.
  const std::string provider = providers_to_be_had(options.engine).front();
  if (!is_gpu_provider(provider)) return nullptr;
  const int ordinal = gpu_ordinal(*std::find_if(asked.begin(), asked.end(), [&](const Provider& one) { return one.name == provider; }));
  try {
    auto context = std::make_unique<GpuContext>(ordinal);
    // Before any network opens on this stream: without them none should.
    for (const char* op : {"image_to_tensor", "sharpness", "detection", "align", "affect"}) cuda::Module(context->device, op);
    // Only the CUDA provider is known to keep a graph for each number: others replay the first one for whatever batch comes.
    options.engine.gpu = GpuStream{ordinal, context->stream.handle(), provider == kCudaProvider};
    return context;
  } catch (const DeviceError& error) {
    if (options.engine.strict) throw;
    fallbacks.push_back(std::string("kernels for the GPU: ") + error.what());
    return nullptr;
  }
}

void FacePipeline::open_gpu_faces() {
  const auto on_gpu = [](const Engine& engine) { return engine.gpu().has_value(); };
  if (!gpu_ || !on_gpu(detector_.engine()) || (expression_ && !on_gpu(expression_->engine())) ||
      (landmarks_ && !on_gpu(landmarks_->model().engine())))
    return;
  const std::initializer_list<const CropModel*> cropping = {expression_.get(), landmarks_ ? &landmarks_->model() : nullptr};
  for (const CropModel* model : cropping)
    if (model) model->region(whole_face(detector_.key_points().size()));  // a pack that says no way to cut a face out is refused here
  if (options_.max_faces > gpu::kMaxDetections) {
    const std::string said =
        "expected max_faces of at most " + std::to_string(gpu::kMaxDetections) + " on a GPU, got " + std::to_string(options_.max_faces);
    if (options_.engine.strict) throw DeviceError(said);
    fallbacks_.push_back("kernels for the GPU: " + said);
    return;
  }
  try {
    gpu_faces_ = std::make_unique<GpuFaces>(*gpu_, detector_, expression_.get(), landmarks_.get(), affect_, options_.max_faces);
  } catch (const DeviceError& error) {
    if (options_.engine.strict) throw;
    fallbacks_.push_back(std::string("kernels for the GPU: ") + error.what());
  }
}

void FacePipeline::judge(Face& face, Track& track) const {
  // The tracker has put the stamp in order.
  Affect read = read_affect(face.raw_probs, face.detection.height(), face.sharpness, track.last_seen_ns, labels_, affect_, track.affect);
  face.raw_probs = std::move(read.raw_probs);
  face.probs = std::move(read.probs);
  face.label = read.label;
  face.doubt = read.doubt;
  face.valence = read.valence;
  face.arousal = read.arousal;
  face.dominance = read.dominance;
  face.confidence = read.confidence;
}

template <class F>
void FacePipeline::on_its_thread(const F& work) {
  if (worker_)
    worker_->call(work);
  else
    work();
}

std::vector<Face> FacePipeline::operator()(const ImageView& image, std::int64_t stamp_ns, FaceTimings* timings) {
  Stopwatch total;
  FaceTimings spent;
  std::vector<Face> faces;
  on_its_thread([&] { faces = gpu_faces_ ? on_gpu(image, stamp_ns, spent) : on_cpu(image, stamp_ns, spent); });
  spent.total_ms = total.lap_ms();
  if (timings) *timings = spent;
  return faces;
}

std::vector<Face> FacePipeline::operator()(const cuda::DeviceImage& image, std::int64_t stamp_ns, FaceTimings* timings) {
  if (!gpu_faces_) {
    std::string why;
    for (const auto& fallback : fallbacks()) why += "; " + fallback;
    throw DeviceError("the picture lies on a GPU, and this pipeline runs on " + provider() + why);
  }
  Stopwatch total;
  FaceTimings spent;
  std::vector<Face> faces;
  on_its_thread([&] { faces = on_gpu(image, stamp_ns, spent); });
  spent.total_ms = total.lap_ms();
  if (timings) *timings = spent;
  return faces;
}

std::vector<Face> FacePipeline::on_cpu(const ImageView& image, std::int64_t stamp_ns, FaceTimings& spent) {
  Stopwatch lap;
  auto detections = detector_.detect(image);
  if (detections.size() > static_cast<std::size_t>(options_.max_faces)) detections.resize(static_cast<std::size_t>(options_.max_faces));
  spent.detect_ms = lap.lap_ms();

  std::vector<Face> faces(detections.size());
  std::vector<Affine> regions;
  if (expression_ && !detections.empty()) {
    for (const auto& d : detections) regions.push_back(expression_->region(d));
    CropModel::Outputs outputs;
    expression_->run(image, regions, outputs);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      const float* first = outputs.values[probs_index_].data() + i * labels_.size();
      faces[i].raw_probs.assign(first, first + labels_.size());  // the network's values, until judge()
      faces[i].sharpness = outputs.sharpness[i];
    }
    spent.expression_ms = lap.lap_ms();
  }
  if (landmarks_ && !detections.empty()) {
    regions.clear();
    for (const auto& d : detections) regions.push_back(landmarks_->model().region(d));
    auto found = landmarks_->find(image, regions);
    for (std::size_t i = 0; i < faces.size(); ++i) faces[i].landmarks = std::move(found[i]);
    spent.landmarks_ms = lap.lap_ms();
  }
  add_blendshapes(faces, spent);
  {
    std::lock_guard lock(tracks_->mutex);
    const auto tracks = tracks_->tracker.update(detections, stamp_ns);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      faces[i].detection = std::move(detections[i]);
      faces[i].track_id = tracks[i]->id;
      if (expression_) judge(faces[i], *tracks[i]);
    }
  }
  return faces;
}

void FacePipeline::add_blendshapes(std::vector<Face>& faces, FaceTimings& spent) const {
  if (!blendshapes_ || faces.empty()) return;
  Stopwatch lap;
  for (auto& face : faces)
    if (face.landmarks) face.blendshapes = blendshapes_->from_landmarks(*face.landmarks);
  spent.blendshapes_ms = lap.lap_ms();
}

template <class Image>
std::vector<Face> FacePipeline::on_gpu(const Image& image, std::int64_t stamp_ns, FaceTimings& spent) {
  try {
    return read_on_gpu(image, stamp_ns, spent);
  } catch (...) {
    gpu_faces_->settle();  // what is under way reads the frame, which is the caller's again now
    throw;
  }
}

template <class Image>
std::vector<Face> FacePipeline::read_on_gpu(const Image& image, std::int64_t stamp_ns, FaceTimings& spent) {
  Stopwatch lap;
  auto detections = gpu_faces_->detect(image);
  spent.detect_ms = lap.lap_ms();

  std::vector<Face> faces(detections.size());
  std::vector<int> ids;
  {
    std::lock_guard lock(tracks_->mutex);
    const auto tracks = tracks_->tracker.update(detections, stamp_ns);
    for (std::size_t i = 0; i < faces.size(); ++i) {
      faces[i].detection = std::move(detections[i]);
      faces[i].track_id = tracks[i]->id;
      ids.push_back(tracks[i]->id);
      stamp_ns = tracks[i]->last_seen_ns;  // put in order, the same for all
    }
  }
  std::vector<GpuFaces::Reading> readings;
  std::vector<std::optional<std::vector<Landmark>>> landmarks;
  gpu_faces_->read(ids, stamp_ns, readings, landmarks);
  for (std::size_t i = 0; expression_ && i < faces.size(); ++i) {
    faces[i].raw_probs = std::move(readings[i].raw_probs);
    faces[i].probs = std::move(readings[i].probs);
    faces[i].sharpness = readings[i].sharpness;
    faces[i].valence = readings[i].affect.valence;
    faces[i].arousal = readings[i].affect.arousal;
    faces[i].dominance = readings[i].affect.dominance;
    faces[i].confidence = readings[i].affect.confidence;
    faces[i].label = readings[i].affect.label;
    faces[i].doubt = static_cast<Doubt>(readings[i].affect.doubt);
  }
  for (std::size_t i = 0; i < landmarks.size(); ++i) faces[i].landmarks = std::move(landmarks[i]);
  // One wait is for all networks, so what each took is not known here; it counts as the expression's.
  spent.expression_ms = lap.lap_ms();
  add_blendshapes(faces, spent);
  return faces;
}

const cuda::Stream* FacePipeline::gpu_stream() const { return gpu_faces_ ? &gpu_faces_->stream() : nullptr; }

std::vector<const Engine*> FacePipeline::engines() const {
  std::vector<const Engine*> all{&detector_.engine()};
  if (expression_) all.push_back(&expression_->engine());
  if (landmarks_) all.push_back(&landmarks_->model().engine());
  if (blendshapes_) all.push_back(&blendshapes_->engine());
  return all;
}

std::vector<std::string> FacePipeline::fallbacks() const {
  std::vector<std::string> all = fallbacks_;
  for (const Engine* engine : engines())
    for (const auto& fallback : engine->fallbacks())
      if (std::find(all.begin(), all.end(), fallback) == all.end()) all.push_back(fallback);
  return all;
}

void FacePipeline::reset() {
  on_its_thread([this] {
    const std::lock_guard lock(tracks_->mutex);
    tracks_->tracker.reset();
    if (gpu_faces_) gpu_faces_->reset();
  });
}

}  // namespace affectrt
