// Bilinear resampling of an RGB picture to a planar float tensor: what an image kernel looks like.

struct ImageArgs {
  const unsigned char* image;
  float* tensor;
  int width, height, stride;
  int out_width, out_height;
  float scale[3], bias[3];
};

extern "C" __global__ void resample(ImageArgs a) {
  const int x = blockIdx.x * blockDim.x + threadIdx.x;
  const int y = blockIdx.y * blockDim.y + threadIdx.y;
  if (x >= a.out_width || y >= a.out_height) return;
  const float fx = fminf(fmaxf((x + 0.5f) * a.width / a.out_width - 0.5f, 0.0f), a.width - 1.0f);
  const float fy = fminf(fmaxf((y + 0.5f) * a.height / a.out_height - 0.5f, 0.0f), a.height - 1.0f);
  const int x0 = static_cast<int>(fx), y0 = static_cast<int>(fy);
  const int x1 = min(x0 + 1, a.width - 1), y1 = min(y0 + 1, a.height - 1);
  const float wx = fx - x0, wy = fy - y0;
  const unsigned char* top = a.image + static_cast<long long>(y0) * a.stride;
  const unsigned char* bottom = a.image + static_cast<long long>(y1) * a.stride;
#pragma unroll
  for (int c = 0; c < 3; ++c) {
    const float upper = top[x0 * 3 + c] * (1.0f - wx) + top[x1 * 3 + c] * wx;
    const float lower = bottom[x0 * 3 + c] * (1.0f - wx) + bottom[x1 * 3 + c] * wx;
    const float value = upper * (1.0f - wy) + lower * wy;
    a.tensor[(static_cast<long long>(c) * a.out_height + y) * a.out_width + x] = value * a.scale[c] + a.bias[c];
  }
}
