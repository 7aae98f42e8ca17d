// Which files are worth decoding.
#pragma once

#include <filesystem>

namespace pila::media {

// Whether a file is a picture by its content, or claims to be one by its name's ending.
bool looks_like_image(const std::filesystem::path& file);

}  // namespace pila::media
