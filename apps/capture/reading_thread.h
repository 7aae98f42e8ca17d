// The reading side of a stream.
#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "apps/capture/stream_source.h"

namespace pila {

using StreamClock = std::chrono::steady_clock;

// One opening, by one thread.
struct Session {
  std::optional<StreamClock::time_point> blocked_since;  // while it opens or reads
  bool ended = false;
  std::exception_ptr error;  // why it ended, if not by itself
  std::int64_t frames = 0;
};

// What source and reading threads share. A thread that was given up because it hangs keeps it alive, and sees
// when it comes back that another session is the current one.
struct Stream {
  explicit Stream(StreamPlan what) : plan(std::move(what)) {}
  const StreamPlan plan;

  std::mutex mutex;
  std::condition_variable changed;
  // Below: guarded by mutex.
  std::shared_ptr<Session> session;  // the current one
  bool stopped = false;
  int threads = 0;  // those that hang included
  std::deque<Frame> queue;
  std::deque<std::string> notes;
  FrameSource::Counts counts;
  std::int64_t grabbed = 0;
  bool live = false;
  double fps = 0;
  std::int64_t total = 0;  // in one pass
  std::optional<StreamClock::time_point> begun;
};

// Begins a session; the stream's mutex is held by the caller.
void start_reading(const std::shared_ptr<Stream>& stream);

}  // namespace pila
