// Prints the faces of a picture: where they are and what they show. No Python at run time.
//
//   AFFECTRT_ORT_LIBRARY=/path/to/libonnxruntime.so faces PACKS picture.ppm
//
// PACKS is the folder that holds blazeface-full-range and fernet-fer7 (python/affectrt/packs/default in the source tree,
// affectrt/packs/default in an installed wheel). The picture is a binary PPM (P6, 8 bits a channel): `ffmpeg -i photo.jpg picture.ppm`, or
// in Python `PIL.Image.open("photo.jpg").convert("RGB").save("picture.ppm")`.
#include <affectrt/face/pipeline.h>

#include <cstdio>
#include <exception>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

struct Picture {
  int width = 0, height = 0;
  std::vector<unsigned char> rgb;
};

Picture read_ppm(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string magic;
  int maximum = 0;
  Picture picture;
  file >> magic >> picture.width >> picture.height >> maximum;
  file.get();  // the one white space before the pixels
  if (!file || magic != "P6" || maximum != 255 || picture.width <= 0 || picture.height <= 0 || picture.width > affectrt::kMaxImageSide ||
      picture.height > affectrt::kMaxImageSide)
    throw std::invalid_argument(path + ": expected a binary PPM (P6) of 8 bits a channel");
  picture.rgb.resize(std::size_t(picture.width) * picture.height * 3);
  if (!file.read(reinterpret_cast<char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size())))
    throw std::invalid_argument(path + ": expected " + std::to_string(picture.rgb.size()) + " bytes of pixels, the file ends early");
  return picture;
}

void print_faces(const std::filesystem::path& packs, const std::string& picture_path) {
  const Picture picture = read_ppm(picture_path);
  const auto detector = affectrt::Pack::open(packs / "blazeface-full-range");
  const auto expression = affectrt::Pack::open(packs / "fernet-fer7");
  affectrt::FacePipeline pipeline(detector, &expression, nullptr, nullptr);

  affectrt::ImageView view;
  view.data = picture.rgb.data();
  view.width = picture.width;
  view.height = picture.height;
  view.row_bytes = std::size_t(picture.width) * 3;
  view.format = affectrt::PixelFormat::kRgb8;

  affectrt::FaceTimings timings;
  const auto faces = pipeline(view, /*stamp_ns=*/0, &timings);
  std::printf("%zu face(s) on %s in %.2f ms\n", faces.size(), pipeline.provider().c_str(), timings.total_ms);
  for (const auto& face : faces) {
    const auto& d = face.detection;
    const char* label = face.label < 0 ? "unknown" : pipeline.labels()[std::size_t(face.label)].name.c_str();
    std::printf("#%d  %.0f,%.0f to %.0f,%.0f  score %.2f  %s  confidence %.2f  valence %+.2f  arousal %+.2f\n", face.track_id, d.x0, d.y0,
                d.x1, d.y1, d.score, label, face.confidence, face.valence, face.arousal);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: %s PACKS picture.ppm\n", argv[0]);
    return 2;
  }
  try {
    print_faces(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
