#include "apps/media/plot.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace pila::media {
namespace {

constexpr double kTickLabel = 8, kAxisLabel = 9, kTitle = 11;

bool finite(const Point& point) { return std::isfinite(point.x) && std::isfinite(point.y); }

// The smallest of 1, 2, 5, 10, 20, ... that is not less than the step.
double round_step(double step) {
  const double power = std::pow(10, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// Ticks of a logarithmic axis from exponent to exponent.
std::vector<double> decade_ticks(const Range& exponents) {
  std::vector<double> values;
  const bool few = exponents.high - exponents.low < 2.5;
  for (double power = std::floor(exponents.low); power <= exponents.high; ++power) {
    for (const double factor : {1.0, 2.0, 5.0}) {
      const double exponent = power + std::log10(factor);
      if ((factor == 1 || few) && exponent >= exponents.low - 1e-9 && exponent <= exponents.high + 1e-9) {
        values.push_back(exponent);
      }
    }
  }
  return values;
}

// The range that is drawn: some air around the values, and zero where it is near.
Range with_air(Range range) {
  if (range.high < range.low) return {0, 1};
  if (range.low > 0 && range.low < range.high / 2) range.low = 0;
  if (range.high == range.low) {
    const double half = std::max(std::abs(range.low) / 2, 0.5);
    return {range.low - half, range.high + half};
  }
  const double air = (range.high - range.low) * 0.06;
  return {range.low == 0 ? 0 : range.low - air, range.high + air};
}

std::string tick_label(double value, double step, bool percent) {
  if (std::abs(value) < step / 1e6) value = 0;  // and no -0
  return percent ? fmt::format("{:.{}f}%", value * 100, step < 0.01 ? 1 : 0) : fmt::format("{:g}", value);
}

double step_of(const std::vector<double>& values) { return values.size() > 1 ? values[1] - values[0] : 1; }

class Axes {
 public:
  Axes(Canvas& canvas, const Rect& area, const Plot& plot) : canvas_(canvas), plot_(plot) {
    constexpr double kInfinity = std::numeric_limits<double>::infinity();
    Range x{kInfinity, -kInfinity}, y{kInfinity, -kInfinity};
    for (const Series& series : plot.series) {
      for (const Point& point : series.points) {
        const Point p = on_scale(point);
        if (!finite(p)) continue;
        x = {std::min(x.low, p.x), std::max(x.high, p.x)};
        y = {std::min(y.low, p.y), std::max(y.high, p.y)};
      }
    }
    if (x.low >= x.high) x = {x.low <= x.high ? x.low - 0.5 : 0, x.low <= x.high ? x.high + 0.5 : 1};
    x_ = plot.x.value_or(x);
    if (plot.log_y && y.low <= y.high) {
      y = {y.low - 0.1, y.high + 0.1};
    } else {
      y = with_air(y);
    }
    y_ = plot.y.value_or(y);
    const double top = plot.title.empty() ? 12 : 34, bottom = plot.x_label.empty() ? 26 : 44;
    const double left = plot.y_label.empty() ? 48 : 64;
    inside_ = {area.x + left, area.y + top, area.width - left - 16, area.height - top - bottom};
  }

  // Before the frame, so that its lines are seen.
  void draw_tints() {
    for (const Series& series : plot_.series) {
      if (!series.filled) continue;
      std::vector<Point> corners;
      for (const Point& point : series.points) {
        if (const Point p = on_scale(point); finite(p)) corners.push_back(place(p));
      }
      if (corners.empty()) continue;
      corners.push_back({corners.back().x, inside_.bottom()});
      corners.push_back({corners.front().x, inside_.bottom()});
      canvas_.area(corners, blend(kWhite, series.color, 0.14));
    }
  }

  void draw_frame() {
    TextStyle label{
        .size = kTickLabel, .color = kGrey, .horizontal = Align::middle, .vertical = Align::start};
    const auto x_ticks = ticks(x_, std::max(2, static_cast<int>(inside_.width / 70)));
    for (const double value : x_ticks) {
      if (plot_.whole_x && std::abs(value - std::round(value)) > 1e-6) continue;
      const double at = place({value, y_.low}).x;
      canvas_.line({at, inside_.y}, {at, inside_.bottom()}, kPaleGrey);
      canvas_.text(tick_label(value, step_of(x_ticks), plot_.percent_x), {at, inside_.bottom() + 8}, label);
    }
    label.horizontal = Align::end;
    label.vertical = Align::middle;
    const auto y_ticks =
        plot_.log_y ? decade_ticks(y_) : ticks(y_, std::max(2, static_cast<int>(inside_.height / 42)));
    for (const double value : y_ticks) {
      const double at = place({x_.low, value}).y;
      canvas_.line({inside_.x, at}, {inside_.right(), at}, kPaleGrey);
      canvas_.text(plot_.log_y ? fmt::format("{:g}", std::pow(10, value))
                               : tick_label(value, step_of(y_ticks), plot_.percent),
                   {inside_.x - 8, at}, label);
    }
    draw_names();
  }

  void draw_marks() {
    for (const PlotMark& mark : plot_.marks) {
      const double at = place({mark.x, 0}).x;
      canvas_.dashed_line({at, inside_.y}, {at, inside_.bottom()}, kGrey);
      canvas_.text(mark.name, {at + 5, inside_.y + 10}, {.size = kTickLabel, .color = kGrey});
    }
  }

  void draw(const Series& series) {
    std::vector<Point> part;
    for (const Point& point : series.points) {
      const Point p = on_scale(point);
      if (finite(p)) {
        part.push_back(place(p));
      } else {
        draw_part(series, part);
        part.clear();
      }
    }
    draw_part(series, part);
  }

  void draw_legend() {
    const TextStyle style{.size = kAxisLabel};
    constexpr double kLine = 24, kGap = 8, kRow = 20, kBorder = 8;
    double width = 0, rows = 0;
    for (const Series& series : plot_.series) {
      if (series.name.empty()) continue;
      width = std::max(width, text_width(series.name, style));
      ++rows;
    }
    if (rows == 0) return;
    const double whole = kLine + kGap + width + 2 * kBorder;
    const double down = rows * kRow + kBorder;
    const double left = plot_.legend_across == Align::end ? inside_.right() - whole - 8 : inside_.x + 8;
    const double top = plot_.legend_down == Align::end ? inside_.bottom() - down - 8 : inside_.y + 8;
    const Rect box{left, top, whole, down};
    canvas_.fill(box, kWhite);
    canvas_.frame(box, kPaleGrey);
    double y = box.y + kBorder / 2 + kRow / 2;
    for (const Series& series : plot_.series) {
      if (series.name.empty()) continue;
      const Point from{left + kBorder, y}, to{left + kBorder + kLine, y};
      if (series.points.size() == 1) {
        canvas_.dot({(from.x + to.x) / 2, y}, 4, series.color);
      } else if (series.dashed) {
        canvas_.dashed_line(from, to, series.color, 2);
      } else {
        canvas_.line(from, to, series.color, 2.5);
      }
      canvas_.text(series.name, {to.x + kGap, y}, style);
      y += kRow;
    }
  }

 private:
  Point on_scale(const Point& point) const {
    if (!plot_.log_y) return point;
    return {point.x, point.y > 0 ? std::log10(point.y) : std::numeric_limits<double>::quiet_NaN()};
  }

  Point place(const Point& p) const {
    const double y = std::clamp((p.y - y_.low) / (y_.high - y_.low), 0.0, 1.0);
    return {inside_.x + (p.x - x_.low) / (x_.high - x_.low) * inside_.width,
            inside_.bottom() - y * inside_.height};
  }

  void draw_names() {
    canvas_.line({inside_.x, inside_.bottom()}, {inside_.right(), inside_.bottom()}, kGrey);
    canvas_.line({inside_.x, inside_.y}, {inside_.x, inside_.bottom()}, kGrey);
    const double middle = inside_.x + inside_.width / 2;
    canvas_.text(plot_.title, {inside_.x, inside_.y - 18}, {.size = kTitle, .bold = true});
    canvas_.text(plot_.x_label, {middle, inside_.bottom() + 28},
                 {.size = kAxisLabel, .horizontal = Align::middle, .vertical = Align::start});
    canvas_.text(plot_.y_label, {inside_.x - 50, inside_.y + inside_.height / 2},
                 {.size = kAxisLabel, .horizontal = Align::middle, .vertical = Align::end, .upwards = true});
  }

  void draw_part(const Series& series, const std::vector<Point>& part) {
    if (part.empty()) return;
    if (series.dashed) {
      for (std::size_t i = 1; i < part.size(); ++i)
        canvas_.dashed_line(part[i - 1], part[i], series.color, 1.5);
    } else if (part.size() > 1) {
      canvas_.curve(part, series.color, 2);
    }
    if (!series.dots && part.size() > 1) return;
    for (const Point& point : part) canvas_.dot(point, 3.5, series.color);
  }

  Canvas& canvas_;
  const Plot& plot_;
  Range x_, y_;
  Rect inside_;
};

}  // namespace

std::vector<double> ticks(const Range& range, int count) {
  std::vector<double> values;
  if (!(range.high > range.low)) return values;
  const double step = round_step((range.high - range.low) / std::max(count, 1));
  const double slack = step * 1e-6;
  for (double k = std::ceil((range.low - slack) / step); k * step <= range.high + slack; ++k) {
    values.push_back(k * step);
  }
  return values;
}

void draw_plot(Canvas& canvas, const Rect& area, const Plot& plot) {
  Axes axes(canvas, area, plot);
  axes.draw_tints();
  axes.draw_frame();
  axes.draw_marks();
  for (const Series& series : plot.series) axes.draw(series);
  axes.draw_legend();
}

}  // namespace pila::media
