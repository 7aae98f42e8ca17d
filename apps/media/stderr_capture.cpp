#include "apps/media/stderr_capture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>

namespace pila::media {
namespace {

std::mutex& one_at_a_time() {
  static std::mutex mutex;
  return mutex;
}

}  // namespace

StderrCapture::StderrCapture() : lock_(one_at_a_time()) {
  std::fflush(stderr);
  file_ = memfd_create("stderr", MFD_CLOEXEC);
  if (file_ < 0) return;  // then the libraries are heard, which does no harm
  saved_ = dup(STDERR_FILENO);
  dup2(file_, STDERR_FILENO);
}

StderrCapture::~StderrCapture() { finish(); }

std::string StderrCapture::finish() {
  if (file_ < 0) return {};
  std::fflush(stderr);
  if (saved_ >= 0) {
    dup2(saved_, STDERR_FILENO);
    close(saved_);
  } else {
    close(STDERR_FILENO);  // as it was
  }
  std::string text(4096, '\0');
  const ssize_t count = pread(file_, text.data(), text.size(), 0);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  close(file_);
  file_ = saved_ = -1;
  return text;
}

}  // namespace pila::media
