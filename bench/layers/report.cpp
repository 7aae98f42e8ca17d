#include "bench/layers/report.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <functional>

namespace pila::bench {
namespace {

__attribute__((format(printf, 1, 2))) std::string formatted(const char* format, ...) {
  char text[512];
  std::va_list values;
  va_start(values, format);
  std::vsnprintf(text, sizeof text, format, values);
  va_end(values);
  return text;
}

bool is_in_block(const Task& task) { return !task.is_block() && task.name.find('.') != std::string::npos; }

std::string microseconds(const std::optional<Time>& time) {
  return time ? formatted("%.1f", 1e6 * time->seconds) : "-";
}

std::string line_of(const Row& row) {
  const auto& ours = time_of(row);
  const auto per_second = [&](double amount) {
    return ours ? formatted("%.3g", amount / ours->seconds) : "-";
  };
  const auto ratio = ratio_of(row);
  return formatted("%-12s x%-3d %-28s %9s %9s %9s %7s %8s %8s %6s  %.1e\n", row.task.name.c_str(),
                   row.task.count, shape_text(row.task).c_str(), microseconds(row.ours).c_str(),
                   row.task.is_block() ? microseconds(row.unfused).c_str() : "",
                   microseconds(row.theirs).c_str(), per_second(row.work.bytes / 1e9).c_str(),
                   per_second(row.work.flops / 1e12).c_str(),
                   ours ? formatted("%.0f%%", 100 * row.floor_seconds / ours->seconds).c_str() : "-",
                   ratio ? formatted("%.2f", *ratio).c_str() : "-", row.difference);
}

std::string line_of(const Summary& summary) {
  return formatted("%-34s %3d shapes: %10.1f us, theirs %10.1f us, %5.2f; geometric mean of ratios %5.2f\n",
                   (name_of(summary.direction) + ", " + summary.of).c_str(), summary.rows, 1e6 * summary.ours,
                   1e6 * summary.theirs, summary.theirs / summary.ours, summary.geometric_mean);
}

std::string quoted(const std::string& text) { return '"' + text + '"'; }

}  // namespace

std::string kind_of(const Task& task) {
  if (task.is_block()) return "block";
  switch (task.parts.front().kind) {
    case LayerKind::convolution:
      return "convolution";
    case LayerKind::depthwise:
      return "depthwise";
    case LayerKind::pointwise:
      return "pointwise";
    case LayerKind::dense:
      return "dense";
  }
  return {};
}

std::vector<Summary> summaries_of(const Comparison& comparison) {
  std::vector<Summary> summaries;
  const auto add = [&](const std::string& of, Direction direction,
                       const std::function<bool(const Task&)>& counts) {
    Summary summary;
    summary.of = of;
    summary.direction = direction;
    double logarithms = 0;
    for (const Row& row : comparison.rows) {
      const auto ratio = ratio_of(row);
      if (!ratio || row.task.direction != direction || !counts(row.task)) continue;
      ++summary.rows;
      summary.ours += row.task.count * time_of(row)->seconds;
      summary.theirs += row.task.count * row.theirs->seconds;
      logarithms += std::log(*ratio);
    }
    if (summary.rows == 0) return;
    summary.geometric_mean = std::exp(logarithms / summary.rows);
    summaries.push_back(summary);
  };
  for (const Direction direction :
       {Direction::forward, Direction::data_gradient, Direction::filter_gradient}) {
    for (const char* kind : {"convolution", "depthwise", "pointwise", "dense"}) {
      add(kind, direction, [&](const Task& task) { return kind_of(task) == kind; });
    }
    add("all layers", direction, [](const Task& task) { return !task.is_block(); });
    if (direction != Direction::forward) continue;
    add("blocks", direction, [](const Task& task) { return task.is_block(); });
    add("network", direction, [](const Task& task) { return !is_in_block(task); });
  }
  return summaries;
}

std::string to_text(const Comparison& comparison) {
  const Setting& setting = comparison.setting;
  std::string text = comparison.device;
  if (comparison.threads > 0) text += ", threads: " + std::to_string(comparison.threads);
  text += ", batch " + std::to_string(setting.batch) + ", " + type_name(setting);
  if (!comparison.library.empty()) text += ", against " + comparison.library;
  text +=
      formatted("\nRoof: %.4g TFLOP/s, %.4g GB/s. Caches are warm: everyone runs over and over, in turns.\n",
                setting.roof.flops_per_s / 1e12, setting.roof.bytes_per_s / 1e9);
  for (const Direction direction :
       {Direction::forward, Direction::data_gradient, Direction::filter_gradient}) {
    bool is_first = true;
    for (const Row& row : comparison.rows) {
      if (row.task.direction != direction) continue;
      if (is_first) {
        text += formatted("\n%-17s %-28s %9s %9s %9s %7s %8s %8s %6s  %s\n", name_of(direction).c_str(), "",
                          "us", "unfused", "theirs", "GB/s", "TFLOP/s", "of roof", "ratio", "differ");
      }
      is_first = false;
      text += line_of(row);
    }
  }
  text += '\n';
  for (const Summary& summary : summaries_of(comparison)) text += line_of(summary);
  return text;
}

std::string to_csv(const std::vector<Comparison>& comparisons) {
  std::string text =
      "device,library,threads,batch,type,direction,kind,name,count,shape,stride,flops,bytes,floor_us,ours_us,"
      "unfused_us,theirs_us,ratio,difference,ours_by,theirs_by\n";
  for (const Comparison& comparison : comparisons) {
    const Setting& setting = comparison.setting;
    const std::string where = quoted(comparison.device) + ',' + quoted(comparison.library) + ',' +
                              std::to_string(comparison.threads) + ',' + std::to_string(setting.batch) + ',' +
                              to_string(setting.type) + ',';
    const auto time = [](const std::optional<Time>& of) {
      return of ? formatted("%.3f,", 1e6 * of->seconds) : std::string(",");
    };
    for (const Row& row : comparison.rows) {
      const Task& task = row.task;
      const int stride = std::ranges::max(task.parts, {}, &LayerShape::stride).stride;
      text += where + name_of(task.direction) + ',' + kind_of(task) + ',' + task.name + ',' +
              std::to_string(task.count) + ',' + quoted(shape_text(task)) + ',' + std::to_string(stride) +
              formatted(",%.0f,%.0f,%.3f,", row.work.flops, row.work.bytes, 1e6 * row.floor_seconds) +
              time(row.ours) + time(row.unfused) + time(row.theirs);
      const auto ratio = ratio_of(row);
      text += ratio ? formatted("%.4f,", *ratio) : std::string(",");
      text += formatted("%.3e,", row.difference) + quoted(time_of(row) ? time_of(row)->by : "") + ',' +
              quoted(row.theirs ? row.theirs->by : "") + '\n';
    }
  }
  return text;
}

}  // namespace pila::bench
