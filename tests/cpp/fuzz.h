// A fuzz target: true if the input was accepted, false if it was refused with a PackError. Anything else that is thrown is a finding, and
// so is what `require` finds wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

bool run_target(const std::uint8_t* data, std::size_t size);

inline void require(bool holds, const std::string& what) {
  if (!holds) throw std::logic_error("broken promise: " + what);
}
