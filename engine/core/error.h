// What can go wrong, by kind. Messages begin with "[op]" or a file's name, then say what was expected and
// what came.
#pragma once

#include <stdexcept>
#include <string>

namespace pila {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// Shapes, types or attributes that an operation cannot take.
class ShapeError : public Error {
 public:
  using Error::Error;
};

// A call out of order: reading a value while tracing, a gradient that was not asked for.
class UsageError : public Error {
 public:
  using Error::Error;
};

// A device that is absent, out of memory or failing.
class DeviceError : public Error {
 public:
  using Error::Error;
};

// A file that is absent, damaged or not what was expected.
class FileError : public Error {
 public:
  using Error::Error;
};

}  // namespace pila
