#include "apps/data/batch_loader.h"

#include <string>
#include <utility>

#include "engine/core/error.h"

namespace pila {

BatchLoader::BatchLoader(const ImageCache& cache, std::vector<std::vector<std::size_t>> batches, int threads,
                         std::size_t ahead)
    : cache_(cache), batches_(std::move(batches)), ahead_(ahead) {
  if (threads < 1 || ahead < 1) {
    throw UsageError("[batch loader] one thread and one batch ahead at least are expected, got " +
                     std::to_string(threads) + " and " + std::to_string(ahead));
  }
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

BatchLoader::~BatchLoader() {
  {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
  }
  changed_.notify_all();
  for (auto& thread : threads_) thread.join();
}

bool BatchLoader::next(Batch& batch) {
  std::unique_lock lock(mutex_);
  if (taken_ == batches_.size()) return false;
  changed_.wait(lock, [&] { return made_.count(taken_) > 0; });
  auto made = made_.extract(taken_++);
  lock.unlock();
  changed_.notify_all();
  if (made.mapped().error) std::rethrow_exception(made.mapped().error);
  batch = std::move(made.mapped().batch);
  return true;
}

void BatchLoader::work() {
  for (;;) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return stopped_ || begun_ == batches_.size() || begun_ < taken_ + ahead_; });
    if (stopped_ || begun_ == batches_.size()) return;
    const std::size_t number = begun_++;
    lock.unlock();
    Made made = make(number);
    lock.lock();
    made_.emplace(number, std::move(made));
    changed_.notify_all();
  }
}

BatchLoader::Made BatchLoader::make(std::size_t number) const {
  Made made;
  try {
    made.batch.images = batches_[number];
    made.batch.pixels.resize(batches_[number].size() * cache_.image_bytes());
    std::uint8_t* pixels = made.batch.pixels.data();
    for (const std::size_t image : batches_[number]) {
      if (stopped_) break;
      cache_.read(image, pixels);
      pixels += cache_.image_bytes();
    }
  } catch (...) {
    made.error = std::current_exception();
  }
  return made;
}

}  // namespace pila
