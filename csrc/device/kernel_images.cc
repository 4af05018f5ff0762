#include "affectrt/device/kernel_images.h"

namespace affectrt::cuda {

std::span<const KernelImage> kernel_images() {
#ifdef AFFECTRT_KERNELS
  return embedded_kernel_images();
#else
  return {};
#endif
}

std::span<const std::byte> choose_image(std::span<const KernelImage> images, std::string_view op, int sm, int driver_version) {
  const KernelImage* best = nullptr;
  for (const KernelImage& image : images) {
    if (op != image.op || driver_version < image.min_driver || (image.below_driver && driver_version >= image.below_driver)) continue;
    if (image.sm != 0 && image.sm != sm) continue;
    if (!best || image.sm != 0) best = &image;
  }
  if (!best) return {};
  return {static_cast<const std::byte*>(best->data), best->bytes};
}

std::span<const std::byte> kernel_image(std::string_view op, int sm, int driver_version) {
  return choose_image(kernel_images(), op, sm, driver_version);
}

}  // namespace affectrt::cuda
