#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string_view>

#include "state.h"

namespace fake {
namespace {

constexpr std::size_t kArenaBytes = std::size_t{1} << 38;  // addresses only
constexpr std::size_t kAlignment = 256;

// Device addresses lie in a stretch that nobody may touch, so that host code which follows one ends with a fault. None is given out twice.
struct Arena {
  DevicePtr begin = 0, next = 0;
  Arena() {
    void* at = mmap(nullptr, kArenaBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) std::abort();
    begin = next = reinterpret_cast<DevicePtr>(at);
  }
};

Arena& arena() {
  static auto* instance = new Arena;
  return *instance;
}

int from_environment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return value && *value ? std::atoi(value) : otherwise;
}

}  // namespace

State& state() {
  static State* instance = [] {
    auto* s = new State;  // never destroyed: others' destructors still call
    apply_environment(*s);
    return s;
  }();
  return *instance;
}

void apply_environment(State& s) {
  s.device_count = from_environment("AFFECTRT_FAKE_CUDA_DEVICES", 1);
  s.sm = from_environment("AFFECTRT_FAKE_CUDA_SM", 87);
  s.driver_version = from_environment("AFFECTRT_FAKE_CUDA_VERSION", 13000);
  s.eager = from_environment("AFFECTRT_FAKE_CUDA_EAGER", 0) != 0;
}

std::string hex(DevicePtr value) {
  char text[32];
  std::snprintf(text, sizeof text, "0x%llx", static_cast<unsigned long long>(value));
  return text;
}

void violation(const std::string& text) { state().violations.push_back(text); }

DevicePtr new_range(std::size_t bytes) {
  Arena& a = arena();
  // A gap behind each, and an alignment that is never better than promised.
  a.next += 2 * kAlignment;
  const DevicePtr begin = (a.next + 2 * kAlignment - 1) / (2 * kAlignment) * (2 * kAlignment) + kAlignment;
  a.next = begin + bytes;
  return begin;
}

bool in_arena(DevicePtr address) { return address >= arena().begin && address < arena().begin + kArenaBytes; }

Allocation* allocation_at(DevicePtr address) {
  auto& device = state().device;
  auto after = device.upper_bound(address);
  if (after == device.begin()) return nullptr;
  --after;
  return address < after->first + after->second.bytes ? &after->second : nullptr;
}

std::byte* resolve(const std::string& what, DevicePtr begin, std::size_t bytes) {
  State& s = state();
  const auto inside = [&](const std::map<DevicePtr, Allocation>& in) {
    auto after = in.upper_bound(begin);
    if (after == in.begin()) return in.end();
    --after;
    return begin < after->first + after->second.bytes ? after : in.end();
  };
  const auto here = inside(s.device);
  if (here == s.device.end()) {
    const bool was = inside(s.freed) != s.freed.end();
    violation(what + ": " + hex(begin) + (was ? " is used after it was freed" : " is not device memory"));
    return nullptr;
  }
  const std::size_t offset = begin - here->first;
  if (bytes > here->second.bytes - offset) {
    violation(what + ": " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) + " run past the end of a buffer of " +
              std::to_string(here->second.bytes));
    return nullptr;
  }
  return here->second.shadow + offset;
}

const HostAllocation* pinned_at(const std::string& what, const void* begin, std::size_t bytes, bool& wrong) {
  auto& host = state().host;
  const auto* first = static_cast<const std::byte*>(begin);
  auto after = host.upper_bound(first);
  if (after == host.begin()) return nullptr;
  --after;
  if (first >= after->first + after->second.bytes) return nullptr;
  const auto offset = static_cast<std::size_t>(first - after->first);
  if (after->second.freed) {
    violation(what + ": page-locked memory is used after it was freed");
    wrong = true;
  } else if (bytes > after->second.bytes - offset) {
    violation(what + ": " + std::to_string(bytes) + " bytes at offset " + std::to_string(offset) + " run past the end of " +
              std::to_string(after->second.bytes) + " page-locked bytes");
    wrong = true;
  }
  return &after->second;
}

std::size_t digest(const std::byte* begin, std::size_t bytes) {
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(begin), bytes});
}

}  // namespace fake
