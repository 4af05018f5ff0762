// Memory and copies.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "call.h"

using namespace fake;

namespace {

constexpr unsigned char kUnwritten = 0xcd;

struct Side {
  DevicePtr device = 0;
  std::byte* host = nullptr;
  std::size_t pitch = 0;
  bool pinned = false;
};

std::size_t span_of(const Side& side, std::size_t width, std::size_t height) { return (height - 1) * side.pitch + width; }

void* pages(std::size_t bytes) {
  void* at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return at == MAP_FAILED ? nullptr : at;
}

void copy_rows(std::byte* to, std::size_t to_pitch, const std::byte* from, std::size_t from_pitch, std::size_t width, std::size_t height) {
  for (std::size_t y = 0; y < height; ++y) std::memmove(to + y * to_pitch, from + y * from_pitch, width);
}

// Every copy there is: checks both sides, tells what it touches, and is put on the stream. Ordinary host memory is read before this returns
// and written before this returns, as the real driver does; page-locked memory when the stream gets there.
Result copy(const char* name, Side to, Side from, std::size_t width, std::size_t height, StreamHandle handle, Line& line) {
  StreamObject* stream = stream_of(name, handle);
  if (!stream) return kInvalidHandle;
  if (width == 0 || height == 0) return kSuccess;
  if (to.pitch < width || from.pitch < width) {
    violation(std::string(name) + ": rows of " + std::to_string(width) + " bytes lie only " +
              std::to_string(std::min(to.pitch, from.pitch)) + " bytes apart");
    return kInvalidValue;
  }
  Operation operation;
  operation.what = name;
  bool wrong = false;
  for (Side* side : {&to, &from}) {
    const bool write = side == &to;
    const std::size_t bytes = span_of(*side, width, height);
    if (side->host) {
      side->pinned = pinned_at(name, side->host, bytes, wrong) != nullptr;
      if (in_arena(reinterpret_cast<DevicePtr>(side->host))) {
        violation(std::string(name) + ": a device address is given as host memory");
        wrong = true;
      }
      if (side->pinned && !wrong) operation.host.push_back({side->host, bytes, write, 0});
    } else {
      wrong = !resolve(name, side->device, bytes) || wrong;
      operation.accesses.push_back({side->device, bytes, write});
    }
  }
  line.raw("pageable", (to.host && !to.pinned) || (from.host && !from.pinned) ? "true" : "false");
  if (wrong) return kInvalidValue;

  std::shared_ptr<std::vector<std::byte>> staged;
  if (from.host && !from.pinned && !stream->capturing) {
    staged = std::make_shared<std::vector<std::byte>>(width * height);
    copy_rows(staged->data(), width, from.host, from.pitch, width, height);
  }
  const std::string what = name;
  operation.run = [=] {
    std::byte* target = to.host ? to.host : resolve(what, to.device, span_of(to, width, height));
    const std::byte* source = staged ? staged->data() : from.host ? from.host : resolve(what, from.device, span_of(from, width, height));
    if (!target || !source) return Result{700};
    copy_rows(target, to.pitch, source, staged ? width : from.pitch, width, height);
    return kSuccess;
  };
  const bool waits = to.host && !to.pinned && !stream->capturing;
  const Result result = enqueue(stream, std::move(operation));
  if (waits) {
    run_until(stream, stream->issued);
    join(state().host_clock, stream->clock);
    if (state().dead) return state().dead;
  }
  return result;
}

Side device_side(DevicePtr at, std::size_t pitch) { return {at, nullptr, pitch}; }
Side host_side(const void* at, std::size_t pitch) { return {0, static_cast<std::byte*>(const_cast<void*>(at)), pitch}; }

}  // namespace

