// Pictures of other libraries, and dma-buf memory.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "affectrt/device/buffer.h"
#include "affectrt/device/dmabuf.h"
#include "affectrt/device/import.h"
#include "harness.h"

using namespace affectrt::cuda;
using affectrt::PixelFormat;
using harness::count_of;
using harness::expect;
using harness::fake;

namespace {

DeviceArray array_of(const Buffer& buffer, std::vector<std::int64_t> shape) {
  DeviceArray array;
  array.data = buffer.data();
  array.dtype = "|u1";
  array.shape = std::move(shape);
  return array;
}

}  // namespace

SCENARIO(pictures_are_taken_where_they_are) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 4096);
  auto array = array_of(buffer, {4, 6, 3});
  array.owner = std::make_shared<int>(1);
  DeviceImage image = device_image(array, PixelFormat::kBgr8, stream);
  CHECK(image.data == buffer.data() && image.width == 6 && image.height == 4 && image.row_bytes == 18 && image.uv == 0);
  CHECK(image.format == PixelFormat::kBgr8 && image.owner == array.owner);
  array.strides = {{64, 3, 1}};
  CHECK(device_image(array, PixelFormat::kRgb8, stream).row_bytes == 64);
  image = device_image(array_of(buffer, {6, 8}), PixelFormat::kNv12, stream);
  CHECK(image.height == 4 && image.uv == buffer.data() + 32 && image.uv_row_bytes == 8);
  CHECK(device_image(array_of(buffer, {6, 8, 1}), PixelFormat::kMono8, stream).height == 6);
  CHECK(device_image(array_of(buffer, {6, 8, 2}), PixelFormat::kYuv422Yuy2, stream).row_bytes == 16);
}

SCENARIO(pictures_that_do_not_fit_are_told) {
  const Device device(0);
  const Stream stream(device);
  const Buffer buffer(device, 4096);
  const auto refuse = [&](DeviceArray array, PixelFormat format, const std::vector<std::string>& parts) {
    expect<std::invalid_argument>([&] { device_image(array, format, stream, "frame"); }, parts);
  };
  auto array = array_of(buffer, {4, 6, 3});
  array.dtype = "<f4";
  refuse(array, PixelFormat::kRgb8, {"frame: expected dtype |u1 (uint8), got <f4"});
  refuse(array_of(buffer, {4, 6, 4}), PixelFormat::kRgb8, {"frame: expected shape (height, width, 3) for color='rgb8', got (4, 6, 4)"});
  refuse(array_of(buffer, {4, 6}), PixelFormat::kRgba8, {"(height, width, 4)", "got (4, 6)"});
  refuse(array_of(buffer, {4, 6}), PixelFormat::kNv12, {"(height * 3/2, width)", "got (4, 6)"});
  refuse(array_of(buffer, {6, 5}), PixelFormat::kNv12, {"an even width"});
  refuse(array_of(buffer, {0, 6, 3}), PixelFormat::kRgb8, {"at least one pixel, got shape (0, 6, 3)"});
  refuse(array_of(buffer, {16385, 1, 3}), PixelFormat::kRgb8, {"at most 16384 px a side"});
  array = array_of(buffer, {4, 6, 3});
  for (const auto& strides : {std::vector<std::int64_t>{-18, 3, 1}, {17, 3, 1}, {64, 4, 1}, {18, 3, -1}}) {
    array.strides = strides;
    refuse(array, PixelFormat::kRgb8, {"pixels that lie one after another in each row and rows of at least 18 bytes, got strides"});
  }
  array.strides = {{18, 3}};
  refuse(array, PixelFormat::kRgb8, {"expected 3 strides, got (18, 3)"});
  array = array_of(buffer, {4, 6, 3});
  array.data = 0x1000;
  refuse(array, PixelFormat::kRgb8, {"expected memory of cuda:0, got address 0x1000, which the driver does not know"});
  const PinnedBuffer pinned(device, 128);
  array.data = reinterpret_cast<DevicePtr>(pinned.data());
  refuse(array, PixelFormat::kRgb8, {"which is not memory of a GPU"});
}

SCENARIO(pictures_of_another_gpu_are_told) {
  fake().set_device(2, 87, 13000, std::uint64_t{1} << 30);
  const Device device(0), second(1);
  const Stream stream(device);
  const Buffer buffer(second, 4096);
  expect<std::invalid_argument>([&] { device_image(array_of(buffer, {4, 6, 3}), PixelFormat::kRgb8, stream); },
                                {"image: expected memory of cuda:0, got memory of cuda:1"});
}

