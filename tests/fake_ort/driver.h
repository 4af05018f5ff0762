// The fake driver of tests/fake_cuda, where one is loaded, as far as this library needs it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "state.h"

namespace fake_ort {

// Whether a fake driver is there.
bool has_driver();
// A function of the driver's; there must be one.
void* driver_function(const char* name);
// Where the bytes of a device range are; null if it is no device memory. Without a fake driver the address itself.
void* shadow(std::uint64_t address, std::size_t bytes);
// Says what the work that is running just now touches.
void touch(const ValueRecord& value, bool write);
// Captures of graphs, in CUDA's global mode: no status, or what the provider would answer with.
Status* begin_capture(void* stream);
Status* end_capture(void* stream);
// What a provider does when it opens or closes a session, and in a run that replays no graph, among it calls that a capture forbids to all
// threads: a status where one is open, which is broken by it.
Status* unsafe(const char* expression);
// What stands on the stream is done, though nobody has waited for it.
void run_stream(void* stream);
// Puts work on the stream; false if this driver cannot.
bool put_on_stream(void* stream, const std::shared_ptr<Job>& job);

// The work itself, now. The text of what went wrong, or "".
std::string run_job(const Job& job);
// Captured work of a session that ends.
void drop_graphs(const Session* session);

}  // namespace fake_ort
