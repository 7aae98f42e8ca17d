#include "apps/capture/reading_thread.h"

#include <cmath>
#include <thread>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kAhead = 4;  // frames that a file is decoded ahead of who takes them

double ms_between(StreamClock::time_point begin, StreamClock::time_point end) {
  return std::chrono::duration<double, std::milli>(end - begin).count();
}

// A file's own clock where it is sane, else its rate.
class FileClock {
 public:
  FileClock(double fps, bool stills) : period_(fps > 0 ? 1 / fps : stills ? 1 : 0.04) {}

  double period() const { return period_; }
  double at(std::optional<double> position) {
    constexpr double kLongestGap = 3600;
    const bool sane = position && std::isfinite(*position) && *position >= 0;
    if (!std::exchange(running_, true)) {
      first_ = sane ? *position : 0;
      return last_;
    }
    const double gap = sane ? *position - first_ - last_ : 0;
    last_ += gap > 0 && gap < kLongestGap ? gap : period_;
    return last_;
  }

 private:
  double period_, first_ = 0, last_ = 0;
  bool running_ = false;
};

class Reading {
 public:
  Reading(std::shared_ptr<Stream> stream, std::shared_ptr<Session> session)
      : stream_(std::move(stream)), session_(std::move(session)), plan_(stream_->plan) {}

  void run() {
    std::exception_ptr error;
    try {
      for (int pass = 0; plan_.loop == 0 || pass < plan_.loop; ++pass) {
        if (!play(pass == 0)) break;
      }
    } catch (...) {
      error = std::current_exception();
    }
    const std::lock_guard lock(stream_->mutex);
    session_->blocked_since.reset();
    session_->ended = true;
    session_->error = std::move(error);
    --stream_->threads;
    stream_->changed.notify_all();
  }

 private:
  // From the beginning to the end; whether there is sense in doing so again.
  bool play(bool first_pass) {
    blocks(true);
    const std::unique_ptr<FrameReader> reader = plan_.open();
    if (!opened(*reader)) return false;
    FileClock clock(reader->fps(), stills());
    std::int64_t seen = 0, taken = 0;
    for (int skipped_in_a_row = 0;; ++seen) {
      Frame frame;
      blocks(true);
      const auto begin = StreamClock::now();
      if (!reader->grab()) break;
      const auto grabbed = StreamClock::now();
      if (!counted(frame)) return false;
      frame.name = reader->name();
      frame.seconds = begun_at_ + clock.at(reader->seconds());
      if (plan_.pace && too_late(frame.seconds, clock.period()) && ++skipped_in_a_row < kMostSkipped) {
        const std::lock_guard lock(stream_->mutex);
        ++stream_->counts.dropped;
        continue;
      }
      skipped_in_a_row = 0;
      if (!decode(*reader, frame, taken)) {
        if (stills()) continue;
        break;
      }
      const auto decoded = StreamClock::now();
      frame.decode_ms = ms_between(live_ ? grabbed : begin, decoded);
      frame.arrived = live_ ? grabbed : decoded;
      blocks(false);
      if (!deliver(std::move(frame))) return false;
      ++taken;
    }
    blocks(false);
    if (first_pass && !live_ && !stills() && taken > 0 && seen < reader->total()) {
      note(plan_.name + ": " + std::to_string(reader->total()) + " frames are expected, and only " +
           std::to_string(seen) + " can be read");
    }
    begun_at_ += clock.at({});
    return taken > 0 && !live_;
  }

  // False when the frame cannot be decoded, or does not fit, and the source goes on or ends without it.
  bool decode(FrameReader& reader, Frame& frame, std::int64_t taken) {
    try {
      frame.image = reader.retrieve();
      plan_.adjust(frame.image);
      if (!frame.image.warning.empty()) note(frame.name + ": " + frame.image.warning);
      return true;
    } catch (const UsageError& error) {
      if (!stills()) throw UsageError(plan_.name + ": " + error.what());
      skip(frame.name + ": skipped: " + error.what());
    } catch (const FileError& error) {
      if (stills()) {
        skip(std::string("skipped: ") + error.what());
      } else if (live_ || taken == 0) {
        throw;
      } else {
        note(error.what());
      }
    }
    return false;
  }

  bool stills() const { return plan_.kind == StreamKind::stills; }
  bool wanted() const { return stream_->session == session_ && !stream_->stopped; }  // with the mutex held

  void blocks(bool now) {
    const std::lock_guard lock(stream_->mutex);
    session_->blocked_since.reset();
    if (!now) return;
    session_->blocked_since = StreamClock::now();
    stream_->changed.notify_all();  // from here on there is a time to wait until
  }

  void note(const std::string& line) {
    const std::lock_guard lock(stream_->mutex);
    stream_->notes.push_back(line);
    stream_->changed.notify_all();
  }

  void skip(const std::string& line) {
    note(line);
    const std::lock_guard lock(stream_->mutex);
    ++stream_->counts.skipped;
  }

  bool opened(const FrameReader& reader) {
    const double fps = reader.fps();
    const std::int64_t total = reader.total();
    live_ = plan_.kind == StreamKind::live || (plan_.kind == StreamKind::address && total == 0);
    const std::lock_guard lock(stream_->mutex);
    if (!wanted()) return false;
    stream_->live = live_ || plan_.pace;
    stream_->fps = fps;
    stream_->total = live_ ? 0 : total;
    return true;
  }

  bool counted(Frame& frame) {
    const std::lock_guard lock(stream_->mutex);
    frame.index = stream_->grabbed;
    if (wanted()) ++stream_->grabbed;
    return wanted();
  }

  StreamClock::time_point due(double seconds) const {
    return *began_ +
           std::chrono::duration_cast<StreamClock::duration>(std::chrono::duration<double>(seconds));
  }
  bool too_late(double seconds, double period) const {
    return began_ && StreamClock::now() > due(seconds + period);
  }

  // Waits for room, or for the time that the frame is due at. False when nobody wants it any more.
  bool deliver(Frame frame) {
    std::unique_lock lock(stream_->mutex);
    if (!began_) began_ = frame.arrived;
    if (plan_.pace) {
      stream_->changed.wait_until(lock, due(frame.seconds), [&] { return !wanted(); });
      frame.arrived = StreamClock::now();
    } else if (!live_) {
      stream_->changed.wait(lock, [&] { return !wanted() || stream_->queue.size() < kAhead; });
    }
    if (!wanted()) return false;
    if (live_) {
      if (!stream_->begun) stream_->begun = frame.arrived;
      frame.seconds = ms_between(*stream_->begun, frame.arrived) / 1000;
    }
    if (stream_->live && !stream_->queue.empty()) {
      stream_->counts.dropped += static_cast<std::int64_t>(stream_->queue.size());
      stream_->queue.clear();
    }
    stream_->queue.push_back(std::move(frame));
    ++session_->frames;
    stream_->changed.notify_all();
    return true;
  }

  static constexpr int kMostSkipped = 10;  // a decoder that is always late is heard now and then
  const std::shared_ptr<Stream> stream_;
  const std::shared_ptr<Session> session_;
  const StreamPlan& plan_;
  bool live_ = false;
  double begun_at_ = 0;                           // seconds, of this pass
  std::optional<StreamClock::time_point> began_;  // when the first frame of all passes was there
};

}  // namespace

void start_reading(const std::shared_ptr<Stream>& stream) {
  stream->session = std::make_shared<Session>();
  stream->session->blocked_since = StreamClock::now();
  ++stream->threads;
  std::thread([stream, session = stream->session] { Reading(stream, session).run(); }).detach();
}

}  // namespace pila
