// What is known of the stream: verdicts, counts, times, alarms. For any number of threads.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "apps/live/sink.h"
#include "apps/web/recent_times.h"

namespace pila {

class Board {
 public:
  // These return at once: what takes time is done for those who ask.
  void frame(const FrameReport& report);
  void item(const ItemReport& report);
  void alarm(const std::string& line);
  void set_classes(std::vector<std::string> classes);
  void end();

  std::vector<std::string> classes() const;
  // A JPEG of at most 160 pixels; empty for an item that is not among the latest 200.
  std::string thumbnail(std::int64_t serial) const;

  struct Seen {
    std::int64_t serial = 0;  // from 1 on, in the order of their verdicts
    std::int64_t number = 0;
    double time = 0;  // Unix seconds
    std::string label, bin;
    double probability = 0;
    int frames = 0;
    bool recognised = true, missed = false;
    std::shared_ptr<const media::Image> picture;
  };
  struct Alarm {
    double time = 0;
    std::string text;
  };
  struct Latest {  // frame
    std::int64_t index = -1;
    double seconds = 0;
    bool something = false, recognised = true;
    std::size_t label = 0;
    double probability = 0;
  };
  struct Summary {
    Latest frame;
    std::vector<std::string> classes;
    std::int64_t frames = 0, dropped = 0, items = 0, missed = 0, alarms = 0;
    std::map<std::string, std::int64_t> by_class, by_bin;  // "": stays on the belt
    std::vector<Seen> latest;                              // items, the newest first
    std::vector<Alarm> latest_alarms;                      // the newest first
    bool ended = false;
  };
  Summary summary(std::size_t items) const;
  RecentTimes times() const;

 private:
  static constexpr std::size_t kItems = 200, kAlarms = 50;

  mutable std::mutex mutex_;
  Summary sums_;  // without `latest` and `latest_alarms`
  std::deque<Seen> items_;
  std::deque<Alarm> alarms_;
  RecentTimes times_;
};

}  // namespace pila
