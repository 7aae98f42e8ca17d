#include "apps/synth/series_label.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "apps/media/canvas.h"
#include "apps/synth/cylinder.h"
#include "apps/synth/draw.h"
#include "apps/synth/label.h"

namespace pila::synth {
namespace {

using media::blend;
using media::Canvas;
using media::Color;
using media::Image;
using media::Point;
using media::TextStyle;

// How a specimen's print differs from its series': batches of ink, the press, years in a drawer.
struct Print {
  double shift_x, shift_y, thickness;
  Colours colours;

  Print(Random& random, const Series& series, double wear) : colours(series.colours) {
    shift_x = between(random, -0.012, 0.012);
    shift_y = between(random, 0, 1);
    thickness = between(random, 0.93, 1.07);
    const double faded = 0.3 * wear * between(random, 0, 1), yellow = 0.16 * wear * between(random, 0, 1);
    const double light = between(random, -12, 12);
    for (Color* color : {&colours.body, &colours.accent, &colours.text}) {
      for (auto& channel : *color) {
        const double value = channel + light + between(random, -7, 7);
        channel = static_cast<std::uint8_t>(std::clamp(value, 4.0, 250.0));
      }
      *color = blend(blend(*color, {150, 148, 142}, faded), {156, 128, 74}, yellow);
    }
  }
};

// A sheet of `w` by `h` pixels; what leaves it below comes in again above, as around a battery.
struct Sheet {
  Canvas& canvas;
  double w, h;

