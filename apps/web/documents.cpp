#include "apps/web/documents.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>

#include "apps/core/memory.h"

namespace pila {
namespace {

using Json = nlohmann::ordered_json;

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string class_name(const std::vector<std::string>& classes, std::size_t index) {
  return index < classes.size() ? classes[index] : std::to_string(index);
}

std::string base64(const std::vector<std::uint8_t>& bytes) {
  constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const auto byte = [&](std::size_t at) { return at < bytes.size() ? std::uint32_t{bytes[at]} : 0u; };
    const std::uint32_t group = byte(i) << 16 | byte(i + 1) << 8 | byte(i + 2);
    for (int digit = 3; digit >= 0; --digit) text += kDigits[group >> (6 * digit) & 63];
  }
  const std::size_t missing = (3 - bytes.size() % 3) % 3;
  text.replace(text.size() - missing, missing, missing, '=');
  return text;
}

Json json_of(const Board::Latest& frame, const std::vector<std::string>& classes) {
  return {{"index", frame.index},
          {"seconds", frame.seconds},
          {"something", frame.something},
          {"label", class_name(classes, frame.label)},
          {"probability", frame.probability},
          {"recognised", frame.recognised}};
}

Json json_of(const Board::Seen& seen) {
  return {{"serial", seen.serial}, {"number", seen.number},           {"time", seen.time},
          {"label", seen.label},   {"probability", seen.probability}, {"bin", seen.bin},
          {"frames", seen.frames}, {"recognised", seen.recognised},   {"missed", seen.missed}};
}

Json json_of(const StoredItem& item) {
  return {{"id", item.id},
          {"time", item.time},
          {"source", item.source},
          {"label", item.label},
          {"probability", item.probability},
          {"probabilities", item.probabilities},
          {"frames", item.frames},
          {"corrected", item.corrected},
          {"doubtful", item.doubtful},
          {"has_picture", item.has_picture}};
}

// For the text format's label values.
std::string escaped(const std::string& text) {
  std::string result;
  for (const char c : text) {
    if (c == '\n') {
      result += "\\n";
    } else {
      if (c == '\\' || c == '"') result += '\\';
      result += c;
    }
  }
  return result;
}

class Metrics {
 public:
  void family(std::string_view name, std::string_view type, std::string_view help) {
    text_ += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
  }
  void value(std::string_view name, double value) { text_ += fmt::format("{} {}\n", name, value); }
  void value(std::string_view name, std::string_view label, const std::string& is, double value) {
    text_ += fmt::format("{}{{{}=\"{}\"}} {}\n", name, label, escaped(is), value);
  }
  void counter(std::string_view name, std::string_view help, std::int64_t count) {
    family(name, "counter", help);
    value(name, static_cast<double>(count));
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

std::string state_json(const Board::Summary& summary, const std::string& model, bool stores,
                       bool classifies) {
  Json items = Json::array(), alarms = Json::array();
  for (const auto& seen : summary.latest) items.push_back(json_of(seen));
  for (const auto& alarm : summary.latest_alarms) {
    alarms.push_back({{"time", alarm.time}, {"text", alarm.text}});
  }
  return text_of({{"model", model},
                  {"classes", summary.classes},
                  {"stores", stores},
                  {"classifies", classifies},
                  {"ended", summary.ended},
                  {"frame", summary.frames > 0 ? json_of(summary.frame, summary.classes) : Json()},
                  {"counts",
                   {{"frames", summary.frames},
                    {"dropped", summary.dropped},
                    {"items", summary.items},
                    {"missed", summary.missed},
                    {"alarms", summary.alarms},
                    {"by_class", summary.by_class},
                    {"by_bin", summary.by_bin}}},
                  {"items", items},
                  {"alarms", alarms}});
}

std::string statistics_json(const RecentTimes& times, const std::string& program) {
  Json stages, seconds = Json::array();
  const auto percentiles = times.percentiles();
  for (std::size_t i = 0; i < kStages.size(); ++i) {
    const auto& [median, p95, p99, max] = percentiles[i];
    stages[kStages[i]] = {{"median", median}, {"p95", p95}, {"p99", p99}, {"max", max}};
  }
  for (const auto& second : times.seconds()) {
    seconds.push_back(
        {{"time", second.time}, {"frames", second.frames}, {"median", second.median}, {"max", second.max}});
  }
  const Json own = Json::parse(program, nullptr, false);
  return text_of({{"unit", "ms"},
                  {"stages", stages},
                  {"seconds", seconds},
                  {"program", own.is_object() ? own : Json::object()}});
}

std::string items_json(const std::vector<StoredItem>& items, const std::vector<std::string>& labels) {
  Json list = Json::array();
  for (const auto& item : items) list.push_back(json_of(item));
  return text_of({{"items", list}, {"labels", labels}});
}

std::string explained_json(const WebServices::Explained& explained, const std::vector<std::string>& classes,
                           const std::vector<std::uint8_t>& heat_map, const std::string& warning) {
  const auto& probabilities = explained.probabilities;
  const auto best = std::max_element(probabilities.begin(), probabilities.end());
  Json by_class = Json::array();
  for (std::size_t i = 0; i < probabilities.size(); ++i) {
    by_class.push_back({{"class", class_name(classes, i)}, {"probability", probabilities[i]}});
  }
  const bool any = best != probabilities.end();
  const auto label = any ? class_name(classes, static_cast<std::size_t>(best - probabilities.begin())) : "";
  return text_of({{"label", explained.recognised ? label : "others"},
                  {"most_probable", label},
                  {"probability", any ? *best : 0},
                  {"recognised", explained.recognised},
                  {"probabilities", by_class},
                  {"warning", warning},
                  {"heat_map", heat_map.empty() ? "" : "data:image/jpeg;base64," + base64(heat_map)}});
}

std::string metrics_text(const Board::Summary& summary, const RecentTimes& times) {
  Metrics metrics;
  metrics.counter("pila_frames_total", "Frames that were classified.", summary.frames);
  metrics.counter("pila_frames_dropped_total", "Frames that were not taken in time.", summary.dropped);
  metrics.family("pila_items_total", "counter", "Items by class.");
  for (const auto& [label, count] : summary.by_class) {
    metrics.value("pila_items_total", "class", label, static_cast<double>(count));
  }
  metrics.family("pila_items_by_bin_total", "counter", "Items by bin; empty: stayed on the belt.");
  for (const auto& [bin, count] : summary.by_bin) {
    metrics.value("pila_items_by_bin_total", "bin", bin, static_cast<double>(count));
  }
  metrics.counter("pila_items_missed_total", "Items that were decided too late for their ejector.",
                  summary.missed);
  metrics.counter("pila_alarms_total", "Alarms.", summary.alarms);
  metrics.family("process_resident_memory_bytes", "gauge", "Memory that the program has.");
  metrics.value("process_resident_memory_bytes", static_cast<double>(resident_bytes()));
  const char* latency = "pila_latency_seconds";
  const Percentiles recent = times.percentiles().back();
  metrics.family(latency, "summary",
                 "From a frame's arrival to its verdict; quantiles of the latest frames.");
  metrics.value(latency, "quantile", "0.5", recent.median / 1000);
  metrics.value(latency, "quantile", "0.95", recent.p95 / 1000);
  metrics.value(latency, "quantile", "0.99", recent.p99 / 1000);
  metrics.value("pila_latency_seconds_sum", times.latency_sum() / 1000);
  metrics.value("pila_latency_seconds_count", static_cast<double>(times.count()));
  return metrics.text();
}

}  // namespace pila
