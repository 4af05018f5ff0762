// Where the crop of each detection lies, as align.cc and face/crop_model.cc work it out. Float32: coordinates are taken from the first key
// point on, so that a face far from the picture's corner loses nothing.
#include "affectrt/ops/align_gpu.h"

extern "C" __global__ void __launch_bounds__(64) align_box(affectrt::gpu::AlignBoxArgs a) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= a.max_count || i >= *a.count) return;
  const float* row = a.rows + static_cast<long long>(i) * a.row_values;
  float cosine = 1, sine = 0;
  if (a.right_eye >= 0 && a.left_eye >= 0) {
    const float x = row[5 + 2 * a.left_eye] - row[5 + 2 * a.right_eye], y = row[6 + 2 * a.left_eye] - row[6 + 2 * a.right_eye];
    const float length = hypotf(x, y);
    if (length > 0) {
      cosine = x / length;
      sine = y / length;
    }
  }
  float width = row[3] - row[1], height = row[4] - row[2];
  const float shift_x = a.shift_x * width, shift_y = a.shift_y * height;
  const float cx = 0.5f * (row[1] + row[3]) + cosine * shift_x - sine * shift_y;
  const float cy = 0.5f * (row[2] + row[4]) + sine * shift_x + cosine * shift_y;
  if (a.square) width = height = fmaxf(width, height);
  const float sx = a.scale * width / static_cast<float>(a.tensor_width_px);
  const float sy = a.scale * height / static_cast<float>(a.tensor_height_px);
  // The tensor's middle, in pixel-centre coordinates, goes to the rectangle's centre, which is in edge coordinates.
  const float mx = 0.5f * static_cast<float>(a.tensor_width_px) - 0.5f, my = 0.5f * static_cast<float>(a.tensor_height_px) - 0.5f;
  float* m = a.regions + 6LL * i;
  m[0] = cosine * sx;
  m[1] = -sine * sy;
  m[2] = cx - 0.5f - cosine * sx * mx + sine * sy * my;
  m[3] = sine * sx;
  m[4] = cosine * sy;
  m[5] = cy - 0.5f - sine * sx * mx - cosine * sy * my;
}

extern "C" __global__ void __launch_bounds__(64) align_points(affectrt::gpu::AlignPointsArgs a) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= a.max_count || i >= *a.count) return;
  const float* points = a.rows + static_cast<long long>(i) * a.row_values + 5;
  const float ox = points[2 * a.index[0]], oy = points[2 * a.index[0] + 1], n = static_cast<float>(a.points);
  float fx = 0, fy = 0, tx = 0, ty = 0;
  for (int k = 0; k < a.points; ++k) {
    fx += points[2 * a.index[k]] - ox;
    fy += points[2 * a.index[k] + 1] - oy;
    tx += a.template_x[k];
    ty += a.template_y[k];
  }
  fx /= n;
  fy /= n;
  tx /= n;
  ty /= n;
  // With points as complex numbers, the factor of the least-squares similarity is <t, f> / <t, t>.
  float real = 0, imaginary = 0, spread = 0;
  for (int k = 0; k < a.points; ++k) {
    const float px = a.template_x[k] - tx, py = a.template_y[k] - ty;
    const float qx = points[2 * a.index[k]] - ox - fx, qy = points[2 * a.index[k] + 1] - oy - fy;
    real += px * qx + py * qy;
    imaginary += px * qy - py * qx;
    spread += px * px + py * py;
  }
  const float cosine = real / spread, sine = imaginary / spread;  // times the scale
  // Both means from edge to pixel-centre coordinates.
  const float ux = tx - 0.5f, uy = ty - 0.5f;
  float* m = a.regions + 6LL * i;
  m[0] = cosine;
  m[1] = -sine;
  m[2] = ox + (fx - 0.5f - cosine * ux + sine * uy);
  m[3] = sine;
  m[4] = cosine;
  m[5] = oy + (fy - 0.5f - sine * ux - cosine * uy);
}
