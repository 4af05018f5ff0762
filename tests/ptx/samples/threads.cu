// For each check of what threads do together a kernel that is right, and its twin with the fault that the check is for.

struct Data {
  const int* in;
  int* out;
  int n;
};

__device__ inline int thread() { return blockIdx.x * blockDim.x + threadIdx.x; }

#define REVERSE(name, barrier)                            \
  extern "C" __global__ void name(Data a) {               \
    __shared__ int tile[64];                              \
    tile[threadIdx.x] = a.in[thread()];                   \
    barrier;                                              \
    a.out[thread()] = tile[blockDim.x - 1 - threadIdx.x]; \
  }
REVERSE(reverse, __syncthreads())
REVERSE(reverse_no_barrier, )
REVERSE(reverse_warp_barrier, __syncwarp())

// Two rounds over one tile: the second barrier keeps the next round's writes from the last round's reads.
#define ROUNDS(name, barrier)                    \
  extern "C" __global__ void name(Data a) {      \
    __shared__ int tile[64];                     \
    int sum = 0;                                 \
    for (int k = 0; k < 2; ++k) {                \
      tile[threadIdx.x] = a.in[threadIdx.x] + k; \
      __syncthreads();                           \
      sum += tile[blockDim.x - 1 - threadIdx.x]; \
      barrier;                                   \
    }                                            \
    a.out[threadIdx.x] = sum;                    \
  }
ROUNDS(rounds, __syncthreads())
ROUNDS(rounds_no_barrier, )

extern "C" __global__ void shared_same_place(Data a) {
  __shared__ int last;
  last = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = last;
}

extern "C" __global__ void shared_bytes(Data a) {
  __shared__ unsigned char tile[64];
  tile[threadIdx.x] = static_cast<unsigned char>(a.in[threadIdx.x]);
  __syncthreads();
  a.out[threadIdx.x] = tile[threadIdx.x ^ 1];
}

// Global memory: all threads write one place.
extern "C" __global__ void all_write(Data a) { a.out[0] = a.in[thread()]; }

// The sum over neighbours in place: some block may read before or after another has written.
extern "C" __global__ void smooth_in_place(Data a) {
  const int i = thread();
  const int next = a.out[(i + 1) % a.n];
  a.out[i] = next;
}

#define EXCHANGE(name, barrier)             \
  extern "C" __global__ void name(Data a) { \
    a.out[thread()] = a.in[thread()];       \
    barrier;                                \
    const int other = a.out[thread() ^ 1];  \
    __syncthreads();                        \
    a.out[thread()] = other + 1;            \
  }
EXCHANGE(exchange, __syncthreads())
EXCHANGE(exchange_no_barrier, )

// Reads through the read-only path what the launch writes.
extern "C" __global__ void read_only_path(Data a) {
  a.out[threadIdx.x] = a.in[threadIdx.x];
  __syncthreads();
  a.out[threadIdx.x] = __ldg(a.out + threadIdx.x) + 1;
}

// The block that comes last sums up what all have left.
__device__ unsigned arrived;
#define LAST_BLOCK(name, fence)                                   \
  extern "C" __global__ void name(Data a) {                       \
    __shared__ bool last;                                         \
    if (threadIdx.x == 0) {                                       \
      a.out[1 + blockIdx.x] = a.in[blockIdx.x];                   \
      fence;                                                      \
      last = atomicInc(&arrived, gridDim.x - 1) == gridDim.x - 1; \
    }                                                             \
    __syncthreads();                                              \
    if (last && threadIdx.x == 0) {                               \
      int sum = 0;                                                \
      for (int k = 0; k < gridDim.x; ++k) sum += a.out[1 + k];    \
      a.out[0] = sum;                                             \
    }                                                             \
  }
LAST_BLOCK(last_block, __threadfence())
LAST_BLOCK(last_block_no_fence, )

extern "C" __global__ void histogram(Data a) {
  __shared__ int bins[16];
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  const int i = thread();
  if (i < a.n) atomicAdd(&bins[a.in[i] & 15], 1);
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(a.out + threadIdx.x, bins[threadIdx.x]);
}

extern "C" __global__ void histogram_no_atomic(Data a) {
  __shared__ int bins[16];
  if (threadIdx.x < 16) bins[threadIdx.x] = 0;
  __syncthreads();
  const int i = thread();
  if (i < a.n) bins[a.in[i] & 15] += 1;
  __syncthreads();
  if (threadIdx.x < 16) atomicAdd(a.out + threadIdx.x, bins[threadIdx.x]);
}

// Each thread gets a place of its own in the output.
extern "C" __global__ void tickets(Data a) {
  const int place = atomicAdd(a.out, 1);
  a.out[1 + place] = 1;
  atomicMax(a.out + 1 + a.n, a.in[thread()]);
  atomicMin(a.out + 2 + a.n, a.in[thread()]);
  atomicXor(a.out + 3 + a.n, a.in[thread()]);
}