FAKE_EXPORT Result cuMemAlloc_v2(DevicePtr* out, std::size_t bytes) {
  return enter("cuMemAlloc_v2", Kind::kWork, Line().number("bytes", bytes), [&](State& s, Line& line) {
    if (bytes == 0) return kInvalidValue;
    if (const Result result = unless_capturing()) return result;
    std::size_t used = 0;
    for (const auto& [begin, allocation] : s.device) used += allocation.bytes;
    if (bytes > s.memory_bytes - std::min(used, s.memory_bytes)) return kOutOfMemory;
    Allocation allocation;
    allocation.bytes = bytes;
    allocation.ordinal = current_context()->ordinal;
    allocation.shadow = static_cast<std::byte*>(pages(bytes));
    if (!allocation.shadow) return kOutOfMemory;
    std::memset(allocation.shadow, kUnwritten, bytes);
    *out = new_range(bytes);
    line.number("data", *out);
    s.device[*out] = std::move(allocation);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuMemFree_v2(DevicePtr data) {
  return enter("cuMemFree_v2", Kind::kReleases, Line().number("data", data), [&](State& s, Line&) {
    const auto found = s.device.find(data);
    if (found == s.device.end()) {
      violation("cuMemFree_v2: " + hex(data) + (s.freed.count(data) ? " is freed twice" : " is not the begin of device memory"));
      return kInvalidValue;
    }
    if (const Result result = unless_capturing()) return result;
    run_all();  // waits for the device, as the real one does
    if (!found->second.external) munmap(found->second.shadow, found->second.bytes);
    found->second.shadow = nullptr;
    s.freed[data] = std::move(found->second);
    s.device.erase(found);
    return kSuccess;
  });
}

FAKE_EXPORT Result cuMemHostAlloc(void** out, std::size_t bytes, unsigned flags) {
  return enter("cuMemHostAlloc", Kind::kWork, Line().number("bytes", bytes).number("flags", flags), [&](State& s, Line& line) {
    if (bytes == 0) return kInvalidValue;
    if (const Result result = unless_capturing()) return result;
    *out = pages(bytes);
    if (!*out) return kOutOfMemory;
    std::memset(*out, kUnwritten, bytes);
    s.host[static_cast<std::byte*>(*out)] = {bytes, false, false};
    line.address("data", *out);
    return kSuccess;
  });
}

// Gives back page-locked memory, and complains if something on a stream still needs it.
static Result drop_host(State& s, const char* name, void* data, bool registered) {
  const auto found = s.host.find(static_cast<std::byte*>(data));
  if (found == s.host.end() || found->second.freed || found->second.registered != registered) {
    violation(std::string(name) + ": " + (found != s.host.end() && found->second.freed ? "freed twice" : "not such memory"));
    return kInvalidValue;
  }
  if (const Result result = unless_capturing()) return result;
  for (const StreamObject* stream : s.streams)
    for (const Operation& operation : stream->queue)
      for (const HostRange& range : operation.host)
        if (!s.dead && range.begin >= found->first && range.begin < found->first + found->second.bytes)
          violation(std::string(name) + ": " + operation.what + " on stream " + std::to_string(stream->number) + " still needs the memory");
  run_all();
  if (registered) {
    s.host.erase(found);
  } else {
    // The addresses stay taken, so that whoever follows one ends with a fault.
    mmap(data, found->second.bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    found->second.freed = true;
  }
  return kSuccess;
}

FAKE_EXPORT Result cuMemFreeHost(void* data) {
  return enter("cuMemFreeHost", Kind::kReleases, Line().address("data", data),
               [&](State& s, Line&) { return drop_host(s, "cuMemFreeHost", data, false); });
}

FAKE_EXPORT Result cuMemHostRegister_v2(void* data, std::size_t bytes, unsigned flags) {
  return enter("cuMemHostRegister_v2", Kind::kWork, Line().address("data", data).number("bytes", bytes).number("flags", flags),
               [&](State& s, Line&) {
                 if (!data || bytes == 0) return kInvalidValue;
                 if (const Result result = unless_capturing()) return result;
                 bool wrong = false;
                 if (pinned_at("cuMemHostRegister_v2", data, 1, wrong)) return Result{712};  // already registered
                 s.host[static_cast<std::byte*>(data)] = {bytes, true, false};
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuMemHostUnregister(void* data) {
  return enter("cuMemHostUnregister", Kind::kReleases, Line().address("data", data),
               [&](State& s, Line&) { return drop_host(s, "cuMemHostUnregister", data, true); });
}

FAKE_EXPORT Result cuMemcpyHtoDAsync_v2(DevicePtr to, const void* from, std::size_t bytes, StreamHandle stream) {
  return enter("cuMemcpyHtoDAsync_v2", Kind::kWork, Line().number("to", to).number("bytes", bytes).address("stream", stream),
               [&](State&, Line& line) {
                 return copy("copy to the device", device_side(to, bytes), host_side(from, bytes), bytes, 1, stream, line);
               });
}

FAKE_EXPORT Result cuMemcpyDtoHAsync_v2(void* to, DevicePtr from, std::size_t bytes, StreamHandle stream) {
  return enter(
      "cuMemcpyDtoHAsync_v2", Kind::kWork, Line().number("from", from).number("bytes", bytes).address("stream", stream),
      [&](State&, Line& line) { return copy("copy to the host", host_side(to, bytes), device_side(from, bytes), bytes, 1, stream, line); });
}

FAKE_EXPORT Result cuMemcpyDtoDAsync_v2(DevicePtr to, DevicePtr from, std::size_t bytes, StreamHandle stream) {
  return enter("cuMemcpyDtoDAsync_v2", Kind::kWork,
               Line().number("to", to).number("from", from).number("bytes", bytes).address("stream", stream), [&](State&, Line& line) {
                 return copy("copy on the device", device_side(to, bytes), device_side(from, bytes), bytes, 1, stream, line);
               });
}

FAKE_EXPORT Result cuMemcpy2DAsync_v2(const Copy2d* c, StreamHandle stream) {
  return enter("cuMemcpy2DAsync_v2", Kind::kWork,
               Line().number("width_bytes", c->width_bytes).number("height", c->height).address("stream", stream), [&](State&, Line& line) {
                 const bool known = (c->from_type == kMemoryHost || c->from_type == kMemoryDevice) &&
                                    (c->to_type == kMemoryHost || c->to_type == kMemoryDevice);
                 if (!known || c->from_x_bytes || c->from_y || c->to_x_bytes || c->to_y) return kInvalidValue;  // not imitated
                 const Side to = c->to_type == kMemoryHost ? host_side(c->to_host, c->to_pitch) : device_side(c->to_device, c->to_pitch);
                 const Side from =
                     c->from_type == kMemoryHost ? host_side(c->from_host, c->from_pitch) : device_side(c->from_device, c->from_pitch);
                 return copy("copy of rows", to, from, c->width_bytes, c->height, stream, line);
               });
}

FAKE_EXPORT Result cuMemsetD8Async(DevicePtr to, unsigned char value, std::size_t bytes, StreamHandle handle) {
  return enter("cuMemsetD8Async", Kind::kWork, Line().number("to", to).number("value", value).number("bytes", bytes), [&](State&, Line&) {
    StreamObject* stream = stream_of("cuMemsetD8Async", handle);
    if (!stream) return kInvalidHandle;
    if (bytes == 0) return kSuccess;
    if (!resolve("fill", to, bytes)) return kInvalidValue;
    Operation operation;
    operation.what = "fill";
    operation.accesses.push_back({to, bytes, true});
    operation.run = [=] {
      std::byte* target = resolve("fill", to, bytes);
      if (!target) return Result{700};
      std::memset(target, value, bytes);
      return kSuccess;
    };
    return enqueue(stream, std::move(operation));
  });
}

FAKE_EXPORT Result cuPointerGetAttribute(void* value, int attribute, DevicePtr data) {
  return enter("cuPointerGetAttribute", Kind::kWork, Line().raw("attribute", std::to_string(attribute)).number("data", data),
               [&](State&, Line&) {
                 const Allocation* allocation = allocation_at(data);
                 bool wrong = false;
                 const bool pinned = !allocation && pinned_at("cuPointerGetAttribute", reinterpret_cast<void*>(data), 1, wrong) && !wrong;
                 if (!allocation && !pinned) return kInvalidValue;
                 if (attribute == kPointerMemoryType)
                   *static_cast<unsigned*>(value) = pinned ? kMemoryHost : kMemoryDevice;
                 else if (attribute == kPointerDeviceOrdinal)
                   *static_cast<int*>(value) = pinned ? current_context()->ordinal : allocation->ordinal;
                 else
                   return kInvalidValue;
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuImportExternalMemory(ExternalMemoryHandle* out, const ExternalMemoryDesc* desc) {
  return enter("cuImportExternalMemory", Kind::kWork,
               Line()
                   .number("type", static_cast<unsigned>(desc->type))
                   .number("fd", static_cast<unsigned>(desc->handle.fd))
                   .number("bytes", desc->size),
               [&](State& s, Line&) {
                 if (desc->type != (s.driver_version >= 13000 ? kExternalDmaBufFd : kExternalOpaqueFd)) return kInvalidValue;
                 void* content = mmap(nullptr, desc->size, PROT_READ | PROT_WRITE, MAP_SHARED, desc->handle.fd, 0);
                 if (content == MAP_FAILED) return kInvalidValue;
                 close(desc->handle.fd);  // the driver's from now on
                 auto* memory = s.make(ExternalMemoryObject{static_cast<std::byte*>(content), desc->size, {}});
                 s.live[memory] = "external memory";
                 *out = memory;
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuExternalMemoryGetMappedBuffer(DevicePtr* out, ExternalMemoryHandle memory, const ExternalBufferDesc* desc) {
  return enter("cuExternalMemoryGetMappedBuffer", Kind::kWork, Line().number("offset", desc->offset).number("bytes", desc->size),
               [&](State& s, Line&) {
                 if (const Result result = check_live(s, "cuExternalMemoryGetMappedBuffer", memory)) return result;
                 if (desc->flags || desc->offset > memory->bytes || desc->size > memory->bytes - desc->offset) return kInvalidValue;
                 Allocation allocation;
                 allocation.bytes = desc->size;
                 allocation.shadow = memory->content + desc->offset;
                 allocation.ordinal = current_context()->ordinal;
                 allocation.external = true;
                 *out = new_range(desc->size);
                 s.device[*out] = std::move(allocation);
                 memory->mappings.insert(*out);
                 return kSuccess;
               });
}

FAKE_EXPORT Result cuDestroyExternalMemory(ExternalMemoryHandle memory) {
  return enter("cuDestroyExternalMemory", Kind::kReleases, Line(), [&](State& s, Line&) {
    if (const Result result = check_live(s, "cuDestroyExternalMemory", memory)) return result;
    for (const DevicePtr mapping : memory->mappings)
      if (s.device.count(mapping)) violation("cuDestroyExternalMemory: a mapping of it is not freed yet");
    munmap(memory->content, memory->bytes);
    s.live.erase(memory);
    return kSuccess;
  });
}
