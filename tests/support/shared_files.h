// Finds the data and weights that lie beside the repository, where they do.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <optional>
#include <string_view>

namespace pila::test {

// The folder named by the environment variable, else `fallback`.
inline std::filesystem::path folder_from(const char* variable, std::filesystem::path fallback) {
  const char* folder = std::getenv(variable);
  return folder != nullptr && *folder != '\0' ? std::filesystem::path(folder) : std::move(fallback);
}

inline std::optional<std::filesystem::path> existing(std::filesystem::path path) {
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return std::nullopt;
  return path;
}

inline std::filesystem::path shared_folder() {
  return folder_from("PILA_SHARED_DIR", std::filesystem::path(PILA_SOURCE_DIR) / ".." / "shared");
}

// A file or folder under $PILA_SHARED_DIR, or under ../shared beside the repository; nothing where it is
// absent.
inline std::optional<std::filesystem::path> shared_file(std::string_view relative) {
  return existing(shared_folder() / relative);
}

// The same under $PILA_WEIGHTS_DIR, or under the shared folder's weights/.
inline std::optional<std::filesystem::path> weights_file(std::string_view relative) {
  return existing(folder_from("PILA_WEIGHTS_DIR", shared_folder() / "weights") / relative);
}

}  // namespace pila::test
