// Files that are whole or not there.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>

namespace pila {

// Writes beside the file's place and renames into it when all bytes are on disk. Throws FileError, the file's
// name first, and leaves the place as it was.
void write_atomically(const std::filesystem::path& file, std::span<const std::byte> bytes);

// Removes what processes that were killed while writing this file left beside it; only for whoever is sure to
// be the file's one writer.
void remove_partial_files(const std::filesystem::path& file);

}  // namespace pila
