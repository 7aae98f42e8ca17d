#include "apps/core/text_file.h"

#include <fstream>
#include <system_error>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {

std::string read_text_file(const fs::path& file, std::uintmax_t max_bytes) {
  std::error_code error;
  const auto bytes = fs::file_size(file, error);
  if (error) throw FileError(file.string() + ": " + error.message());
  if (bytes > max_bytes) {
    throw FileError(file.string() + ": a text of at most " + std::to_string(max_bytes) +
                    " bytes is expected, and it has " + std::to_string(bytes));
  }
  std::string text(bytes, '\0');
  std::ifstream stream(file, std::ios::binary);
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!stream) throw FileError(file.string() + ": cannot be read");
  return text;
}

}  // namespace pila
