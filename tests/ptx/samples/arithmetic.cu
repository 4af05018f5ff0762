// One kernel for each arithmetic instruction: out[i] = operation(a[i], b[i], c[i]).
#include <cuda_fp16.h>

typedef unsigned char u8;
typedef signed char s8;
typedef unsigned short u16;
typedef short s16;
typedef unsigned int u32;
typedef int s32;
typedef unsigned long long u64;
typedef long long s64;
typedef float f32;
typedef double f64;
typedef __half f16;
typedef __half2 h2;

struct Arrays {
  const void *a, *b, *c;
  void* out;
  int n;
};

#define OPERATION(name, R, A, B, C, ...)                 \
  extern "C" __global__ void name(Arrays arrays) {       \
    const int i = blockIdx.x * blockDim.x + threadIdx.x; \
    if (i >= arrays.n) return;                           \
    const A a = static_cast<const A*>(arrays.a)[i];      \
    const B b = static_cast<const B*>(arrays.b)[i];      \
    const C c = static_cast<const C*>(arrays.c)[i];      \
    R r;                                                 \
    __VA_ARGS__;                                         \
    static_cast<R*>(arrays.out)[i] = r;                  \
    (void)a, (void)b, (void)c;                           \
  }
#define ONE(name, R, A, ...) OPERATION(name, R, A, A, A, __VA_ARGS__)
#define ASM3(name, T, K, text) OPERATION(name, T, T, T, T, asm(text " %0, %1, %2, %3;" : "=" K(r) : K(a), K(b), K(c)))
#define ASM2(name, T, K, text) OPERATION(name, T, T, T, T, asm(text " %0, %1, %2;" : "=" K(r) : K(a), K(b)))
#define ASM1(name, R, KR, A, KA, text) OPERATION(name, R, A, A, A, asm(text " %0, %1;" : "=" KR(r) : KA(a)))

