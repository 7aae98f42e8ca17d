// Lines of JSON in a file, for trials.
#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "apps/eject/kinds.h"
#include "engine/core/error.h"

namespace pila {
namespace {

class FileEjector : public Ejector {
 public:
  explicit FileEjector(const std::string& path)
      : path_(path),
        // A FIFO that nobody reads is an error, rather than waited for.
        descriptor_(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666)) {
    if (descriptor_ < 0) fail("cannot be written");
  }
  ~FileEjector() override { close(descriptor_); }
  FileEjector(const FileEjector&) = delete;
  FileEjector& operator=(const FileEjector&) = delete;

  void fire(const Shot& shot) override {
    const std::string line = to_json(shot, std::chrono::steady_clock::now()) + "\n";
    const ssize_t written = write(descriptor_, line.data(), line.size());
    if (written < 0) fail("cannot be written");
    if (written < static_cast<ssize_t>(line.size())) throw FileError(path_ + ": took only a part of a line");
  }
  std::string describe() const override { return "file " + path_; }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw FileError(path_ + ": " + what + ": " + std::generic_category().message(errno));
  }

  const std::string path_;
  const int descriptor_;
};

}  // namespace

std::unique_ptr<Ejector> make_file_ejector(const std::string& path) {
  return std::make_unique<FileEjector>(path);
}

}  // namespace pila
