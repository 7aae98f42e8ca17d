#include "apps/media/canvas.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>
#include <vector>

#include "apps/media/lettering.h"
#include "apps/media/pen.h"
#include "engine/core/error.h"

namespace pila::media {
namespace {

// Everything is drawn this much larger and shrunk in the end, which smooths what OpenCV draws in whole
// pixels.
constexpr int kOversampling = 2;
// OpenCV takes coordinates as fixed-point numbers of so many fractional bits.
constexpr int kShift = 4;

constexpr double kCapitalHeight = 21;  // of kFont at scale 1

cv::Point fixed_point(const Point& point) {
  // A pixel's centre is at .5 here and at a whole number in OpenCV.
  const auto convert = [](double value) { return cvRound((value * kOversampling - 0.5) * (1 << kShift)); };
  return {convert(point.x), convert(point.y)};
}

int stroke(double thickness) { return std::max(1, cvRound(thickness * kOversampling)); }

// How a text is drawn on the oversampled sheet.
struct Lettering {
  double scale;
  int thickness;
  explicit Lettering(const TextStyle& style)
      : scale(style.size * kOversampling / kCapitalHeight),
        thickness(std::max(1, cvRound(style.size * kOversampling * (style.bold ? 0.16 : 0.11)))) {}

  cv::Size size(const std::string& text, int& baseline) const {
    return cv::getTextSize(text, kFont, scale, thickness, &baseline);
  }
};

double offset(Align align, double length) {
  return align == Align::start ? 0 : align == Align::middle ? -length / 2 : -length;
}

}  // namespace

struct Canvas::Impl {
  cv::Mat sheet;

  cv::Rect on_sheet(const Rect& area) const {
    const auto round = [](double value) { return cvRound(value * kOversampling); };
    const cv::Rect rect(cv::Point(round(area.x), round(area.y)),
                        cv::Point(round(area.right()), round(area.bottom())));
    return rect & cv::Rect(0, 0, sheet.cols, sheet.rows);
  }

