#include "apps/media/charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "apps/media/canvas.h"
#include "apps/media/plot.h"

namespace pila::media {
namespace {

std::string percent(double share) {
  return share == 0        ? "0%"
         : share >= 0.9995 ? "100%"
                           : fmt::format("{:.{}f}%", share * 100, share < 0.0995 ? 1 : 0);
}

// Sizes of a confusion matrix, so that 2 classes and 60 both fit a screen.
class ConfusionLayout {
 public:
  explicit ConfusionLayout(std::span<const std::string> classes) {
    const auto count = static_cast<double>(classes.size());
    cell = std::clamp(820 / count, 17.0, 84.0);
    text.size = std::clamp(cell / 4.4, 5.5, 11.0);
    number = text;
    number.size = std::clamp(cell / 3.6, 5.5, 13.0);
    double widest = 0;
    for (const std::string& name : classes) widest = std::max(widest, text_width(name, text));
    constexpr double kMostForNames = 190;
    names = std::min(widest, kMostForNames) + 14;
    // Names that do not fit over their column are turned.
    turned = widest > cell - 8;
    matrix = {names + 34, 92, cell * count, cell * count};
    below = turned ? names : text.size + 26;
    width = static_cast<int>(std::ceil(std::max(matrix.right() + edge() + 16, 420.0)));
    height = static_cast<int>(std::ceil(matrix.bottom() + edge() + below + 34));
  }
  double edge() const { return std::clamp(cell, 40.0, 52.0); }  // for recall and precision

