#include "apps/eject/ejection_queue.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

namespace pila {
namespace {

double milliseconds(std::chrono::steady_clock::duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string name(const Shot& shot) { return fmt::format("item {} for bin {}", shot.item, shot.bin); }

std::string too_late(const Shot& shot, Shot::Time now) {
  return fmt::format("{}: not fired, {:.0f} ms too late", name(shot), milliseconds(now - shot.due));
}

}  // namespace

struct EjectionQueue::State {
  std::unique_ptr<Ejector> ejector;
  Options options;
  std::function<void(const std::string&)> alarm;
  std::unique_ptr<EjectionClock> clock;

  mutable std::mutex mutex;
  std::condition_variable idle;
  std::multimap<Shot::Time, Shot> waiting;  // by due time, then in the order in which they came
  Counts counts;
  bool firing = false, stopping = false;

  std::thread thread;

  void count(std::int64_t Counts::*what) {
    const std::lock_guard lock(mutex);
    ++(counts.*what);
  }

  void fire(const Shot& shot) {
    if (const auto now = clock->now(); now > shot.latest) {
      count(&Counts::late);
      alarm(too_late(shot, now));
      return;
    }
    try {
      ejector->fire(shot);
    } catch (const std::exception& error) {
      count(&Counts::failed);
      alarm(fmt::format("{}: not fired: {}", name(shot), error.what()));
      return;
    }
    const auto now = clock->now();
    const double delay = milliseconds(now - shot.due);
    {
      const std::lock_guard lock(mutex);
      ++counts.fired;
      counts.slow += now > shot.latest;
      counts.worst_delay_ms = std::max(counts.worst_delay_ms, delay);
    }
    if (now > shot.latest)
      alarm(fmt::format("{}: {} took it {:.0f} ms late", name(shot), ejector->describe(), delay));
  }

  void work() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      const auto next = waiting.begin();
      const auto until = next == waiting.end() ? Shot::Time::max() : next->first;
      if (until == Shot::Time::max() || clock->now() < until) {
        lock.unlock();
        clock->sleep_until(until);
        lock.lock();
        continue;
      }
      const Shot shot = std::move(next->second);
      waiting.erase(next);
      firing = true;
      lock.unlock();
      fire(shot);
      lock.lock();
      firing = false;
      if (waiting.empty()) idle.notify_all();
    }
  }
};

EjectionQueue::EjectionQueue(std::unique_ptr<Ejector> ejector, const Options& options,
                             std::function<void(const std::string&)> alarm,
                             std::unique_ptr<EjectionClock> clock)
    : state_(std::make_unique<State>()) {
  state_->ejector = std::move(ejector);
  state_->options = options;
  state_->alarm = std::move(alarm);
  state_->clock = clock ? std::move(clock) : make_steady_clock();
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

EjectionQueue::~EjectionQueue() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->clock->wake();
  state_->thread.join();
}

bool EjectionQueue::schedule(Shot shot) {
  State& state = *state_;
  shot.latest = shot.due + state.options.tolerance;
  std::string reason;
  {
    const std::lock_guard lock(state.mutex);
    if (const auto now = state.clock->now(); now > shot.latest) {
      ++state.counts.late;
      reason = too_late(shot, now);
    } else if (state.waiting.size() >= state.options.capacity) {
      ++state.counts.refused;
      reason = fmt::format("{}: not fired, as {} shots wait already", name(shot), state.waiting.size());
    } else {
      state.waiting.emplace(shot.due, std::move(shot));
    }
  }
  if (!reason.empty()) {
    state.alarm(reason);
    return false;
  }
  state.clock->wake();
  return true;
}

void EjectionQueue::drain(std::chrono::milliseconds limit) {
  std::unique_lock lock(state_->mutex);
  state_->idle.wait_for(lock, limit, [this] { return state_->waiting.empty() && !state_->firing; });
}

EjectionQueue::Counts EjectionQueue::counts() const {
  const std::lock_guard lock(state_->mutex);
  return state_->counts;
}

}  // namespace pila
