#include "apps/media/overlay.h"

#include <algorithm>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "apps/media/lettering.h"
#include "apps/media/pen.h"

namespace pila::media {
namespace {

cv::Mat pixels_of(Image& image) {
  return {static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3, image.pixels.data()};
}
int rounded(double value) { return static_cast<int>(std::lround(value)); }

}  // namespace

void draw_box(Image& image, const Rect& area, const Color& color) {
  if (image.pixels.empty()) return;
  const int thickness = std::max(1, rounded(static_cast<double>(image.height) / 180));
  cv::rectangle(pixels_of(image), cv::Point(rounded(area.x), rounded(area.y)),
                cv::Point(rounded(area.right()), rounded(area.bottom())), scalar(color), thickness);
}

void draw_band(Image& image, Band place, const std::string& text, const Color& color) {
  if (image.pixels.empty()) return;
  cv::Mat pixels = pixels_of(image);
  const int height = std::clamp(pixels.rows / 12, 1, 64);
  cv::Mat band = pixels.rowRange(place == Band::top ? 0 : pixels.rows - height,
                                 place == Band::top ? height : pixels.rows);
  band.convertTo(band, -1, 0.3);
  const int dot = std::max(1, height / 5), gap = height / 2;
  cv::circle(band, cv::Point(gap, height / 2), dot, scalar(color), cv::FILLED, cv::LINE_AA);
  const double scale = height / 44.0;
  const int thickness = std::max(1, height / 26), left = gap + 2 * dot;
  const auto size_of = [&](const std::string& candidate) {
    int baseline = 0;
    return cv::getTextSize(candidate, kFont, scale, thickness, &baseline);
  };
  const std::string fitting = shortened(text, [&](const std::string& candidate) {
    return size_of(candidate).width <= pixels.cols - left - gap;
  });
  cv::putText(band, fitting, cv::Point(left, (height + size_of(fitting).height) / 2), kFont, scale,
              cv::Scalar(255, 255, 255), thickness, cv::LINE_AA);
}

}  // namespace pila::media
