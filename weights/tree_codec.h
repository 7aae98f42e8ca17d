// Carries an Hdf5Tree from one process to another as bytes.
#pragma once

#include <cstddef>
#include <functional>
#include <span>
#include <string>

#include "weights/hdf5_tree.h"

namespace pila {

// Writes a tree piece by piece, so that the writing side holds one array at a time.
class TreeEncoder {
 public:
  using Write = std::function<void(const void* data, std::size_t bytes)>;
  explicit TreeEncoder(Write write);

  void group(const std::string& path);
  void attribute(const std::string& group_path, const std::string& name, const TextAttribute& attribute);
  void array(const std::string& path, const Array& array);
  // Ends the stream: with success, or with the reason why there is no tree.
  void end();
  void fail(const std::string& reason);

 private:
  void tag(char value);
  void number(std::uint64_t value);
  void text(const std::string& value);
  Write write_;
};

void encode(const Hdf5Tree& tree, TreeEncoder& encoder);

// The inverse. The bytes may come from a process that a hostile file has taken over, so that everything is
// checked. Throws FileError: the reason that was given to fail(), or what is wrong with the stream.
Hdf5Tree decode_tree(std::span<const std::byte> bytes);

}  // namespace pila
