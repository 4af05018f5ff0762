// What tests call, beside the driver's own functions. A C++ test gets these by dlsym from the library that AFFECTRT_CUDA_LIBRARY names,
// Python by ctypes (tests/fake_cuda/__init__.py). Texts are valid until the next call that returns one.
#pragma once

#include <cstddef>
#include <cstdint>

extern "C" {
// Forgets the log, the violations, faults, the callback, kernels and the machine's settings; what is alive stays alive.
void fake_cuda_reset();
void fake_cuda_set_device(int count, int sm, int driver_version, std::uint64_t memory_bytes);
// true: work is done when it is queued. false (the default): when somebody waits for it.
void fake_cuda_set_eager(int eager);
// Call number `call` (from 1, after a reset) fails with `code`, and with `all_later` every one after it.
void fake_cuda_fail_at(long call, int code, int all_later);
int fake_cuda_fired();
long fake_cuda_calls();
// Lets time pass: everything queued is done, though nobody has waited for it.
void fake_cuda_run_all();
// The first `count` operations that wait on a stream are done.
void fake_cuda_run(void* stream, long count);
long fake_cuda_pending();
// Runs each launch. Its result is the device's: not 0 is an error that sticks until the next reset.
void fake_cuda_set_callback(int (*callback)(const char* kernel, const unsigned* grid, const unsigned* block, unsigned shared_bytes,
                                            const void* parameters, std::size_t bytes, void* user),
                            void* user);
// Once one is named, only named ones are found. parameter_bytes 0: any.
void fake_cuda_add_kernel(const char* name, std::size_t parameter_bytes, int max_threads);
// Where the bytes of a device range really are, or null. From a callback or while nothing is queued.
void* fake_cuda_shadow(std::uint64_t data, std::size_t bytes);
// From a callback: what this launch touches. Without any, all memory that its parameters point at counts as written.
void fake_cuda_touch(std::uint64_t data, std::size_t bytes, int write);
// Puts work of another library on a stream, as a kernel of its own would stand there: `run` is called when the stream comes to it (and
// again for each replay of a graph), tells by fake_cuda_touch what it touches, and answers with a result; `drop` once it will not be called
// any more.
int fake_cuda_enqueue(void* stream, const char* what, int (*run)(void* user), void (*drop)(void* user), void* user);
// Another library captures what is put on a stream, in global mode, until the end, whose result tells whether something has broken it.
int fake_cuda_begin_capture(void* stream);
int fake_cuda_end_capture(void* stream);
// Another library does what such captures forbid to all threads, and breaks those that are open: the result.
int fake_cuda_unsafe();
// One JSON object a line: {"call": 1, "name": "cuInit", "args": {...}, "result": 0}.
const char* fake_cuda_log();
// One a line; "" is good.
const char* fake_cuda_violations();
const char* fake_cuda_leaks();
}
