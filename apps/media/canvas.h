// A sheet to draw on: lines, areas, pictures and text, all with smooth edges.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "apps/media/contact_sheet.h"
#include "apps/media/image.h"

namespace pila::media {

struct Point {
  double x = 0, y = 0;
};
struct Rect {
  double x = 0, y = 0, width = 0, height = 0;
  double right() const { return x + width; }
  double bottom() const { return y + height; }
};

constexpr Color kWhite = {255, 255, 255}, kInk = {38, 42, 48}, kGrey = {120, 126, 134},
                kPaleGrey = {228, 231, 235};

// (1 - share) * a + share * b.
Color blend(const Color& a, const Color& b, double share);

// Where a text stands relative to its point.
enum class Align { start, middle, end };

struct TextStyle {
  double size = 10;  // height of a capital letter, in pixels
  Color color = kInk;
  Align horizontal = Align::start;
  Align vertical = Align::middle;  // start: the point is above the text
  bool bold = false;
  bool upwards = false;  // turned by a quarter to the left; `horizontal` and `vertical` turn with it
};

// Coordinates are pixels from the top left corner; fractions count.
class Canvas {
 public:
  // White. Throws UsageError for a size outside of 1 to 20,000.
  Canvas(int width, int height);
  ~Canvas();
  Canvas(const Canvas&) = delete;
  Canvas& operator=(const Canvas&) = delete;

  void fill(const Rect& area, const Color& color);
  void frame(const Rect& area, const Color& color, double thickness = 1);
  void line(const Point& from, const Point& to, const Color& color, double thickness = 1);
  void dashed_line(const Point& from, const Point& to, const Color& color, double thickness = 1);
  void curve(std::span<const Point> points, const Color& color, double thickness = 2);
  void area(std::span<const Point> corners, const Color& color);
  void dot(const Point& centre, double radius, const Color& color);
  // Scaled into the area, its shape kept; nothing for an image without pixels.
  void picture(const Image& image, const Rect& area);
  // Characters that the font lacks show as '?'.
  void text(const std::string& text, const Point& at, const TextStyle& style = {});

  Image finish() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

double text_width(const std::string& text, const TextStyle& style);

// The text with "..." in its middle where it would be wider.
std::string shortened(const std::string& text, double width, const TextStyle& style);

}  // namespace pila::media