// Integers.
#define INTEGER(T)                      \
  ONE(add_##T, T, T, r = a + b)         \
  ONE(sub_##T, T, T, r = a - b)         \
  ONE(mul_##T, T, T, r = a * b)         \
  ONE(mad_##T, T, T, r = a * b + c)     \
  ONE(div_##T, T, T, r = b ? a / b : 0) \
  ONE(rem_##T, T, T, r = b ? a % b : 0) \
  ONE(min_##T, T, T, r = a < b ? a : b) \
  ONE(max_##T, T, T, r = a > b ? a : b) \
  ONE(and_##T, T, T, r = a & b)         \
  ONE(or_##T, T, T, r = a | b)          \
  ONE(xor_##T, T, T, r = a ^ b)         \
  ONE(not_##T, T, T, r = ~a)            \
  ONE(neg_##T, T, T, r = -a)            \
  ONE(lt_##T, u32, T, r = a < b)        \
  ONE(le_##T, u32, T, r = a <= b)       \
  ONE(eq_##T, u32, T, r = a == b)       \
  ONE(select_##T, T, T, r = a < b || b == c ? a : c)
INTEGER(s8)
INTEGER(u8)
INTEGER(s16)
INTEGER(u16)
INTEGER(s32)
INTEGER(u32)
INTEGER(s64)
INTEGER(u64)
ONE(abs_s32, s32, s32, r = abs(a))
ONE(abs_s64, s64, s64, r = llabs(a))
ONE(mulhi_s32, s32, s32, r = __mulhi(a, b))
ONE(mulhi_u32, u32, u32, r = __umulhi(a, b))
ONE(mulhi_s64, s64, s64, r = __mul64hi(a, b))
ONE(mulhi_u64, u64, u64, r = __umul64hi(a, b))
ONE(mulwide_s32, s64, s32, r = static_cast<s64>(a) * b)
ONE(mulwide_u32, u64, u32, r = static_cast<u64>(a) * b)
OPERATION(madwide_s32, s64, s32, s32, s64, r = static_cast<s64>(a) * b + c)
ONE(mul24_s32, s32, s32, r = __mul24(a, b))
ONE(mul24_u32, u32, u32, r = __umul24(a, b))
ONE(sad_s32, u32, s32, r = __sad(a, b, c))
ASM2(addsat_s32, s32, "r", "add.sat.s32")
ASM2(subsat_s32, s32, "r", "sub.sat.s32")
OPERATION(shl_u32, u32, u32, u32, u32, asm("shl.b32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b & 63)))
OPERATION(shr_u32, u32, u32, u32, u32, asm("shr.u32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b & 63)))
OPERATION(shr_s32, s32, s32, u32, s32, asm("shr.s32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b & 63)))
OPERATION(shl_u64, u64, u64, u32, u64, asm("shl.b64 %0, %1, %2;" : "=l"(r) : "l"(a), "r"(b & 127)))
OPERATION(shr_s64, s64, s64, u32, s64, asm("shr.s64 %0, %1, %2;" : "=l"(r) : "l"(a), "r"(b & 127)))
ONE(funnel_l, u32, u32, r = __funnelshift_l(a, b, c))
ONE(funnel_r, u32, u32, r = __funnelshift_r(a, b, c))
ONE(funnel_lc, u32, u32, r = __funnelshift_lc(a, b, c & 63))
ONE(funnel_rc, u32, u32, r = __funnelshift_rc(a, b, c & 63))
ONE(popc_u32, u32, u32, r = __popc(a))
ONE(popc_u64, u32, u64, r = __popcll(a))
ONE(clz_u32, u32, u32, r = __clz(a))
ONE(clz_u64, u32, u64, r = __clzll(a))
ONE(ffs_u32, u32, u32, r = __ffs(a))
ONE(brev_u32, u32, u32, r = __brev(a))
ONE(brev_u64, u64, u64, r = __brevll(a))
ASM1(bfind_s32, u32, "r", s32, "r", "bfind.s32")
ASM1(bfind_u64, u32, "r", u64, "l", "bfind.shiftamt.u64")
OPERATION(bfe_u32, u32, u32, u32, u32, asm("bfe.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b & 63), "r"(c & 63)))
OPERATION(bfe_s32, s32, s32, u32, u32, asm("bfe.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b & 63), "r"(c & 63)))
OPERATION(bfi_b32, u32, u32, u32, u32, asm("bfi.b32 %0, %1, %2, %3, %4;" : "=r"(r) : "r"(a), "r"(b), "r"(c & 63), "r"((c >> 8) & 63)))
ONE(prmt_b32, u32, u32, r = __byte_perm(a, b, c))
OPERATION(prmt_sign, u32, u32, u32, u32, asm("prmt.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
OPERATION(lop3_e2, u32, u32, u32, u32, asm("lop3.b32 %0, %1, %2, %3, 0xe2;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
ONE(dp4a_s32, s32, s32, r = __dp4a(a, b, c))
ONE(dp4a_u32, u32, u32, r = __dp4a(a, b, c))
ONE(dp2a_lo_s32, s32, s32, asm("dp2a.lo.s32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
ONE(dp2a_hi_u32, u32, u32, asm("dp2a.hi.u32.u32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
ONE(pack_s8, u32, s32, asm("cvt.pack.sat.s8.s32.b32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
ONE(pack_u16, u32, s32, asm("cvt.pack.sat.u16.s32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b)))
OPERATION(slct_s32, u32, u32, u32, s32, asm("slct.u32.s32 %0, %1, %2, %3;" : "=r"(r) : "r"(a), "r"(b), "r"(c)))
OPERATION(setp_xor, u32, s32, s32, u32,
          asm("{.reg .pred p, q; setp.ne.u32 q, %3, 0; setp.lt.xor.s32 p, %1, %2, !q; selp.u32 %0, 1, 0, p;}" : "=r"(r) : "r"(a), "r"(b),
              "r"(c & 1)))
OPERATION(
    setp_pair, u32, s32, s32, u32,
    asm("{.reg .pred p, q, s; setp.ne.u32 q, %3, 0; setp.ge.and.s32 p|s, %1, %2, q; selp.u32 %0, 1, 0, p; @s add.u32 %0, %0, 2;}" : "=r"(
            r) : "r"(a),
        "r"(b), "r"(c & 1)))
OPERATION(set_s32, u32, s32, s32, s32, asm("set.gt.u32.s32 %0, %1, %2;" : "=r"(r) : "r"(a), "r"(b)))

// Float32.
#define ROUNDED(mode)                                                  \
  ASM2(add_f32_##mode, f32, "f", "add." #mode ".f32")                  \
  ASM2(sub_f32_##mode, f32, "f", "sub." #mode ".f32")                  \
  ASM2(mul_f32_##mode, f32, "f", "mul." #mode ".f32")                  \
  ASM3(fma_f32_##mode, f32, "f", "fma." #mode ".f32")                  \
  ASM2(div_f32_##mode, f32, "f", "div." #mode ".f32")                  \
  ASM1(sqrt_f32_##mode, f32, "f", f32, "f", "sqrt." #mode ".f32")      \
  ASM1(rcp_f32_##mode, f32, "f", f32, "f", "rcp." #mode ".f32")        \
  ASM1(f64_to_f32_##mode, f32, "f", f64, "d", "cvt." #mode ".f32.f64") \
  ASM1(s32_to_f32_##mode, f32, "f", s32, "r", "cvt." #mode ".f32.s32") \
  ASM1(u32_to_f32_##mode, f32, "f", u32, "r", "cvt." #mode ".f32.u32")
ROUNDED(rn)
ROUNDED(rz)
ROUNDED(rm)
ROUNDED(rp)
ASM2(add_f32_ftz, f32, "f", "add.ftz.f32")
ASM2(mul_f32_sat, f32, "f", "mul.sat.f32")
ASM2(min_f32, f32, "f", "min.f32")
ASM2(max_f32, f32, "f", "max.f32")
#if __CUDA_ARCH__ >= 800
ASM2(min_f32_nan, f32, "f", "min.NaN.f32")
ASM2(max_f32_nan, f32, "f", "max.NaN.f32")
ONE(fma_h2_relu, h2, h2, r = __hfma2_relu(a, b, c))
#endif
ONE(neg_f32, f32, f32, r = -a)
ONE(abs_f32, f32, f32, r = fabsf(a))
ONE(copysign_f32, f32, f32, r = copysignf(a, b))
ONE(saturate_f32, f32, f32, r = __saturatef(a))
ONE(floor_f32, f32, f32, r = floorf(a))
ONE(ceil_f32, f32, f32, r = ceilf(a))
ONE(trunc_f32, f32, f32, r = truncf(a))
ONE(rint_f32, f32, f32, r = rintf(a))
ONE(round_f32, f32, f32, r = roundf(a))
ONE(eq_f32, u32, f32, r = a == b)
ONE(ne_f32, u32, f32, r = a != b)
ONE(lt_f32, u32, f32, r = a < b)
ONE(nlt_f32, u32, f32, r = !(a < b))
ONE(nge_f32, u32, f32, r = !(a >= b))
ONE(isnan_f32, u32, f32, r = isnan(a) || isinf(b))
ASM1(ex2_f32, f32, "f", f32, "f", "ex2.approx.f32")
ASM1(lg2_f32, f32, "f", f32, "f", "lg2.approx.f32")
ASM1(sin_f32, f32, "f", f32, "f", "sin.approx.f32")
ASM1(cos_f32, f32, "f", f32, "f", "cos.approx.f32")
ASM1(tanh_f32, f32, "f", f32, "f", "tanh.approx.f32")
ASM1(rsqrt_f32, f32, "f", f32, "f", "rsqrt.approx.f32")
ASM1(rcp_f32_approx, f32, "f", f32, "f", "rcp.approx.ftz.f32")
ASM2(div_f32_approx, f32, "f", "div.approx.f32")
ASM2(div_f32_full, f32, "f", "div.full.f32")
ONE(expf_f32, f32, f32, r = expf(a))
ONE(logf_f32, f32, f32, r = logf(a))
ONE(powf_f32, f32, f32, r = powf(a, b))
ONE(sinf_f32, f32, f32, r = sinf(a))
ONE(tanhf_f32, f32, f32, r = tanhf(a))
ONE(erff_f32, f32, f32, r = erff(a))

// Float64.
ONE(add_f64, f64, f64, r = a + b)
ONE(mul_f64, f64, f64, r = a * b)
ONE(div_f64, f64, f64, r = a / b)
ONE(fma_f64, f64, f64, r = fma(a, b, c))
ONE(sqrt_f64, f64, f64, r = sqrt(a))
ONE(min_f64, f64, f64, r = fmin(a, b))
ONE(lt_f64, u32, f64, r = a < b)

// Float16.
ASM1(neg_f16, u16, "h", u16, "h", "neg.f16")
ONE(add_f16, f16, f16, r = __hadd(a, b))
ONE(mul_f16, f16, f16, r = __hmul(a, b))
ONE(fma_f16, f16, f16, r = __hfma(a, b, c))
ONE(div_f16, f16, f16, r = __hdiv(a, b))
ONE(max_f16, f16, f16, r = __hmax(a, b))
ONE(lt_f16, u32, f16, r = __hlt(a, b))
ONE(add_h2, h2, h2, r = __hadd2(a, b))
ONE(sub_h2, h2, h2, r = __hsub2(a, b))
ONE(mul_h2, h2, h2, r = __hmul2(a, b))
ONE(fma_h2, h2, h2, r = __hfma2(a, b, c))
ONE(add_h2_sat, h2, h2, r = __hadd2_sat(a, b))
ONE(neg_h2, h2, h2, r = __hneg2(a))
ONE(abs_h2, h2, h2, r = __habs2(a))
ONE(min_h2, h2, h2, r = __hmin2(a, b))
ONE(gt_h2, h2, h2, r = __hgt2(a, b))
ONE(all_eq_h2, u32, h2, r = __hbeq2(a, b))
ONE(swap_h2, h2, h2, r = __lowhigh2highlow(a))
ONE(sqrt_h2, h2, h2, r = h2sqrt(a))

// Conversions.
#define TO_INTEGER(mode, A, KA)                                     \
  ASM1(A##_to_s32_##mode, s32, "r", A, KA, "cvt." #mode ".s32." #A) \
  ASM1(A##_to_u32_##mode, u32, "r", A, KA, "cvt." #mode ".u32." #A) \
  ASM1(A##_to_s64_##mode, s64, "l", A, KA, "cvt." #mode ".s64." #A) \
  ASM1(A##_to_u64_##mode, u64, "l", A, KA, "cvt." #mode ".u64." #A) \
  ASM1(A##_to_s16_##mode, s16, "h", A, KA, "cvt." #mode ".s16." #A) \
  ASM1(A##_to_u16_##mode, u16, "h", A, KA, "cvt." #mode ".u16." #A)
TO_INTEGER(rni, f32, "f")
TO_INTEGER(rzi, f32, "f")
TO_INTEGER(rmi, f32, "f")
TO_INTEGER(rpi, f32, "f")
TO_INTEGER(rni, f64, "d")
TO_INTEGER(rzi, f64, "d")
ONE(f32_to_s8_sat, s32, f32, asm("{.reg .s16 h; cvt.rni.sat.s8.f32 h, %1; cvt.s32.s8 %0, h;}" : "=r"(r) : "f"(a)))
ONE(f32_to_u8_sat, u32, f32, asm("{.reg .u16 h; cvt.rni.sat.u8.f32 h, %1; cvt.u32.u8 %0, h;}" : "=r"(r) : "f"(a)))
ONE(s32_to_u8_sat, u32, s32, asm("cvt.sat.u8.s32 %0, %1;" : "=r"(r) : "r"(a)))
ONE(s32_to_s16_sat, s16, s32, asm("cvt.sat.s16.s32 %0, %1;" : "=h"(r) : "r"(a)))
ONE(u32_to_s32_sat, s32, u32, asm("cvt.sat.s32.u32 %0, %1;" : "=r"(r) : "r"(a)))
ONE(s64_to_f32, f32, s64, r = static_cast<f32>(a))
ONE(u64_to_f32, f32, u64, r = static_cast<f32>(a))
ONE(s64_to_f64, f64, s64, r = static_cast<f64>(a))
ONE(f32_to_f64, f64, f32, r = a)
ONE(f32_to_f16_rn, f16, f32, r = __float2half_rn(a))
ONE(f32_to_f16_rz, f16, f32, r = __float2half_rz(a))
ONE(f32_to_f16_rm, f16, f32, r = __float2half_rd(a))
ONE(f32_to_f16_rp, f16, f32, r = __float2half_ru(a))
ONE(f16_to_f32, f32, f16, r = __half2float(a))
ONE(f16_to_s32, s32, f16, r = __half2int_rn(a))
ONE(s32_to_f16, f16, s32, r = __int2half_rn(a))
ONE(f32_to_h2, h2, f32, r = __floats2half2_rn(a, b))
ONE(s8_to_s32, s32, s8, r = a)
ONE(u8_to_f32, f32, u8, r = a)
ONE(s32_to_s8, s8, s32, r = a)
ONE(s8_to_s64, s64, s8, r = a)
ONE(s16_to_u64, u64, s16, r = a)
