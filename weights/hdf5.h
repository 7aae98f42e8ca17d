// HDF5 files to and from trees. The library behind it is only ever run in a child process (sandbox.h).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "weights/hdf5_tree.h"
#include "weights/tree_codec.h"

namespace pila {

// Hands over all groups, text attributes and arrays of an HDF5 file, but not the state of an optimizer (root
// groups "optimizer", "optimizer_weights"). Numbers are read where they are floating-point. Nothing outside
// of the file is opened: links and external storage are refused, and so is what is larger than such a file
// can say. Throws FileError without the file's name.
//
// From a regular file, open for reading, of `bytes` bytes.
void parse_hdf5(int descriptor, std::uint64_t bytes, TreeEncoder& tree);
// From memory; takes a few times the size of it.
void parse_hdf5(std::span<const std::byte> image, TreeEncoder& tree);

// The bytes of an HDF5 file that holds the tree. Throws FileError.
std::vector<std::byte> format_hdf5(const Hdf5Tree& tree);

}  // namespace pila
