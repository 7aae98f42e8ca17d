#include "apps/live/line_sink.h"

#include <fmt/format.h>

#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "apps/core/verdict.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using Json = nlohmann::ordered_json;

// With the digits that mean something: divided, not multiplied, the double is the one that prints as short.
double rounded(double value, double per_unit) { return std::round(value * per_unit) / per_unit; }
double milliseconds(double value) { return rounded(value, 1e3); }
double seconds(double value) { return rounded(value, 1e4); }
double share(float value) { return rounded(value, 1e6); }

std::string text_of(const Json& line) { return line.dump(-1, ' ', false, Json::error_handler_t::replace); }

double unix_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

}  // namespace

std::string to_json(const ItemReport& report, double unix_time, std::size_t top) {
  const Item& item = report.item;
  Json probabilities = Json::object();
  for (const std::size_t i : listed_classes(item.probabilities, top)) {
    probabilities[report.classes[i]] = share(item.probabilities[i]);
  }
  Json line = {{"type", "item"},
               {"item", item.number},
               {"time", rounded(unix_time, 1e3)},
               {"label", report.label},
               {"recognised", item.recognised},
               {"probability", share(item.probabilities[item.label])},
               {"probabilities", std::move(probabilities)},
               {"frames", item.frames},
               {"first_frame", item.first_frame},
               {"last_frame", item.last_frame},
               {"entered_s", seconds(item.entered)},
               {"passed_s", seconds(item.passed)},
               {"left_s", seconds(item.left)}};
  if (!report.bin.empty()) line["bin"] = report.bin;
  if (report.fire_at) line["fire_at_s"] = seconds(*report.fire_at);
  if (!report.bin.empty()) line["missed"] = report.missed;
  return text_of(line);
}

std::string to_json(const FrameReport& report) {
  const std::size_t best = top_classes(report.probabilities, 1).at(0);
  Json line = {{"type", "frame"},
               {"index", report.frame.index},
               {"seconds", seconds(report.frame.seconds)},
               {"label", report.recognised ? report.classes[best] : kOthers},
               {"recognised", report.recognised},
               {"probability", share(report.probabilities[best])},
               {"item", nullptr},
               {"latency_ms",
                {{"decode", milliseconds(report.times.decode)},
                 {"preprocess", milliseconds(report.times.preprocess)},
                 {"network", milliseconds(report.times.network)},
                 {"decide", milliseconds(report.times.decide)},
                 {"all", milliseconds(report.times.latency)}}}};
  if (report.presence.item > 0) line["item"] = report.presence.item;
  return text_of(line);
}

std::string to_text(const ItemReport& report, std::size_t top) {
  const Item& item = report.item;
  std::string text = fmt::format("{:.2f} s, item {}:", item.passed, item.number);
  if (!item.recognised) text += std::string(" ") + kOthers + ";";
  const char* separator = " ";
  for (const std::size_t i : top_classes(item.probabilities, top)) {
    text += fmt::format("{}{} {:.1f}%", separator, report.classes[i], item.probabilities[i] * 100);
    separator = " | ";
  }
  text += fmt::format(", {} {}", item.frames, item.frames == 1 ? "frame" : "frames");
  if (!report.bin.empty()) text += ", to " + report.bin;
  if (report.fire_at) text += fmt::format(" at {:.2f} s", *report.fire_at);
  return report.missed ? text + ", too late" : text;
}

LineSink::LineSink(const std::string& target, const LineOptions& options, Alarms& alarms)
    : target_(target), options_(options), alarms_(alarms), writer_(open_lines(target)) {}

void LineSink::frame(const FrameReport& report) {
  if (options_.json && options_.frames) write(to_json(report));
}

void LineSink::item(const ItemReport& report) {
  write(options_.json ? to_json(report, unix_time(), options_.top) : to_text(report, options_.top));
}

void LineSink::write(const std::string& line) {
  try {
    writer_->write_line(line);
    alarms_.over(target_);
  } catch (const FileError& error) {
    if (target_ == "-") throw;
    alarms_.raise(target_, error.what());
  }
}

}  // namespace pila
