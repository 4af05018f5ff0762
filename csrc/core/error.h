// The exceptions of affectrt. A caller's mistake is std::invalid_argument (ValueError in Python); everything the world did wrong is a
// std::runtime_error of one of the three kinds below, each of which Python sees under its own name.
#pragma once

#include <stdexcept>
#include <string>

namespace affectrt {

class PackError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class EngineError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

class DeviceError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

}  // namespace affectrt
