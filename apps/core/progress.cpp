#include "apps/core/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>

namespace pila {

Progress::Progress(std::string unit, std::int64_t total, bool bar, bool silent)
    : stream_(silent ? -1 : dup(STDERR_FILENO)),
      unit_(std::move(unit)),
      total_(total),
      bar_(bar),
      terminal_(isatty(STDERR_FILENO) != 0),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  clear();
  if (stream_ >= 0) close(stream_);
}

void Progress::advance(std::int64_t count) {
  done_ += count;
  draw();
}

void Progress::note(const std::string& line) {
  clear();
  write(line + "\n");
}

std::string Progress::describe(const std::string& unit, std::int64_t done, std::int64_t total,
                               double seconds) {
  constexpr std::int64_t kCells = 30;
  const std::int64_t filled = total > 0 ? done * kCells / total : 0;
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const auto left = rate > 0 ? std::llround(static_cast<double>(total - done) / rate) : 0;
  return fmt::format("{}/{} {} [{:#<{}}{:-<{}}] {:.1f}/s, {}:{:02} left", done, total, unit, "", filled, "",
                     kCells - filled, rate, left / 60, left % 60);
}

void Progress::draw() {
  using std::chrono::duration;
  const auto now = Clock::now();
  const double interval = terminal_ ? 0.1 : 10;
  if ((terminal_ && !bar_) || duration<double>(now - last_).count() < interval) return;
  last_ = now;
  const auto text = describe(unit_, done_, total_, duration<double>(now - start_).count());
  write(terminal_ ? "\r\033[K" + text : text + "\n");
}

void Progress::write(const std::string& text) const {
  std::size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t count = ::write(stream_, text.data() + sent, text.size() - sent);
    if (count < 0 && errno != EINTR) return;  // nobody listens
    sent += static_cast<std::size_t>(std::max<ssize_t>(count, 0));
  }
}

void Progress::clear() {
  if (terminal_ && bar_) write("\r\033[K");
}

}  // namespace pila