  // Blends the color in where the mask, placed at (left, top), says.
  void paint(const cv::Mat& mask, int left, int top, const Color& color) {
    for (int row = std::max(0, -top); row < std::min(mask.rows, sheet.rows - top); ++row) {
      auto* pixel = sheet.ptr<cv::Vec3b>(row + top);
      const auto* share = mask.ptr<std::uint8_t>(row);
      for (int column = std::max(0, -left); column < std::min(mask.cols, sheet.cols - left); ++column) {
        for (int c = 0; c < 3; ++c) {
          std::uint8_t& value = pixel[column + left][c];
          value = static_cast<std::uint8_t>(
              (value * (255 - share[column]) + color[static_cast<std::size_t>(c)] * share[column] + 127) /
              255);
        }
      }
    }
  }
};

Color blend(const Color& a, const Color& b, double share) {
  Color result;
  for (std::size_t c = 0; c < 3; ++c) {
    result[c] = static_cast<std::uint8_t>(std::lround((1 - share) * a[c] + share * b[c]));
  }
  return result;
}

Canvas::Canvas(int width, int height) : impl_(std::make_unique<Impl>()) {
  constexpr int kMost = 20000;
  if (width < 1 || height < 1 || width > kMost || height > kMost) {
    throw UsageError("[canvas] expected a size of 1 to " + std::to_string(kMost) + ", got " +
                     std::to_string(width) + " x " + std::to_string(height));
  }
  impl_->sheet = cv::Mat(height * kOversampling, width * kOversampling, CV_8UC3, scalar(kWhite));
}

Canvas::~Canvas() = default;

void Canvas::fill(const Rect& area, const Color& color) {
  const cv::Rect rect = impl_->on_sheet(area);
  if (!rect.empty()) impl_->sheet(rect).setTo(scalar(color));
}

void Canvas::frame(const Rect& area, const Color& color, double thickness) {
  const double t = thickness;
  fill({area.x, area.y, area.width, t}, color);
  fill({area.x, area.bottom() - t, area.width, t}, color);
  fill({area.x, area.y, t, area.height}, color);
  fill({area.right() - t, area.y, t, area.height}, color);
}

void Canvas::line(const Point& from, const Point& to, const Color& color, double thickness) {
  cv::line(impl_->sheet, fixed_point(from), fixed_point(to), scalar(color), stroke(thickness), cv::LINE_AA,
           kShift);
}

void Canvas::dashed_line(const Point& from, const Point& to, const Color& color, double thickness) {
  constexpr double kDash = 5, kGap = 4;
  const double length = std::hypot(to.x - from.x, to.y - from.y);
  const auto at = [&](double distance) {
    const double share = std::min(distance / length, 1.0);
    return Point{from.x + share * (to.x - from.x), from.y + share * (to.y - from.y)};
  };
  for (double start = 0; start < length; start += kDash + kGap) {
    line(at(start), at(start + kDash), color, thickness);
  }
}

void Canvas::curve(std::span<const Point> points, const Color& color, double thickness) {
  std::vector<cv::Point> corners;
  for (const Point& point : points) corners.push_back(fixed_point(point));
  cv::polylines(impl_->sheet, corners, false, scalar(color), stroke(thickness), cv::LINE_AA, kShift);
}

void Canvas::area(std::span<const Point> corners, const Color& color) {
  std::vector<cv::Point> polygon;
  for (const Point& corner : corners) polygon.push_back(fixed_point(corner));
  cv::fillPoly(impl_->sheet, std::vector<std::vector<cv::Point>>{polygon}, scalar(color), cv::LINE_AA,
               kShift);
}

void Canvas::dot(const Point& centre, double radius, const Color& color) {
  cv::circle(impl_->sheet, fixed_point(centre), cvRound(radius * kOversampling * (1 << kShift)),
             scalar(color), cv::FILLED, cv::LINE_AA, kShift);
}

void Canvas::picture(const Image& image, const Rect& area) {
  if (image.width < 1 || image.height < 1) return;
  const double scale = std::min(area.width / static_cast<double>(image.width),
                                area.height / static_cast<double>(image.height));
  const double width = static_cast<double>(image.width) * scale;
  const double height = static_cast<double>(image.height) * scale;
  const cv::Rect place = impl_->on_sheet(
      {area.x + (area.width - width) / 2, area.y + (area.height - height) / 2, width, height});
  if (place.empty()) return;
  const cv::Mat pixels(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                       const_cast<std::uint8_t*>(image.pixels.data()));
  cv::Mat fitted;
  cv::resize(pixels, fitted, place.size(), 0, 0,
             scale * kOversampling < 1 ? cv::INTER_AREA : cv::INTER_LINEAR);
  fitted.copyTo(impl_->sheet(place));
}

void Canvas::text(const std::string& text, const Point& at, const TextStyle& style) {
  const std::string line = drawable(text);
  if (line.empty()) return;
  const Lettering lettering(style);
  int baseline = 0;
  const cv::Size size = lettering.size(line, baseline);
  const int border = lettering.thickness + 1;
  const int capital = cvRound(style.size * kOversampling), below = baseline + border;
  // Drawn on a mask of its own, so that it can be turned.
  cv::Mat mask(size.height + 2 * border + below, size.width + 2 * border, CV_8UC1, cv::Scalar(0));
  const cv::Point start(border, size.height + border);
  cv::putText(mask, line, start, kFont, lettering.scale, cv::Scalar(255), lettering.thickness, cv::LINE_AA);
  // The text's box, from capital height to base line, and its place in the mask.
  const double along = offset(style.horizontal, size.width) - start.x;
  const double across = offset(style.vertical, capital) - (start.y - capital);
  if (style.upwards) {
    cv::rotate(mask, mask, cv::ROTATE_90_COUNTERCLOCKWISE);
    impl_->paint(mask, cvRound(at.x * kOversampling + across),
                 cvRound(at.y * kOversampling - along - mask.rows), style.color);
  } else {
    impl_->paint(mask, cvRound(at.x * kOversampling + along), cvRound(at.y * kOversampling + across),
                 style.color);
  }
}

Image Canvas::finish() const {
  cv::Mat result;
  cv::resize(impl_->sheet, result, {}, 1.0 / kOversampling, 1.0 / kOversampling, cv::INTER_AREA);
  Image image{.width = result.cols, .height = result.rows, .pixels = {}, .warning = {}};
  image.pixels.assign(result.datastart, result.dataend);
  return image;
}

double text_width(const std::string& text, const TextStyle& style) {
  int baseline = 0;
  return static_cast<double>(Lettering(style).size(drawable(text), baseline).width) / kOversampling;
}

std::string shortened(const std::string& text, double width, const TextStyle& style) {
  return shortened(text, [&](const std::string& shorter) { return text_width(shorter, style) <= width; });
}

}  // namespace pila::media
