// What tests call, beside the runtime's own functions: Python by ctypes (tests/fake_ort/__init__.py), C++ by dlsym. Texts are valid until
// the next call that returns one.
#pragma once

#include <cstdint>

extern "C" {
// Forgets the log, the violations, faults and refusals, and what the runtime is told to be. What is alive stays alive, registered libraries
// stay registered.
void fake_ort_reset();
// Names, apart by commas, of the providers beside the real library's.
void fake_ort_set_providers(const char* names);
// The newest version of the API that is served; 0: the real library's.
void fake_ort_set_api_version(std::uint32_t version);
// The fake driver that is loaded in this process; AFFECTRT_CUDA_LIBRARY where none is named.
void fake_ort_use_driver(const char* path);
// Whether sessions from now on tell operators for CUDA another stream than the provider was given.
void fake_ort_lose_stream(int lose);
// Called by the thread that captures a graph, while the capture is open; null: nobody is.
void fake_ort_on_capture(void (*function)());
// Call number `call` (from 1, after a reset; of those that can fail) answers with a status of this code and text; 0: none.
void fake_ort_fail_at(long call, int code, const char* text);
// The `nth` call (from 1) of a function from now on answers so.
void fake_ort_fail(const char* name, long nth, int code, const char* text);
int fake_ort_fired();
long fake_ort_calls();
// Sessions are refused with the text if they are given this provider, or "graphs": if a provider of theirs is to capture graphs.
void fake_ort_refuse(const char* what, const char* text);
// One JSON object a line: {"call": 1, "name": "CreateSession", "args": {...}, "failed": 0}.
const char* fake_ort_log();
// One a line; "" is good.
const char* fake_ort_violations();
// What was created and not released, by kind, one a line.
const char* fake_ort_leaks();
}
