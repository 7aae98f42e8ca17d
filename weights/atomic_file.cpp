#include "weights/atomic_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr const char* kPartial = ".partial";

}  // namespace

void write_atomically(const std::filesystem::path& file, std::span<const std::byte> bytes) {
  static std::atomic<unsigned> count{0};
  const std::string beside =
      file.string() + "." + std::to_string(getpid()) + "-" + std::to_string(++count) + kPartial;
  const auto fail = [&](const std::string& what) {
    const int reason = errno;
    unlink(beside.c_str());
    throw FileError(file.string() + ": " + what + ": " + std::strerror(reason));
  };
  const int descriptor = open(beside.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0666);
  if (descriptor < 0) {
    fail("cannot be created");
  }
  bool good = true;
  while (good && !bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    good = written >= 0 || errno == EINTR;
    bytes = bytes.subspan(written > 0 ? static_cast<std::size_t>(written) : 0);
  }
  good = good && fsync(descriptor) == 0;
  const int reason = errno;
  if (close(descriptor) != 0 || !good) {
    errno = good ? errno : reason;
    fail("cannot be written");
  }
  if (rename(beside.c_str(), file.c_str()) != 0) {
    fail("cannot be put in its place");
  }
}

void remove_partial_files(const std::filesystem::path& file) {
  const std::string beginning = file.filename().string() + ".";
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(file.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(beginning) && name.ends_with(kPartial)) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

}  // namespace pila
