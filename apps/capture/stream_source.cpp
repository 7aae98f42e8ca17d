#include "apps/capture/stream_source.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "apps/capture/reading_thread.h"
#include "engine/core/error.h"

namespace pila {
namespace {

StreamClock::duration ticks(StreamPlan::Seconds seconds) {
  return std::chrono::duration_cast<StreamClock::duration>(seconds);
}

std::string seconds_text(StreamPlan::Seconds seconds) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g s", seconds.count());
  return text;
}

std::string message_of(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const std::exception& reason) {
    return reason.what();
  }
}

// The session keeps no part in the error, which must not go with a thread that ends meanwhile.
void rethrow_error_of(Session& session) {
  if (session.error) std::rethrow_exception(std::exchange(session.error, nullptr));
}

class StreamSource final : public FrameSource {
 public:
  explicit StreamSource(StreamPlan plan)
      : stream_(std::make_shared<Stream>(std::move(plan))), plan_(stream_->plan), pause_(plan_.first_pause) {}

  ~StreamSource() override {
    stop();
    // So that a camera is free again when this returns, but for one that hangs.
    std::unique_lock lock(stream_->mutex);
    stream_->changed.wait_for(lock, std::chrono::milliseconds(500), [&] { return stream_->threads == 0; });
  }

  // Waits for the first frame.
  void begin() {
    std::unique_lock lock(stream_->mutex);
    start_reading(stream_);
    Stream& s = *stream_;
    for (;;) {
      tell(lock);
      if (!s.queue.empty()) break;
      if (s.session->ended) {
        rethrow_error_of(*s.session);
        throw FileError(plan_.name + (plan_.kind == StreamKind::stills ? ": none of its images can be read"
                                                                       : ": not one frame can be read"));
      }
      if (overdue()) throw FileError(plan_.name + ": " + reason(*s.session));
      wait(lock);
    }
    const media::Image& image = s.queue.front().image;
    char rate[48] = "";
    if (s.fps > 0) std::snprintf(rate, sizeof rate, ", %.4g frames a second", s.fps);
    description_ = plan_.name + ": " + std::to_string(image.width) + " x " + std::to_string(image.height) +
                   " pixels" + rate + (s.total > 0 ? ", " + std::to_string(s.total) + " frames" : "");
  }

  std::optional<Frame> next() override {
    std::unique_lock lock(stream_->mutex);
    Stream& s = *stream_;
    tell(lock);
    while (!s.stopped && s.queue.empty()) {
      if (!s.notes.empty()) {
        tell(lock);
      } else if (s.session != nullptr && (s.session->ended || overdue())) {
        give_up();
      } else if (s.session == nullptr && !reopen_at_) {
        return {};  // it has ended
      } else if (s.session == nullptr && overdue()) {
        reopen();
      } else {
        wait(lock);
      }
    }
    if (s.stopped) return {};
    Frame frame = std::move(s.queue.front());
    s.queue.pop_front();
    ++s.counts.frames;
    s.changed.notify_all();
    if (lost_at_) {
      s.notes.push_back(plan_.name + ": is back after " + seconds_text(StreamClock::now() - *lost_at_));
      lost_at_.reset();
      pause_ = plan_.first_pause;
    }
    return frame;
  }

  void stop() override {
    const std::lock_guard lock(stream_->mutex);
    stream_->stopped = true;
    stream_->changed.notify_all();
  }

  bool live() const override {
    const std::lock_guard lock(stream_->mutex);
    return stream_->live;
  }
  double fps() const override {
    const std::lock_guard lock(stream_->mutex);
    return stream_->fps;
  }
  std::int64_t total() const override {
    const std::lock_guard lock(stream_->mutex);
    return stream_->total * plan_.loop;
  }
  Counts counts() const override {
    const std::lock_guard lock(stream_->mutex);
    return stream_->counts;
  }
  std::string describe() const override { return description_; }

 private:
  // All below with the mutex held.
  bool endless() const { return stream_->live && !plan_.pace; }

  // A file is given more time: a disk that has to wake up is no camera that was pulled out.
  StreamPlan::Seconds patience(const Session& session) const {
    constexpr StreamPlan::Seconds kForFiles{60};
    const StreamPlan::Seconds asked = session.frames == 0 ? plan_.opening : plan_.reading;
    const bool file = plan_.kind == StreamKind::stills || plan_.kind == StreamKind::recording;
    return file ? std::max(asked, kForFiles) : asked;
  }
  // When waiting ends, if ever.
  std::optional<StreamClock::time_point> deadline() const {
    const auto& session = stream_->session;
    if (session == nullptr) return reopen_at_;
    if (!session->blocked_since) return {};
    return *session->blocked_since + ticks(patience(*session));
  }
  bool overdue() const {
    const auto last = deadline();
    return last && StreamClock::now() >= *last;
  }

  // Why there are no more frames of this session.
  std::string reason(const Session& session) const {
    if (session.error) return message_of(session.error);
    if (session.ended) return "it gives no more frames";
    return (session.frames == 0 ? "no frame within " : "no frame for ") + seconds_text(patience(session));
  }

  void wait(std::unique_lock<std::mutex>& lock) {
    if (const auto until = deadline()) {
      stream_->changed.wait_until(lock, *until);
    } else {
      stream_->changed.wait(lock);
    }
  }

  void tell(std::unique_lock<std::mutex>& lock) {
    while (!stream_->notes.empty()) {
      const std::string line = std::move(stream_->notes.front());
      stream_->notes.pop_front();
      if (!plan_.note) continue;
      lock.unlock();
      plan_.note(line);
      lock.lock();
    }
  }

  // What is to be done when a session has ended, or hangs: its thread is left to itself.
  void give_up() {
    const std::shared_ptr<Session> session = std::exchange(stream_->session, nullptr);
    if (!endless()) {
      rethrow_error_of(*session);
      if (!session->ended) throw FileError(plan_.name + ": " + reason(*session));
      return;
    }
    if (!lost_at_) {
      lost_at_ = StreamClock::now();
      ++stream_->counts.reconnects;
      stream_->notes.push_back(plan_.name +
                               ": is lost, and opened anew until it is back: " + reason(*session));
    }
    pause();
  }

  void pause() {
    reopen_at_ = StreamClock::now() + ticks(pause_);
    pause_ = std::min(pause_ * 2, plan_.longest_pause);
  }

  void reopen() {
    constexpr int kMostThreads = 4;  // that may hang at a time
    if (stream_->threads >= kMostThreads) {
      pause();
      return;
    }
    reopen_at_.reset();
    start_reading(stream_);
  }

  const std::shared_ptr<Stream> stream_;
  const StreamPlan& plan_;
  std::string description_;
  std::optional<StreamClock::time_point> lost_at_, reopen_at_;
  StreamPlan::Seconds pause_;
};

}  // namespace

std::unique_ptr<FrameSource> start_stream(StreamPlan plan) {
  auto source = std::make_unique<StreamSource>(std::move(plan));
  source->begin();
  return source;
}

}  // namespace pila
