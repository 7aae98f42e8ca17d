// From a file on disk to the tree inside of it, whatever the container: HDF5, or the zip archive of Keras 3.
#pragma once

#include <filesystem>

#include "weights/hdf5_tree.h"

namespace pila {

// Reads a file that nobody vouches for, in a child process with limits on time and memory. A .keras archive
// gives the tree of its model.weights.h5, with its config.json and metadata.json as the root's attributes
// "model_config" and "keras_metadata". Throws FileError, the file's name first: absent, not such a file (and
// what it looks like), damaged, too large.
Hdf5Tree read_container(const std::filesystem::path& file);

// Writes the tree as an HDF5 file: beside its place, then renamed into it. Throws FileError and leaves
// nothing.
void write_container(const std::filesystem::path& file, const Hdf5Tree& tree);

}  // namespace pila
