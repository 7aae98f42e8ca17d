// Verdicts as lines: JSON for machines, text for people.
#pragma once

#include <memory>
#include <string>

#include "apps/core/alarms.h"
#include "apps/live/line_writer.h"
#include "apps/live/sink.h"

namespace pila {

struct LineOptions {
  bool json = false;
  bool frames = false;  // a line for each frame, too; JSON alone
  std::size_t top = 5;  // classes listed
};

// A line that cannot be handed over is an alarm, and lost; on standard output it is a FileError, since then
// nobody listens.
class LineSink : public Sink {
 public:
  LineSink(const std::string& target, const LineOptions& options, Alarms& alarms);
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;

 private:
  void write(const std::string& line);

  const std::string target_;
  const LineOptions options_;
  Alarms& alarms_;
  std::unique_ptr<LineWriter> writer_;
};

// One JSON object without a line's end. {"type": "item", "item": 3, "time": Unix seconds, "label": ...,
// "recognised": ..., "probability": ..., "probabilities": {...}, "frames": 9, "first_frame": ...,
// "last_frame": ..., "entered_s": ..., "passed_s": ..., "left_s": ...}, and where it has one "bin",
// "fire_at_s" and "missed".
std::string to_json(const ItemReport& report, double unix_time, std::size_t top);
// {"type": "frame", "index": ..., "seconds": ..., "label": ..., "recognised": ..., "probability": ...,
// "item": 3 or null, "latency_ms": {"decode": ..., "preprocess": ..., "network": ..., "decide": ..., "all":
// ...}}.
std::string to_json(const FrameReport& report);
// "12.34 s, item 3: Duracell 98.2% | Energizer 1.1%, 9 frames, to left at 12.94 s".
std::string to_text(const ItemReport& report, std::size_t top);

}  // namespace pila
