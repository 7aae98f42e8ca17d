#include "apps/core/output.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila {

Output::Output() : name_("standard output"), file_(stdout) {}

Output::Output(const fs::path& target) : name_(target.string()) {
  std::error_code ignored;
  const auto status = fs::status(target, ignored);
  if (fs::is_directory(status))
    throw FileError(name_ + ": a file to write is expected, and this is a folder");
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    file_ = std::fopen(target.c_str(), "w");
  } else {
    if (fs::exists(status) && access(target.c_str(), W_OK) != 0) check(false);
    // A link stays a link: what it points to is replaced.
    target_ = fs::is_symlink(fs::symlink_status(target, ignored)) ? fs::weakly_canonical(target) : target;
    beside_ = target_;
    beside_ += ".part-" + std::to_string(getpid());
    file_ = std::fopen(beside_.c_str(), "w");
  }
  check(file_ != nullptr);
}

Output::~Output() {
  if (file_ != nullptr && file_ != stdout) std::fclose(file_);
  std::error_code ignored;
  if (!beside_.empty()) fs::remove(beside_, ignored);
}

void Output::write_line(std::string_view line) {
  const std::string text = std::string(line) + "\n";
  check(std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0);
}

void Output::finish() {
  check(std::fflush(file_) == 0);
  if (beside_.empty()) return;
  check(fsync(fileno(file_)) == 0);
  std::FILE* file = file_;
  file_ = nullptr;
  check(std::fclose(file) == 0);
  std::error_code error;
  fs::rename(beside_, target_, error);
  if (error) throw FileError(name_ + ": cannot be written: " + error.message());
  beside_.clear();
}

void Output::check(bool good) const {
  if (good) return;
  throw FileError(name_ + (errno == EPIPE ? ": was closed by its reader"
                                          : std::string(": cannot be written: ") + std::strerror(errno)));
}

}  // namespace pila
