// What an HDF5 file holds, as far as Keras uses it: groups with text attributes, and arrays of numbers.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <variant>
#include <vector>

namespace pila {

struct Array {
  std::vector<std::int64_t> shape;
  std::variant<std::vector<float>, std::vector<double>> values;  // float16 is read as float32
  std::string other_type;  // of an array that holds something else ("int64"): then it has no values
};

// A text attribute. An array of no elements, whatever its type, is an empty list.
struct TextAttribute {
  std::vector<std::string> values;
  bool scalar = false;
  static TextAttribute text(std::string value) { return {{std::move(value)}, true}; }
};

struct Hdf5Tree {
  using Attributes = std::map<std::string, TextAttribute>;
  // By path without a slash at either end; the root is "".
  std::map<std::string, Attributes> groups;
  std::map<std::string, Array> arrays;
};

}  // namespace pila
