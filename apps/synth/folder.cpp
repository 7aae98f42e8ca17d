#include "apps/synth/folder.h"

#include <cstdio>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::synth {
namespace {

[[noreturn]] void refuse(const char* what, const std::string& value, int low, int high) {
  throw UsageError("[synth] expected " + std::to_string(low) + " to " + std::to_string(high) + " " + what +
                   ", got " + value);
}

}  // namespace

void expect_range(const char* what, int value, int low, int high) {
  if (value < low || value > high) refuse(what, std::to_string(value), low, high);
}

void expect_range(const char* what, double value, int low, int high) {
  if (!(value >= low && value <= high)) refuse(what, std::to_string(value), low, high);
}

void make_folder(const fs::path& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) throw FileError(folder.string() + ": cannot be made: " + error.message());
}

void make_empty_folder(const fs::path& folder) {
  make_folder(folder);
  std::error_code error;
  if (!fs::is_empty(folder, error)) throw FileError(folder.string() + ": an empty or new folder is expected");
}

std::string numbered(const char* format, int number) {
  char text[32];
  std::snprintf(text, sizeof text, format, number);
  return text;
}

}  // namespace pila::synth
