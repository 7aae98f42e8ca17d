#include "apps/live/stream_counts.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "apps/core/memory.h"

namespace pila {
namespace {

constexpr char kLatency[] = "latency";

}  // namespace

void StreamCounts::frame(const StageTimes& times, double sinks_ms) {
  stages_.add("decode", times.decode);
  stages_.add("preprocess", times.preprocess);
  stages_.add("network", times.network);
  stages_.add("decide", times.decide);
  stages_.add("sinks", sinks_ms);
  stages_.add(kLatency, times.latency);
}

void StreamCounts::item(const std::string& label, bool missed) {
  const std::lock_guard lock(mutex_);
  ++items_[label];
  ++all_items_;
  missed_ += missed ? 1 : 0;
}

std::string StreamCounts::line(const FrameSource::Counts& source) const {
  const double time = seconds();
  const std::lock_guard lock(mutex_);
  std::string text = fmt::format("{} frames, {:.1f} a second; {} items, {:.2f} a second", source.frames,
                                 static_cast<double>(source.frames) / time, all_items_,
                                 static_cast<double>(all_items_) / time);
  if (source.dropped > 0) text += fmt::format("; {} frames dropped", source.dropped);
  if (source.skipped > 0) text += fmt::format("; {} pictures skipped", source.skipped);
  if (source.reconnects > 0) text += fmt::format("; opened anew {} times", source.reconnects);
  if (missed_ > 0) text += fmt::format("; {} items decided too late", missed_);
  return text;
}

std::string StreamCounts::heartbeat(const FrameSource::Counts& source) const {
  std::string text = line(source);
  for (const StageSummary& stage : stages_.summaries()) {
    if (stage.stage != kLatency) continue;
    text += fmt::format("; latency {:.1f} ms, 99% within {:.1f} ms", stage.median, stage.p99);
  }
  text += fmt::format("; {} MiB of memory", resident_bytes() >> 20);
  return text;
}

std::string StreamCounts::summary(const FrameSource::Counts& source) const {
  std::string text = line(source);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& [label, count] : items_) text += fmt::format("\n{:>8} {}", count, label);
  }
  text += "\nmilliseconds a frame\n" + stages_.text();
  text.pop_back();  // the last line's end
  return text;
}

std::string StreamCounts::to_json(const FrameSource::Counts& source) const {
  const double time = seconds();
  nlohmann::ordered_json json = {{"seconds", time},
                                 {"frames", source.frames},
                                 {"dropped", source.dropped},
                                 {"skipped", source.skipped},
                                 {"reconnects", source.reconnects},
                                 {"frames_per_s", static_cast<double>(source.frames) / time},
                                 {"memory_mib", resident_bytes() >> 20}};
  {
    const std::lock_guard lock(mutex_);
    json["items"] = all_items_;
    json["missed"] = missed_;
    json["items_per_s"] = static_cast<double>(all_items_) / time;
    json["classes"] = nlohmann::json(items_);
  }
  json["stages"] = stages_.json();
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

}  // namespace pila
