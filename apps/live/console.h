// Lines for people and a bar, from any thread.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

#include "apps/core/progress.h"

namespace pila {

class Console {
 public:
  Console(std::string unit, bool bar) : progress_(std::move(unit), 0, bar) {}

  void note(const std::string& line) {
    const std::lock_guard lock(mutex_);
    progress_.note(line);
  }
  // Without a total (0) there is no bar.
  void expect(std::int64_t total) {
    const std::lock_guard lock(mutex_);
    progress_.set_total(total);
    counting_ = total > 0;
  }
  void advance() {
    const std::lock_guard lock(mutex_);
    if (counting_) progress_.advance();
  }

 private:
  std::mutex mutex_;
  Progress progress_;
  bool counting_ = false;
};

}  // namespace pila
