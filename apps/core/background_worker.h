// A thread that does things in order, behind the one that asks for them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace pila {

class BackgroundWorker {
 public:
  using Job = std::function<void()>;
  // At most `capacity` jobs wait. Jobs must not throw.
  explicit BackgroundWorker(std::size_t capacity);
  ~BackgroundWorker();  // jobs that still wait are done first
  BackgroundWorker(const BackgroundWorker&) = delete;
  BackgroundWorker& operator=(const BackgroundWorker&) = delete;

  void push(Job job);      // waits for room
  bool try_push(Job job);  // false, and the job is not done, where there is no room
  void drain();            // waits until all jobs are done

 private:
  void work();

  const std::size_t capacity_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Job> jobs_;
  bool busy_ = false, stopped_ = false;
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace pila
