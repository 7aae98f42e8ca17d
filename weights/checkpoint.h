// Everything that a run needs to go on where it was, to the bit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// A tensor's values in the host's memory.
struct HostArray {
  TensorSpec spec;
  std::vector<std::byte> bytes;
};

// Names to arrays and to texts. The typed calls are for those who write and read one; names are theirs.
class Checkpoint {
 public:
  std::map<std::string, HostArray> arrays;
  std::map<std::string, std::string> values;

  void put(const Context& ctx, const std::string& name, const Tensor& tensor);
  void put_integer(const std::string& name, std::int64_t value);
  void put_number(const std::string& name, double value);  // comes back to the bit, NaN and infinities too
  void put_text(const std::string& name, std::string value);

  // All throw FileError (without the file's name) when there is no such name; get() also for another shape or
  // type than the tensor's, which keeps its values, integer() and number() for text that is none.
  void get(const Context& ctx, const std::string& name, const Tensor& tensor) const;
  std::int64_t integer(const std::string& name) const;
  double number(const std::string& name) const;
  const std::string& text(const std::string& name) const;
};

// Replaces the file in one step: a kill or a full disk at any moment leaves the old one or the new one,
// whole. Throws FileError, the file's name first.
void save_checkpoint(const std::filesystem::path& file, const Checkpoint& checkpoint);

// Throws FileError, the file's name first: absent, no checkpoint, cut off, damaged, from a newer version.
Checkpoint load_checkpoint(const std::filesystem::path& file);

}  // namespace pila
