// The newest frame, for whoever watches.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

#include "apps/media/image.h"

namespace pila {

class LivePicture {
 public:
  struct Jpeg {
    std::int64_t number = 0;
    std::shared_ptr<const std::string> bytes;  // null: none that is newer
  };

  // Costs a copy while somebody watches, at most 15 times a second, and nothing else.
  void offer(const media::Image& image);
  // The newest picture, at most 960 pixels wide; waits for one that is newer than number `seen`.
  Jpeg next(std::int64_t seen, std::chrono::milliseconds patience);
  // Nobody waits any more.
  void stop();
  bool stopped() const;

 private:
  using Clock = std::chrono::steady_clock;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const media::Image> image_;
  std::int64_t number_ = 0;
  Clock::time_point taken_, wanted_until_;
  bool stopped_ = false;

  std::mutex encoding_;
  Jpeg encoded_;  // for all who watch
};

}  // namespace pila