  void area(std::initializer_list<Point> corners, const Color& color) const {
    for (const double turn : {-1.0, 0.0, 1.0}) {
      std::vector<Point> points(corners);
      for (Point& point : points) point = {point.x * w, (point.y + turn) * h};
      canvas.area(points, color);
    }
  }
  void band(double left, double right, const Color& color) const {
    canvas.fill({left * w, 0, (right - left) * w, h}, color);
  }
  // Radius and distances in parts of the height.
  void dot(const Point& at, double radius, const Color& color) const {
    for (const double turn : {-1.0, 0.0, 1.0}) {
      canvas.dot({at.x * w, (at.y + turn) * h}, radius * h, color);
    }
  }
  void text(const std::string& text, const Point& at, const TextStyle& style) const {
    for (const double turn : {-1.0, 0.0, 1.0}) canvas.text(text, {at.x * w, (at.y + turn) * h}, style);
  }
};

// About a third of the sheet is in the accent's colour, whatever the pattern.
void decorate(const Sheet& sheet, Pattern pattern, const Print& print) {
  const Color& accent = print.colours.accent;
  const double t = print.thickness, s = print.shift_x;
  switch (pattern) {
    case Pattern::plus_cap:
      sheet.band(0.68 + s, 1, accent);
      sheet.band(0.63 + s, 0.65 + s, accent);
      break;
    case Pattern::minus_cap:
      sheet.band(0, 0.24 + s, accent);
      for (double y = 0; y < 0.99; y += 0.25) {
        sheet.area({{0.23 + s, y}, {0.23 + s, y + 0.25}, {0.4 + s, y + 0.125}}, accent);
      }
      break;
    case Pattern::slant:
    case Pattern::slant_back: {
      const bool back = pattern == Pattern::slant_back;
      const double from = (back ? 0.02 : 0.56) + s, to = from + 0.42, wide = 0.17 * t;
      for (double y = 0; y < 0.99; y += 0.25) {
        const double lean = back ? -0.5 : 0.5;
        sheet.area({{from, y}, {to, y + lean}, {to, y + lean + wide}, {from, y + wide}}, accent);
      }
      break;
    }
    case Pattern::two_rings:
      sheet.band(0.07 + s, 0.07 + 0.15 * t + s, accent);
      sheet.band(0.78 + s, 0.78 + 0.15 * t + s, accent);
      break;
    case Pattern::middle_band:
      sheet.band(0.34 + s, 0.66 + s, accent);
      sheet.band(0.30 + s, 0.315 + s, accent);
      sheet.band(0.685 + s, 0.70 + s, accent);
      break;
    case Pattern::lengthwise:
      for (const double y : {0.0, 0.075, 0.5, 0.575}) {
        sheet.area({{0, y}, {1, y}, {1, y + 0.05 * t}, {0, y + 0.05 * t}}, accent);
      }
      sheet.band(0.86 + s, 1, accent);
      break;
    case Pattern::chevrons:
      for (const double x : {0.52, 0.66, 0.80}) {
        for (const double y : {0.0, 0.5}) {
          const double a = x + s, b = a + 0.085 * t, tip = 0.1;
          sheet.area({{a, y}, {b, y}, {b + tip, y + 0.25}, {b, y + 0.5}, {a, y + 0.5}, {a + tip, y + 0.25}},
                     accent);
        }
      }
      sheet.band(0.05 + s, 0.12 + s, accent);
      break;
    case Pattern::dots:
      for (int column = 0; column < 4; ++column) {
        for (int row = 0; row < 6; ++row) {
          sheet.dot({0.05 + 0.1 * column + s, (row + 0.5 * (column % 2)) / 6}, 0.068 * t, accent);
        }
      }
      sheet.band(0.9 + s, 0.97 + s, accent);
      break;
    case Pattern::wave:
      for (double y = 0; y < 0.99; y += 1.0 / 48) {
        const double edge = [&](double at) { return 0.66 + s + 0.07 * std::sin(4 * Cylinder::kPi * at); }(y);
        const double next = 0.66 + s + 0.07 * std::sin(4 * Cylinder::kPi * (y + 1.0 / 48));
        sheet.area({{edge, y}, {1, y}, {1, y + 1.0 / 47}, {next, y + 1.0 / 47}}, accent);
      }
      break;
    case Pattern::checks:
      for (int column = 0; column < 5; ++column) {
        for (int row = 0; row < 4; ++row) {
          const double x = 0.01 + 0.08 * column + s, y = (row + 0.5 * (column % 2)) / 4;
          sheet.area({{x, y}, {x + 0.08, y}, {x + 0.08, y + 0.125 * t}, {x, y + 0.125 * t}}, accent);
        }
      }
      sheet.band(0.85 + s, 0.97 + s, accent);
      break;
    case Pattern::triangles:
      for (double y = 0; y < 0.99; y += 0.25)
        sheet.area({{1, y}, {0.62 + s, y + 0.125}, {1, y + 0.25}}, accent);
      sheet.band(0, 0.09 + s, accent);
      break;
  }
}

void draw_emblem(const Sheet& sheet, Emblem emblem, const Point& at, const Color& color,
                 const Color& ground) {
  const double x = at.x, y = at.y, r = 0.055, rx = r * sheet.h / sheet.w;
  switch (emblem) {
    case Emblem::disc:
      sheet.dot(at, r, color);
      sheet.dot(at, 0.55 * r, ground);
      break;
    case Emblem::diamond:
      sheet.area({{x - rx, y}, {x, y - r}, {x + rx, y}, {x, y + r}}, color);
      break;
    case Emblem::bolt:
      sheet.area({{x - rx, y + 0.2 * r}, {x + 0.3 * rx, y - r}, {x, y - 0.1 * r}}, color);
      sheet.area({{x + rx, y - 0.2 * r}, {x - 0.3 * rx, y + r}, {x, y + 0.1 * r}}, color);
      break;
    case Emblem::bars:
      for (int bar = -1; bar <= 1; ++bar) {
        const double left = x + 0.7 * bar * rx - 0.2 * rx, high = r * (0.6 + 0.2 * bar);
        sheet.area(
            {{left, y - high}, {left + 0.45 * rx, y - high}, {left + 0.45 * rx, y + high}, {left, y + high}},
            color);
      }
      break;
  }
}

void print_text(const Sheet& sheet, const Series& series, const Print& print, Random& random) {
  static constexpr const char* kPrints[] = {"LR6 AA 1.5V ALKALINE", "AA LR6 MIGNON 1.5V", "AM3 LR6 1.5V"};
  static constexpr const char* kDates[] = {"03-2027", "11-2028", "07-2029", "01-2031"};
  // The middle band is light; what stands on it is printed in the body's colour.
  const bool on_accent = series.pattern == Pattern::middle_band;
  const Color& ink = on_accent ? print.colours.body : print.colours.text;
  const Color& ground = on_accent ? print.colours.accent : print.colours.body;
  const double room = on_accent ? 0.3 : 0.42;
  const double x = series.text_at + print.shift_x;
  double size = 0.115 * sheet.h;
  size *= std::min(1.0, room * sheet.w / text_width(series.brand, centred(size, ink, true)));
  const std::string small = pick(random, kPrints), date = pick(random, kDates);
  const double turned = series.pattern == Pattern::lengthwise ? 0.31 : 0.25;
  for (const double y : {turned, turned + 0.5}) {
    sheet.text(series.brand, {x, y - 0.02}, centred(size, ink, true));
    sheet.text(series.line, {x + 0.06, y + 0.1}, centred(0.6 * size, blend(ink, ground, 0.15), false));
    draw_emblem(sheet, series.emblem, {x - 0.13, y + 0.1}, ink, ground);
  }
  sheet.text(small, {x, turned + 0.24}, centred(0.028 * sheet.h, blend(ink, ground, 0.2), false));
  sheet.text(date, {x, turned + 0.74}, centred(0.03 * sheet.h, blend(ink, ground, 0.2), false));
}

// The print begins at another place around each specimen.
Image turned(const Image& image, double share) {
  Image result = image;
  const auto row = static_cast<std::int64_t>(share * static_cast<double>(image.height)) % image.height;
  std::rotate(result.pixels.begin(), result.pixels.begin() + row * image.width * 3, result.pixels.end());
  return result;
}

}  // namespace

Image series_label(const Series& series, Random specimen, double wear) {
  constexpr double kPixels = 8;  // a millimetre
  const Print print(specimen, series, wear);
  constexpr int kWidth = static_cast<int>(kPixels * Battery::kLength);
  constexpr int kHeight = static_cast<int>(kPixels * Cylinder::kPi * Battery::kDiameter);
  Canvas canvas(kWidth, kHeight);
  canvas.fill({0, 0, kWidth, kHeight}, print.colours.body);
  const Sheet sheet{canvas, kWidth, kHeight};
  decorate(sheet, series.pattern, print);
  print_text(sheet, series, print, specimen);
  Image label = turned(canvas.finish(), print.shift_y);
  wear_out(label, specimen, wear, true);
  return label;
}

}  // namespace pila::synth
