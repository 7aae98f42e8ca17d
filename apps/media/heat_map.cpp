#include "apps/media/heat_map.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "engine/core/error.h"

namespace pila::media {
namespace {

using Colors = std::array<std::array<std::uint8_t, 3>, 256>;

Colors make_colors() {
  cv::Mat levels(1, 256, CV_8UC1), colors;
  for (int i = 0; i < 256; ++i) levels.at<std::uint8_t>(i) = static_cast<std::uint8_t>(i);
  cv::applyColorMap(levels, colors, cv::COLORMAP_TURBO);
  Colors result;
  for (int i = 0; i < 256; ++i) {
    const auto& bgr = colors.at<cv::Vec3b>(i);
    result[static_cast<std::size_t>(i)] = {bgr[2], bgr[1], bgr[0]};
  }
  return result;
}

}  // namespace

std::array<std::uint8_t, 3> heat_color(double value) {
  static const Colors kColors = make_colors();
  return kColors[static_cast<std::size_t>(cvRound(std::clamp(value, 0.0, 1.0) * 255))];
}

Image with_heat_map(const Image& photograph, std::span<const float> values, std::int64_t height,
                    std::int64_t width, double strength) {
  if (height < 1 || width < 1 || static_cast<std::int64_t>(values.size()) != height * width ||
      photograph.pixels.empty()) {
    throw UsageError("[heat map] expected a photograph and height x width values, got " +
                     std::to_string(values.size()) + " for " + std::to_string(height) + " x " +
                     std::to_string(width));
  }
  const cv::Mat coarse(static_cast<int>(height), static_cast<int>(width), CV_32FC1,
                       const_cast<float*>(values.data()));
  cv::Mat heat;
  cv::resize(coarse, heat, {static_cast<int>(photograph.width), static_cast<int>(photograph.height)}, 0, 0,
             cv::INTER_LINEAR);
  Image result = photograph;
  for (std::size_t i = 0; i < result.pixels.size() / 3; ++i) {
    const auto value = static_cast<double>(heat.ptr<float>()[i]);
    const auto color = heat_color(value);
    const double share = strength * std::sqrt(std::clamp(value, 0.0, 1.0));
    for (std::size_t c = 0; c < 3; ++c) {
      std::uint8_t& sample = result.pixels[3 * i + c];
      sample = cv::saturate_cast<std::uint8_t>((1 - share) * sample + share * color[c]);
    }
  }
  return result;
}

}  // namespace pila::media
