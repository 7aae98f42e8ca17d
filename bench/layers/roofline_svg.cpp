#include <algorithm>
#include <cmath>
#include <cstdio>
#include <optional>

#include "bench/layers/report.h"

namespace pila::bench {
namespace {

constexpr double kWidth = 520, kHeight = 400;  // of one plot
constexpr double kLeft = 62, kRight = 18, kTop = 46, kBottom = 46;
constexpr int kColumns = 2;

std::string number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.4g", value);
  return text;
}

std::string escaped(const std::string& text) {
  std::string safe;
  for (const char c : text) {
    if (c == '&') {
      safe += "&amp;";
    } else if (c == '<') {
      safe += "&lt;";
    } else {
      safe += c;
    }
  }
  return safe;
}

struct Point {
  double x = 0, y = 0;
};

// A logarithmic axis from one power of ten to another, on pixels from low to high.
struct Axis {
  int first = 0, last = 1;  // exponents
  double low = 0, high = 1;

  void take(double value) {
    first = std::min(first, static_cast<int>(std::floor(std::log10(value))));
    last = std::max(last, static_cast<int>(std::ceil(std::log10(value))));
  }
  double operator()(double value) const {
    return low + (std::log10(value) - first) / (last - first) * (high - low);
  }
};

std::string text_at(Point at, const std::string& attributes, const std::string& text) {
  return "<text x=\"" + number(at.x) + "\" y=\"" + number(at.y) + "\" " + attributes + ">" + escaped(text) +
         "</text>\n";
}

std::string line(Point from, Point to, const std::string& attributes) {
  return "<path d=\"M" + number(from.x) + " " + number(from.y) + "L" + number(to.x) + " " + number(to.y) +
         "\" " + attributes + "/>\n";
}

std::string mark(Point at, bool is_block, const std::string& attributes, const std::string& title) {
  const std::string end = " " + attributes + "><title>" + escaped(title) + "</title>";
  if (!is_block) {
    return "<circle cx=\"" + number(at.x) + "\" cy=\"" + number(at.y) + "\" r=\"3.5\"" + end + "</circle>\n";
  }
  return "<path d=\"M" + number(at.x) + " " + number(at.y - 5) + "l5 5-5 5-5-5z\"" + end + "</path>\n";
}

constexpr const char* kOurs = "fill=\"#1f63b0\" fill-opacity=\"0.75\"";
constexpr const char* kTheirs = "fill=\"none\" stroke=\"#e06e18\" stroke-width=\"1.6\"";

class RooflinePlot {
 public:
  explicit RooflinePlot(const Comparison& comparison) : comparison_(comparison) {
    x_ = {0, 1, kLeft, kWidth - kRight};
    y_ = {9, 10, kHeight - kBottom, kTop};
    y_.take(roof().flops_per_s);
    x_.take(roof().flops_per_s / roof().bytes_per_s);
    for (const Row& row : comparison_.rows) {
      x_.take(row.work.flops / row.work.bytes);
      for (const auto* time : {&row.ours, &row.unfused, &row.theirs}) {
        if (*time) y_.take(row.work.flops / (*time)->seconds);
      }
    }
  }

  std::string svg() const { return axes() + roof_line() + marks() + legend(); }

 private:
  const Roof& roof() const { return comparison_.setting.roof; }

  std::string axes() const {
    std::string svg;
    const auto exponent = [](int e) { return e == 0 ? "1" : e == 1 ? "10" : "1e" + std::to_string(e); };
    for (int e = x_.first; e <= x_.last; ++e) {
      const double x = x_(std::pow(10.0, e));
      svg += line({x, y_.low}, {x, y_.high}, "stroke=\"#ddd\"");
      svg += text_at({x, y_.low + 16}, "text-anchor=\"middle\"", exponent(e));
    }
    for (int e = y_.first; e <= y_.last; ++e) {
      const double y = y_(std::pow(10.0, e));
      svg += line({x_.low, y}, {x_.high, y}, "stroke=\"#ddd\"");
      svg += text_at({x_.low - 6, y + 4}, "text-anchor=\"end\"", exponent(e - 9));
    }
    const double middle = (y_.low + y_.high) / 2;
    svg += text_at({(x_.low + x_.high) / 2, y_.low + 36}, "text-anchor=\"middle\"", "operations per byte");
    svg += text_at({16, middle}, "text-anchor=\"middle\" transform=\"rotate(-90 16 " + number(middle) + ")\"",
                   "GFLOP/s");
    return svg + text_at({x_.low, 18}, "font-weight=\"bold\"", title()) +
           text_at({x_.low, 35}, "fill=\"#555\"", comparison_.device);
  }

  std::string title() const {
    std::string text =
        to_string(comparison_.setting.type) + ", batch " + std::to_string(comparison_.setting.batch);
    if (comparison_.threads > 0) text += ", threads: " + std::to_string(comparison_.threads);
    return text;
  }

  std::string roof_line() const {
    const double left = std::pow(10.0, x_.first), right = std::pow(10.0, x_.last);
    const double ridge = roof().flops_per_s / roof().bytes_per_s;
    // Where the slope leaves the plot at its lower edge.
    const double from = std::max(left, std::pow(10.0, y_.first) / roof().bytes_per_s);
    const double flat = y_(roof().flops_per_s);
    return line({x_(from), y_(from * roof().bytes_per_s)}, {x_(ridge), flat}, "stroke=\"#333\"") +
           line({x_(ridge), flat}, {x_(right), flat}, "stroke=\"#333\"");
  }

  std::string marks() const {
    std::string svg;
    for (const Row& row : comparison_.rows) {
      const auto add = [&](const std::optional<Time>& time, const char* attributes) {
        if (!time) return;
        const Point at = {x_(row.work.flops / row.work.bytes), y_(row.work.flops / time->seconds)};
        svg += mark(at, row.task.is_block(), attributes,
                    row.task.name + ", " + name_of(row.task.direction) + ": " + number(1e6 * time->seconds) +
                        " us, " + time->by);
      };
      add(row.theirs, kTheirs);
      add(time_of(row), kOurs);
    }
    return svg;
  }

  std::string legend() const {
    std::string svg;
    double y = y_.low - 12;
    const auto entry = [&](bool is_block, const char* attributes, const std::string& name) {
      svg += mark({x_.high - 150, y}, is_block, attributes, name);
      svg += text_at({x_.high - 140, y + 4}, "", name);
      y -= 16;
    };
    entry(true, kOurs, "Pila, a block in one");
    entry(false, kOurs, "Pila, a layer");
    if (!comparison_.library.empty()) {
      entry(true, kTheirs, comparison_.library + ", a block");
      entry(false, kTheirs, comparison_.library + ", a layer");
    }
    return svg;
  }

  const Comparison& comparison_;
  Axis x_, y_;
};

}  // namespace

std::string to_svg(const std::vector<Comparison>& comparisons) {
  const int count = static_cast<int>(comparisons.size());
  const int columns = std::min(count, kColumns), rows = (count + kColumns - 1) / kColumns;
  std::string svg = "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"" + number(columns * kWidth) +
                    "\" height=\"" + number(rows * kHeight) +
                    "\" font-family=\"sans-serif\" font-size=\"12\">\n"
                    "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n";
  for (int i = 0; i < count; ++i) {
    svg += "<g transform=\"translate(" + number(i % kColumns * kWidth) + " " +
           number(i / kColumns * kHeight) + ")\">\n" +
           RooflinePlot(comparisons[static_cast<std::size_t>(i)]).svg() + "</g>\n";
  }
  return svg + "</svg>\n";
}

}  // namespace pila::bench