// A lock that is taken by compare and swap, one thread at a time.
extern "C" __global__ void lock(Data a) {
  volatile int* total = a.out + 1;
  bool done = false;
  while (!done) {
    if (atomicCAS(a.out, 0, 1) == 0) {
      *total = *total + a.in[thread()];
      __threadfence();
      atomicExch(a.out, 0);
      done = true;
    }
  }
}

extern "C" __global__ void diverging_barrier(Data a) {
  if (a.in[threadIdx.x] > 0) {
    __syncthreads();
    a.out[threadIdx.x] = 1;
  } else {
    __syncthreads();
    a.out[threadIdx.x] = 2;
  }
}

extern "C" __global__ void half_barrier(Data a) {
  if (a.in[threadIdx.x] > 0) __syncthreads();
  __syncwarp();
  a.out[threadIdx.x] = 1;
  __syncthreads();
  __syncthreads();
}

extern "C" __global__ void barrier_after_exit(Data a) {
  if (thread() >= a.n) return;
  __syncthreads();
  a.out[thread()] = a.in[thread()];
}

// Two halves of a block, each with a barrier of its own.
extern "C" __global__ void named_barriers(Data a) {
  __shared__ int tile[128];
  const int half = threadIdx.x / 64;
  tile[threadIdx.x] = a.in[threadIdx.x];
  asm volatile("bar.sync %0, 64;" ::"r"(half + 1) : "memory");
  a.out[threadIdx.x] = tile[threadIdx.x ^ 63];
}

extern "C" __global__ void named_barrier_across(Data a) {
  __shared__ int tile[128];
  const int half = threadIdx.x / 64;
  tile[threadIdx.x] = a.in[threadIdx.x];
  asm volatile("bar.sync %0, 64;" ::"r"(half + 1) : "memory");
  a.out[threadIdx.x] = tile[threadIdx.x ^ 127];
}

extern "C" __global__ void counted(Data a) {
  const int positive = __syncthreads_count(a.in[threadIdx.x] > 0);
  const int all = __syncthreads_and(a.in[threadIdx.x] > -100), any = __syncthreads_or(a.in[threadIdx.x] > 100);
  a.out[threadIdx.x] = positive * 4 + (all != 0) * 2 + (any != 0);
}

extern "C" __global__ void warp_sum(Data a) {
  int v = a.in[thread()];
  for (int step = 16; step; step >>= 1) v += __shfl_xor_sync(0xffffffff, v, step);
  a.out[thread()] = v;
}

extern "C" __global__ void shuffles(Data a) {
  const int v = a.in[threadIdx.x];
  int* out = a.out + threadIdx.x;
  out[0] = __shfl_up_sync(0xffffffff, v, 3);
  out[32] = __shfl_down_sync(0xffffffff, v, 5, 16);
  out[64] = __shfl_sync(0xffffffff, v, 11, 8);
  out[96] = __shfl_xor_sync(0xffffffff, v, 9);
}

extern "C" __global__ void shuffle_after_exit(Data a) {
  const int i = thread();
  if (i >= a.n) return;
  a.out[i] = __shfl_down_sync(0xffffffff, a.in[i], 1);
}

extern "C" __global__ void shuffle_in_branch(Data a) {
  int v = a.in[threadIdx.x];
  if (v > 0) v = __shfl_xor_sync(0xffffffff, v, 1);
  __syncthreads();
  a.out[threadIdx.x] = v;
}

extern "C" __global__ void shuffle_wrong_mask(Data a) {
  a.out[threadIdx.x] = __shfl_xor_sync(threadIdx.x < 16 ? 0xffffu : 0xfffffu, a.in[threadIdx.x], 1);
}

extern "C" __global__ void votes(Data a) {
  const int v = a.in[threadIdx.x];
  int* out = a.out + threadIdx.x;
  out[0] = static_cast<int>(__ballot_sync(0xffffffff, v > 0));
  out[32] = __any_sync(0xffffffff, v > 30) + 2 * __all_sync(0xffffffff, v > -50);
  out[64] = static_cast<int>(__match_any_sync(0xffffffff, v % 3));
  int same;
  out[96] = static_cast<int>(__match_all_sync(0xffffffff, v / 1000, &same)) + same;
  if (threadIdx.x % 2) {
    out[128] = static_cast<int>(__activemask());
  } else {
    out[128] = __popc(__ballot_sync(0x55555555, v > 0));
  }
#if __CUDA_ARCH__ >= 800
  out[160] = __reduce_add_sync(0xffffffff, v);
  out[192] = __reduce_min_sync(0xffffffff, v);
  out[224] = static_cast<int>(__reduce_or_sync(0xffffffff, static_cast<unsigned>(v)));
#endif
}

extern "C" __global__ void warp_exchange(Data a) {
  __shared__ int tile[64];
  tile[threadIdx.x] = a.in[threadIdx.x];
  __syncwarp();
  const int v = tile[threadIdx.x ^ 1];
  __syncwarp();
  tile[threadIdx.x] = v + 1;
  __syncwarp();
  a.out[threadIdx.x] = tile[threadIdx.x ^ 31];
}
