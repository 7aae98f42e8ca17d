#include "apps/media/resize.h"

#include <algorithm>
#include <opencv2/imgproc.hpp>

namespace pila::media {

Image scaled_down(const Image& image, std::int64_t max_width, std::int64_t max_height) {
  if (image.width <= max_width && image.height <= max_height) return image;
  const double scale = std::min(static_cast<double>(max_width) / static_cast<double>(image.width),
                                static_cast<double>(max_height) / static_cast<double>(image.height));
  const auto side = [&](std::int64_t pixels) {
    return std::max(1, cvRound(static_cast<double>(pixels) * scale));
  };
  Image result{.width = side(image.width), .height = side(image.height), .pixels = {}, .warning = {}};
  result.pixels.resize(static_cast<std::size_t>(result.width * result.height * 3));
  const cv::Mat from(static_cast<int>(image.height), static_cast<int>(image.width), CV_8UC3,
                     const_cast<std::uint8_t*>(image.pixels.data()));
  cv::Mat to(static_cast<int>(result.height), static_cast<int>(result.width), CV_8UC3, result.pixels.data());
  cv::resize(from, to, to.size(), 0, 0, cv::INTER_AREA);
  return result;
}

}  // namespace pila::media
