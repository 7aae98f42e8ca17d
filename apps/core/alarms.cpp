#include "apps/core/alarms.h"

#include <utility>

namespace pila {

void Alarms::tell(const std::string& line) {
  {
    const std::lock_guard lock(mutex_);
    ++count_;
  }
  listener_(line);
}

void Alarms::raise(const std::string& kind, const std::string& line) {
  {
    const std::lock_guard lock(mutex_);
    ++count_;
    if (std::exchange(on_[kind], true)) return;
  }
  listener_(line);
}

void Alarms::over(const std::string& kind) {
  {
    const std::lock_guard lock(mutex_);
    const auto found = on_.find(kind);
    if (found == on_.end() || !std::exchange(found->second, false)) return;
  }
  listener_(kind + ": works again");
}

std::int64_t Alarms::count() const {
  const std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace pila
