// Small text files, such as JSON that a person wrote.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

namespace pila {

// Throws FileError, the file's name first, when it cannot be read or is larger than max_bytes.
std::string read_text_file(const std::filesystem::path& file, std::uintmax_t max_bytes);

}  // namespace pila
