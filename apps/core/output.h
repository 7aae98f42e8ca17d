// Where results go: standard output, or a file that appears when it is complete.
#pragma once

#include <cstdio>
#include <filesystem>
#include <string>
#include <string_view>

namespace pila {

class Output {
 public:
  // Standard output.
  Output();
  // A file, written beside its place and renamed into it by finish(); a device or pipe is written directly.
  // Throws FileError at once when that cannot be done.
  explicit Output(const std::filesystem::path& target);
  ~Output();  // without finish(), an earlier file of that name stays as it was
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  // Hands the line over before it returns, so that a reader at the other end of a pipe sees it at once.
  // Throws FileError when it cannot be written, as when the reader is gone.
  void write_line(std::string_view line);
  void finish();

 private:
  void check(bool good) const;

  std::string name_;
  std::filesystem::path target_, beside_;  // empty unless renamed
  std::FILE* file_ = nullptr;
};

}  // namespace pila
