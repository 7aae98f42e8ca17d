// Something to be done now and then, on a thread of its own.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace pila {

class Ticker {
 public:
  // Calls `work`, which must not throw, with this pause between two calls.
  Ticker(std::chrono::milliseconds pause, std::function<void()> work)
      : thread_([this, pause, work = std::move(work)] {
          std::unique_lock lock(mutex_);
          while (!changed_.wait_for(lock, pause, [this] { return stopped_; })) {
            lock.unlock();
            work();
            lock.lock();
          }
        }) {}
  ~Ticker() {  // waits for a call under way
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pila
