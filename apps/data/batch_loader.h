// Batches of images, made ahead of the training step that takes them.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "apps/data/image_cache.h"

namespace pila {

struct Batch {
  std::vector<std::size_t> images;   // indices into the cache
  std::vector<std::uint8_t> pixels;  // [images, height, width, 3]
};

class BatchLoader {
 public:
  // Makes the batches in order on `threads` threads, at most `ahead` of them before they are asked for (both
  // at least 1). The cache must outlive the loader.
  BatchLoader(const ImageCache& cache, std::vector<std::vector<std::size_t>> batches, int threads,
              std::size_t ahead);
  ~BatchLoader();  // stops after the images at hand
  BatchLoader(const BatchLoader&) = delete;
  BatchLoader& operator=(const BatchLoader&) = delete;

  // Waits for the next batch; false after the last one. Throws what went wrong in making it.
  bool next(Batch& batch);

 private:
  struct Made {
    Batch batch;
    std::exception_ptr error;
  };
  void work();
  Made make(std::size_t number) const;

  const ImageCache& cache_;
  const std::vector<std::vector<std::size_t>> batches_;
  const std::size_t ahead_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::size_t, Made> made_;  // by number, those that wait to be taken
  std::size_t begun_ = 0, taken_ = 0;
  std::atomic<bool> stopped_{false};
  std::vector<std::thread> threads_;  // last: they use all of the above
};

}  // namespace pila
