// What all that draws with OpenCV has in common.
#pragma once

#include <opencv2/core.hpp>
#include <opencv2/imgproc.hpp>

#include "apps/media/canvas.h"

namespace pila::media {

constexpr int kFont = cv::FONT_HERSHEY_SIMPLEX;

inline cv::Scalar scalar(const Color& color) {
  return {double(color[0]), double(color[1]), double(color[2])};
}

}  // namespace pila::media
