// SHA-256 (FIPS 180-4), with the processor's own instructions where it has them (x86 SHA, Armv8 SHA2): packs are hashed at every open.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace affectrt {

class Sha256 {
 public:
  void update(const void* data, std::size_t size);

  // 64 lower-case hex digits; the object is spent afterwards.
  std::string hex_digest();

  // True if the fast instructions are in use on this processor.
  static bool accelerated();

  // Compresses `blocks` blocks of 64 bytes into the state.
  using Compress = void (*)(std::uint32_t* state, const std::uint8_t* data, std::size_t blocks);
  static Compress portable();

  Sha256();
  explicit Sha256(Compress compress) : compress_(compress) {}

 private:
  Compress compress_;
  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> block_{};
  std::size_t filled_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace affectrt
