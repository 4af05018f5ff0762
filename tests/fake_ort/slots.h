// Functions of ONNX Runtime's C API that the fake calls and affectrt does not: the same rows as in csrc/engine/ort_abi.h, checked by
// tests/abi with them.
#pragma once

#include "affectrt/engine/ort_abi.h"

// clang-format off
#define FAKE_ORT_PLUGIN_SLOTS(X)                                                                                                          \
  X(295, CreateKeyValuePairs, void, (KeyValuePairs**))                                                                                   \
  X(296, AddKeyValuePair, void, (KeyValuePairs*, const char* key, const char* value))
// clang-format on
