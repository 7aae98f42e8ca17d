// Curves over axes.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "apps/media/canvas.h"

namespace pila::media {

// Colours that are told apart by those who see red and green alike, too.
constexpr Color kBlue = {31, 99, 176}, kOrange = {224, 110, 24}, kGreen = {34, 139, 96}, kRed = {200, 45, 50};

struct Series {
  std::string name;  // in the legend; empty: not there
  Color color = kBlue;
  std::vector<Point> points;  // not finite: a gap
  bool dashed = false;
  bool filled = false;  // the area below is tinted
  bool dots = false;    // every point is marked
};

struct Range {
  double low = 0, high = 1;
};

struct PlotMark {
  double x = 0;
  std::string name;
};

struct Plot {
  std::string title, x_label, y_label;
  std::optional<Range> x, y;  // else from the points, with y from 0 where that is near
  bool log_y = false;         // points that are not above 0 are gaps
  bool percent = false;       // y is written as 0..100%,
  bool percent_x = false;     // and x
  bool whole_x = false;       // x counts something
  std::vector<Series> series;
  std::vector<PlotMark> marks;                                   // vertical lines
  Align legend_across = Align::end, legend_down = Align::start;  // its corner
};

// Round numbers within the range: 1, 2 or 5 times a power of ten apart, about `count` of them.
std::vector<double> ticks(const Range& range, int count);

// Axes, labels and all lie within the area.
void draw_plot(Canvas& canvas, const Rect& area, const Plot& plot);

}  // namespace pila::media