  double cell = 0, names = 0, below = 0;
  bool turned = false;
  TextStyle text, number;
  Rect matrix;
  int width = 0, height = 0;
};

void draw_cell(Canvas& canvas, const ConfusionLayout& layout, const Rect& area, std::int64_t count,
               double share, bool right) {
  canvas.fill(area, confusion_color(share, right));
  if (count == 0) return;
  TextStyle style = layout.number;
  const std::string text = std::to_string(count);
  const double most = area.width - 3;
  if (const double width = text_width(text, style); width > most) style.size *= most / width;
  style.horizontal = Align::middle;
  style.color = share > 0.55 ? kWhite : kInk;
  style.bold = !right;
  canvas.text(text, {area.x + area.width / 2, area.y + area.height / 2}, style);
}

void draw_headings(Canvas& canvas, const ConfusionLayout& layout, const std::string& title) {
  const double middle = layout.matrix.x + layout.matrix.width / 2;
  canvas.text(title, {18, 28}, {.size = 13, .bold = true});
  canvas.text("rows: what it is, columns: what was recognised", {18, 54}, {.size = 9, .color = kGrey});
  canvas.text("recognised as", {middle, layout.height - 18.0}, {.size = 10, .horizontal = Align::middle});
  canvas.text("true class", {18, layout.matrix.y + layout.matrix.height / 2},
              {.size = 10, .horizontal = Align::middle, .vertical = Align::middle, .upwards = true});
  const TextStyle edge{.size = 8.5, .color = kGrey, .horizontal = Align::middle};
  canvas.text("recall", {layout.matrix.right() + layout.edge() / 2 + 4, layout.matrix.y - 12}, edge);
  canvas.text("precision", {layout.matrix.x - 8, layout.matrix.bottom() + layout.edge() / 2 + 4},
              {.size = 8.5, .color = kGrey, .horizontal = Align::end});
}

std::vector<Point> points(const std::vector<double>& x, const std::vector<double>& y) {
  std::vector<Point> result;
  for (std::size_t i = 0; i < std::min(x.size(), y.size()); ++i) result.push_back({x[i], y[i]});
  return result;
}

bool any_finite(const std::vector<double>& values) {
  return std::any_of(values.begin(), values.end(), [](double value) { return std::isfinite(value); });
}

// Where a stage begins, but for the first one.
std::vector<PlotMark> stage_marks(const TrainingCurves& curves) {
  std::vector<PlotMark> marks;
  for (std::size_t i = 1; i < std::min(curves.stage.size(), curves.epoch.size()); ++i) {
    const double stage = curves.stage[i];
    if (std::isfinite(stage) && std::isfinite(curves.stage[i - 1]) && stage != curves.stage[i - 1]) {
      marks.push_back({curves.epoch[i], fmt::format("stage {:g}", stage)});
    }
  }
  return marks;
}

}  // namespace

std::array<std::uint8_t, 3> confusion_color(double share, bool right) {
  constexpr Color kNothing = {247, 248, 250}, kFaint = {255, 226, 200};
  if (!(share > 0)) return kNothing;
  if (right) return blend({222, 234, 247}, {22, 82, 150}, share);
  // A single mistake among hundreds must be seen: shares of wrong answers are small.
  return blend(kFaint, {204, 72, 10}, std::min(1.0, std::sqrt(share)));
}

Image confusion_chart(std::span<const std::string> classes, std::span<const std::int64_t> counts,
                      const std::string& title) {
  const ConfusionLayout layout(classes);
  Canvas canvas(layout.width, layout.height);
  draw_headings(canvas, layout, title);
  const std::size_t n = classes.size();
  const double names_width = layout.names - 10;
  for (std::size_t k = 0; k < n; ++k) {
    const double top = layout.matrix.y + static_cast<double>(k) * layout.cell;
    const double left = layout.matrix.x + static_cast<double>(k) * layout.cell;
    double labelled = 0, predicted = 0;
    for (std::size_t other = 0; other < n; ++other) {
      labelled += static_cast<double>(counts[k * n + other]);
      predicted += static_cast<double>(counts[other * n + k]);
    }
    for (std::size_t other = 0; other < n; ++other) {
      const std::int64_t count = counts[k * n + other];
      const double share = labelled > 0 ? static_cast<double>(count) / labelled : 0;
      const Rect cell{layout.matrix.x + static_cast<double>(other) * layout.cell, top, layout.cell - 1,
                      layout.cell - 1};
      draw_cell(canvas, layout, cell, count, share, other == k);
    }
    const auto right = static_cast<double>(counts[k * n + k]);
    const double middle_row = top + layout.cell / 2, middle_column = left + layout.cell / 2;
    TextStyle style = layout.text;
    style.horizontal = Align::end;
    canvas.text(shortened(classes[k], names_width, style), {layout.matrix.x - 8, middle_row}, style);
    TextStyle edge{.size = std::min(layout.text.size, 9.0), .color = kGrey, .horizontal = Align::middle};
    canvas.text(labelled > 0 ? percent(right / labelled) : "-",
                {layout.matrix.right() + layout.edge() / 2 + 4, middle_row}, edge);
    edge.upwards = text_width("100%", edge) > layout.cell;
    canvas.text(predicted > 0 ? percent(right / predicted) : "-",
                {middle_column, layout.matrix.bottom() + layout.edge() / 2 + 4}, edge);
    const double names_top = layout.matrix.bottom() + layout.edge() + 4;
    if (layout.turned) {
      style.upwards = true;
      canvas.text(shortened(classes[k], names_width, style), {middle_column, names_top}, style);
    } else {
      style.horizontal = Align::middle;
      style.vertical = Align::start;
      canvas.text(classes[k], {middle_column, names_top + 6}, style);
    }
  }
  return canvas.finish();
}

Image calibration_chart(std::span<const CalibrationBar> bars, const std::string& title) {
  Canvas canvas(560, 660);
  Plot plot;
  plot.title = title;
  plot.y_label = "right answers";
  plot.x = plot.y = Range{0, 1};
  plot.percent = plot.percent_x = true;
  plot.legend_across = Align::start;
  const double step = 1.0 / static_cast<double>(std::max<std::size_t>(bars.size(), 1));
  Plot counts;
  counts.x = Range{0, 1};
  counts.y_label = "pictures";
  counts.x_label = "probability of the answer";
  counts.percent = counts.percent_x = true;
  Series measured{.name = "measured", .color = kBlue, .points = {}, .dots = true};
  double largest = 0;
  for (std::size_t i = 0; i < bars.size(); ++i) {
    const CalibrationBar& bar = bars[i];
    largest = std::max(largest, bar.share);
    if (bar.share > 0) measured.points.push_back({bar.confidence, bar.accuracy});
    const double left = static_cast<double>(i) * step + step * 0.08, right = left + step * 0.84;
    if (bar.share > 0) {
      counts.series.push_back({.name = {},
                               .color = kBlue,
                               .points = {{left, 0}, {left, bar.share}, {right, bar.share}, {right, 0}},
                               .filled = true});
    }
  }
  counts.y = Range{0, largest > 0 ? largest * 1.1 : 1};
  plot.series.push_back({.name = "honest", .color = kGrey, .points = {{0, 0}, {1, 1}}, .dashed = true});
  plot.series.push_back(std::move(measured));
  draw_plot(canvas, {8, 12, 540, 450}, plot);
  draw_plot(canvas, {8, 462, 540, 188}, counts);
  return canvas.finish();
}

Image roc_chart(std::span<const double> known_rejected, std::span<const double> unknown_rejected,
                double rejected_at_95, const std::string& title) {
  Canvas canvas(560, 560);
  Plot plot;
  plot.title = title;
  plot.x_label = "known pictures rejected";
  plot.y_label = "unknown pictures rejected";
  plot.x = plot.y = Range{0, 1};
  plot.percent = plot.percent_x = true;
  plot.legend_down = Align::end;
  Series curve{.name = {}, .color = kBlue, .points = {}, .filled = true};
  for (std::size_t i = 0; i < known_rejected.size(); ++i) {
    curve.points.push_back({known_rejected[i], unknown_rejected[i]});
  }
  plot.series.push_back(std::move(curve));
  plot.series.push_back({.name = {}, .color = kGrey, .points = {{0, 0}, {1, 1}}, .dashed = true});
  plot.series.push_back({.name = "95% of the known are kept: " + percent(rejected_at_95) + " rejected",
                         .color = kOrange,
                         .points = {{0.05, rejected_at_95}}});
  draw_plot(canvas, {8, 12, 540, 540}, plot);
  return canvas.finish();
}

Image training_chart(const TrainingCurves& curves) {
  const bool rates = any_finite(curves.learning_rate);
  Canvas canvas(920, rates ? 860 : 680);
  const auto marks = stage_marks(curves);
  const auto plot_of = [&](const std::string& title, const std::vector<double>& training,
                           const std::vector<double>& validation) {
    Plot plot;
    plot.title = title;
    plot.whole_x = true;
    plot.marks = marks;
    plot.series.push_back({.name = "training", .color = kOrange, .points = points(curves.epoch, training)});
    if (any_finite(validation)) {
      plot.series.push_back(
          {.name = "validation", .color = kBlue, .points = points(curves.epoch, validation)});
    }
    return plot;
  };
  draw_plot(canvas, {8, 8, 900, 330}, plot_of("Loss", curves.loss, curves.val_loss));
  Plot accuracy = plot_of("Accuracy", curves.accuracy, curves.val_accuracy);
  accuracy.percent = true;
  accuracy.legend_down = Align::end;
  if (!rates) accuracy.x_label = "epoch";
  draw_plot(canvas, {8, 338, 900, 330}, accuracy);
  if (rates) {
    Plot rate;
    rate.title = "Learning rate";
    rate.x_label = "epoch";
    rate.log_y = rate.whole_x = true;
    rate.marks = marks;
    rate.series.push_back(
        {.name = {}, .color = kGreen, .points = points(curves.epoch, curves.learning_rate)});
    draw_plot(canvas, {8, 668, 900, 184}, rate);
  }
  return canvas.finish();
}

}  // namespace pila::media
