// The pictures that a source names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

namespace pila {

struct StillImages {
  std::vector<std::filesystem::path> files;  // sorted by path
  std::int64_t other_files = 0;              // passed over
};

// A file: itself, whatever it is. A folder: what is below it and is a picture by content, or claims to be one
// by its name's ending. Throws FileError when there is no such file or folder.
StillImages find_images(const std::filesystem::path& source);

}  // namespace pila
