#include "apps/core/verdict.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

namespace pila {
namespace {

// Keys in the order of insertion; numbers as float, so that each is written with the digits that it has.
using FloatJson = nlohmann::basic_json<nlohmann::ordered_map, std::vector, std::string, bool, std::int64_t,
                                       std::uint64_t, float>;

float to_microseconds_precision(double milliseconds) {
  return static_cast<float>(std::round(milliseconds * 1e3) / 1e3);
}

}  // namespace

std::vector<std::size_t> top_classes(std::span<const float> probabilities, std::size_t count) {
  std::vector<std::size_t> order(probabilities.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  count = std::min(count, order.size());
  const auto middle = order.begin() + static_cast<std::ptrdiff_t>(count);
  std::partial_sort(order.begin(), middle, order.end(), [&](std::size_t a, std::size_t b) {
    return probabilities[a] != probabilities[b] ? probabilities[a] > probabilities[b] : a < b;
  });
  order.resize(count);
  return order;
}

std::vector<std::size_t> listed_classes(std::span<const float> probabilities, std::size_t top) {
  const std::size_t count = probabilities.size();
  auto listed = top_classes(probabilities, count <= kMaxListedClasses ? count : top);
  std::sort(listed.begin(), listed.end());
  return listed;
}

std::string to_json(const Verdict& verdict, std::span<const std::string> classes, std::size_t top) {
  const std::size_t best = top_classes(verdict.probabilities, 1).at(0);
  FloatJson probabilities = FloatJson::object();
  for (const std::size_t i : listed_classes(verdict.probabilities, top)) {
    probabilities[classes[i]] = verdict.probabilities[i];
  }
  FloatJson line;
  line["source"] = verdict.source;
  line["index"] = verdict.index;
  line["label"] = verdict.recognised ? classes[best] : kOthers;
  line["recognised"] = verdict.recognised;
  line["probability"] = verdict.probabilities[best];
  line["probabilities"] = std::move(probabilities);
  line["latency_ms"] = {{"decode", to_microseconds_precision(verdict.decode_ms)},
                        {"preprocess", to_microseconds_precision(verdict.preprocess_ms)},
                        {"network", to_microseconds_precision(verdict.network_ms)}};
  return line.dump(-1, ' ', false, FloatJson::error_handler_t::replace);
}

std::string to_text(const Verdict& verdict, std::span<const std::string> classes, std::size_t top) {
  std::string text = verdict.source + ":";
  if (!verdict.recognised) text += std::string(" ") + kOthers + ";";
  const char* separator = " ";
  for (const std::size_t i : top_classes(verdict.probabilities, top)) {
    text += fmt::format("{}{} {:.1f}%", separator, classes[i], verdict.probabilities[i] * 100);
    separator = " | ";
  }
  return text;
}

}  // namespace pila
