#include "apps/media/stderr_capture.h"

#include <sys/mman.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <mutex>

namespace pila::media {
namespace {

// File descriptor 2 belongs to the process, and so does this.
struct Redirection {
  std::mutex mutex;
  std::condition_variable changed;
  int under_way = 0, waiting_to_be_alone = 0;
  bool alone = false;
  int saved = -1, file = -1;

  void begin() {
    std::fflush(stderr);
    file = memfd_create("stderr", MFD_CLOEXEC);
    if (file < 0) return;  // then the libraries are heard, which does no harm
    saved = dup(STDERR_FILENO);
    dup2(file, STDERR_FILENO);
  }

  void end() {
    if (file < 0) return;
    if (saved >= 0) {
      dup2(saved, STDERR_FILENO);
      close(saved);
    } else {
      close(STDERR_FILENO);  // as it was
    }
    close(file);
    file = saved = -1;
  }
};

Redirection& redirection() {
  static Redirection the_one;
  return the_one;
}

}  // namespace

StderrCapture::StderrCapture(Company company) : company_(company) {
  Redirection& now = redirection();
  std::unique_lock lock(now.mutex);
  if (company == Company::alone) {
    ++now.waiting_to_be_alone;
    now.changed.wait(lock, [&] { return now.under_way == 0; });
    --now.waiting_to_be_alone;
    now.alone = true;
  } else {
    now.changed.wait(lock, [&] { return !now.alone && now.waiting_to_be_alone == 0; });
  }
  if (now.under_way++ == 0) now.begin();
  if (now.file >= 0) begin_ = lseek(now.file, 0, SEEK_END);
}

StderrCapture::~StderrCapture() { finish(); }

std::string StderrCapture::finish() {
  if (finished_) return {};
  finished_ = true;
  Redirection& now = redirection();
  const std::lock_guard lock(now.mutex);
  std::fflush(stderr);
  std::string text(4096, '\0');
  const ssize_t count = now.file < 0 ? 0 : pread(now.file, text.data(), text.size(), begin_);
  text.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
  if (--now.under_way == 0) now.end();
  if (company_ == Company::alone) now.alone = false;
  now.changed.notify_all();
  return text;
}

}  // namespace pila::media
