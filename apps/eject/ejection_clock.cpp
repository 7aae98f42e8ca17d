#include "apps/eject/ejection_clock.h"

#include <condition_variable>
#include <mutex>

namespace pila {
namespace {

class SteadyClock : public EjectionClock {
 public:
  Time now() const override { return std::chrono::steady_clock::now(); }

  void sleep_until(Time until) override {
    std::unique_lock lock(mutex_);
    const auto woken = [this] { return woken_; };
    // The end of time overflows inside the library's waits.
    if (until == Time::max()) {
      changed_.wait(lock, woken);
    } else {
      changed_.wait_until(lock, until, woken);
    }
    woken_ = false;
  }

  void wake() override {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool woken_ = false;
};

}  // namespace

std::unique_ptr<EjectionClock> make_steady_clock() { return std::make_unique<SteadyClock>(); }

}  // namespace pila
