#include "apps/core/background_worker.h"

#include <utility>

namespace pila {

BackgroundWorker::BackgroundWorker(std::size_t capacity) : capacity_(capacity), thread_([this] { work(); }) {}

BackgroundWorker::~BackgroundWorker() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void BackgroundWorker::push(Job job) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return jobs_.size() < capacity_; });
  jobs_.push_back(std::move(job));
  changed_.notify_all();
}

bool BackgroundWorker::try_push(Job job) {
  const std::lock_guard lock(mutex_);
  if (jobs_.size() >= capacity_) return false;
  jobs_.push_back(std::move(job));
  changed_.notify_all();
  return true;
}

void BackgroundWorker::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return jobs_.empty() && !busy_; });
}

void BackgroundWorker::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopped_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    busy_ = true;
    lock.unlock();
    job();
    job = nullptr;  // what it holds goes before it counts as done
    lock.lock();
    busy_ = false;
    changed_.notify_all();
  }
}

}  // namespace pila