SCENARIO(producers_are_waited_for) {
  const Device device(0);
  const Stream stream(device), producer(device);
  const Buffer buffer(device, 64);
  fill(buffer.data(), 1, 64, producer);
  wait_for_producer(stream, reinterpret_cast<std::int64_t>(producer.handle()), "frame");
  fill(buffer.data(), 2, 64, stream);  // would be a race
  stream.synchronize();
  const std::size_t records = count_of("cuEventRecord");
  wait_for_producer(stream, {}, "frame");
  wait_for_producer(stream, reinterpret_cast<std::int64_t>(stream.handle()), "frame");  // in order as it is
  CHECK(records == 1 && count_of("cuEventRecord") == 1);
  wait_for_producer(stream, 1, "frame");
  wait_for_producer(stream, 2, "frame");
  CHECK(count_of("cuEventRecord") == 3 && count_of("cuStreamWaitEvent") == 3);
  for (const std::int64_t wrong : {0, -1})
    expect<std::invalid_argument>(
        [&] { wait_for_producer(stream, wrong, "frame"); },
        {"frame: stream: expected none, 1 (legacy default), 2 (per-thread default) or a stream's handle, got " + std::to_string(wrong)});
}

SCENARIO(dma_bufs_are_mapped) {
  const int fd = memfd_create("frame", 0);
  CHECK(fd >= 0 && ftruncate(fd, 64 * 6) == 0);
  CHECK(pwrite(fd, "pixels", 6, 64) == 6);
  {
    const Device device(0);
    const DmaBufImage source{fd, 64 * 6, 40, 2, PixelFormat::kNv12, {64, 64}, {256, 64}};
    const DeviceImage image = import_dmabuf(device, source);
    CHECK(image.width == 40 && image.height == 2 && image.row_bytes == 64 && image.uv - image.data == 192);
    CHECK(std::memcmp(fake().shadow(image.data, 6), "pixels", 6) == 0);
    CHECK(fcntl(fd, F_GETFD) >= 0);  // still the caller's
  }
  CHECK(count_of("cuDestroyExternalMemory") == 1);
  close(fd);
}

SCENARIO(dma_bufs_that_do_not_fit_are_told) {
  const int fd = memfd_create("frame", 0);
  CHECK(fd >= 0 && ftruncate(fd, 1024) == 0);
  const Device device(0);
  DmaBufImage image{fd, 1024, 16, 16, PixelFormat::kRgba8, {0, 64}, {}};
  static_cast<void>(import_dmabuf(device, image));
  const auto refuse = [&](const std::string& part) { expect<std::invalid_argument>([&] { import_dmabuf(device, image); }, {part}); };
  image.pixels.offset_bytes = 1;
  refuse("expected the pixel plane, 16 rows of 64 bytes, inside 1024 bytes, got offset 1 and rows 64 bytes apart");
  image.pixels = {0, 63};
  refuse("rows 63 bytes apart");
  image.pixels = {~std::size_t{0}, 64};
  refuse("got offset 18446744073709551615");
  image.pixels = {0, ~std::size_t{0}};
  refuse("got offset 0 and rows 18446744073709551615 bytes apart");
  image.width = 0;
  refuse("expected 1 to 16384 px a side, got 0 x 16");
  image = {fd, 1024, 16, 15, PixelFormat::kNv12, {0, 16}, {512, 16}};
  refuse("expected even sides for this format, got 16 x 15");
  image = {fd, 1024, 16, 16, PixelFormat::kNv12, {0, 16}, {900, 16}};
  refuse("expected the UV plane, 8 rows of 16 bytes");
  image = {-1, 1024, 16, 16, PixelFormat::kRgba8, {0, 64}, {}};
  refuse("file descriptor -1");
  close(fd);
}

// A descriptor that the driver refuses is not lost: as many are open as before.
SCENARIO(faults_of_dma_bufs) {
  const int fd = memfd_create("frame", 0);
  CHECK(fd >= 0 && ftruncate(fd, 1024) == 0);
  const auto next_fd = [] {
    const int probe = dup(0);
    close(probe);
    return probe;
  };
  const int before = next_fd();
  const DmaBufImage image{fd, 1024, 16, 16, PixelFormat::kRgba8, {0, 64}, {}};
  for (const char* name : {"cuImportExternalMemory", "cuExternalMemoryGetMappedBuffer"}) {
    const Device device(0);
    fake().reset();
    static_cast<void>(import_dmabuf(device, image));
    const std::string log = fake().log();
    const std::string upto = log.substr(0, log.find(name));
    const std::string mark = "{\"call\": ";
    const long call = std::atol(upto.c_str() + upto.rfind(mark) + mark.size());
    fake().reset();
    fake().fail_at(call, kOutOfMemory, 0);
    expect<CudaError>([&] { import_dmabuf(device, image); }, {std::string("dma-buf of 1024 bytes: ") + name + " failed"});
    CHECK(next_fd() == before);
  }
  close(fd);
}
