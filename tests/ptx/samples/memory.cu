// For each check of memory accesses a kernel that is right, and its twin with the fault that the check is for.

struct Copy {
  const float* in;
  float* out;
  int n;
  int shift;
};

__device__ inline int thread() { return blockIdx.x * blockDim.x + threadIdx.x; }

extern "C" __global__ void copy(Copy a) {
  const int i = thread();
  if (i < a.n) a.out[i] = a.in[i];
}

extern "C" __global__ void copy_unguarded(Copy a) {
  const int i = thread();
  a.out[i] = a.in[i];
}

extern "C" __global__ void copy_before(Copy a) {
  const int i = thread();
  if (i < a.n) a.out[i] = a.in[i - a.shift];
}

extern "C" __global__ void copy_by_four(Copy a) {
  const int i = thread();
  if (i * 4 < a.n) reinterpret_cast<float4*>(a.out)[i] = *reinterpret_cast<const float4*>(a.in + i * 4 + a.shift);
}

extern "C" __global__ void write_input(Copy a) {
  const int i = thread();
  if (i < a.n) const_cast<float*>(a.in)[i] = 0.0f;
}

// Adds to what is there: wrong on memory that nobody has written.
extern "C" __global__ void accumulate(Copy a) {
  const int i = thread();
  if (i < a.n) a.out[i] += a.in[i];
}

// A static array of shared memory next to another one.
extern "C" __global__ void shared_neighbour(Copy a) {
  __shared__ float first[32];
  __shared__ float second[32];
  const int i = threadIdx.x;
  first[i] = a.in[i];
  second[i] = 2.0f * a.in[i];
  __syncthreads();
  a.out[i] = first[(i + a.shift) & 63] + second[i];
}

extern "C" __global__ void shared_dynamic(Copy a) {
  extern __shared__ float tile[];
  tile[threadIdx.x] = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = tile[a.n - 1 - threadIdx.x];
}

extern "C" __global__ void shared_uninitialised(Copy a) {
  __shared__ float tile[64];
  if (threadIdx.x < a.n) tile[threadIdx.x] = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = tile[threadIdx.x];
}

// An array that is indexed by what is in memory lies in local memory.
extern "C" __global__ void local_array(Copy a) {
  float values[8];
  for (int k = 0; k < a.n; ++k) values[k & 7] = a.in[k];
  a.out[threadIdx.x] = values[(threadIdx.x + a.shift) & 7];
}

extern "C" __global__ void local_outside(Copy a) {
  float values[8];
#pragma unroll 1
  for (int k = 0; k < a.n; ++k) values[k] = a.in[k];
  float sum = 0;
#pragma unroll 1
  for (int k = 0; k < a.n; ++k) sum += values[k] * k;
  a.out[threadIdx.x] = sum;
}

// 32 bits for an offset of n * n elements.
extern "C" __global__ void narrow_offset(Copy a) {
  if (threadIdx.x == 0) a.out[0] = a.in[a.n * a.n];
}

extern "C" __global__ void wide_offset(Copy a) {
  if (threadIdx.x == 0) a.out[0] = a.in[static_cast<long long>(a.n) * a.n >> 32];
}

extern "C" __global__ void divide(Copy a) { a.out[threadIdx.x] = static_cast<float>(100 / (static_cast<int>(threadIdx.x) - a.n)); }

extern "C" __global__ void endless(Copy a) {
  volatile float* out = a.out;
  while (out[0] < a.n) out[1] = 0.0f;
}

extern "C" __global__ void stops(Copy a) {
  if (a.in[threadIdx.x] < 0) __trap();
  a.out[threadIdx.x] = a.in[threadIdx.x];
}

__constant__ float weights[4] = {0.5f, 0.25f, 0.125f, 0.125f};
__device__ int launches = 7;

extern "C" __global__ void constants(Copy a) {
  const int i = thread();
  if (i == 0) ++launches;
  if (i < a.n) a.out[i] = a.in[i] * weights[i & 3] + weights[a.shift];
}

// A jump table, doubles and a deep stack: whatever else nvcc makes of plain code.
extern "C" __global__ void branches(Copy a) {
  const int i = thread();
  if (i >= a.n) return;
  float v = a.in[i];
  switch (static_cast<int>(v)) {
    case 0:
      v = sqrtf(v + 4);
      break;
    case 1:
      v = v * 3;
      break;
    case 2:
      v = a.in[0] - v;
      break;
    case 3:
      v = fabsf(v - 5);
      break;
    case 4:
      v = v * v;
      break;
    case 5:
      v = 1 / v;
      break;
    case 6:
      v = -v;
      break;
    case 7:
      v = fmaxf(v, 10);
      break;
    case 8:
      v = v + a.in[1];
      break;
    default:
      v = 0;
  }
  for (int k = 0; k < i % 5; ++k) {
    if (k == 3) break;
    v += 1;
  }
  a.out[i] = v;
}
