#include "apps/synth/field.h"

#include <algorithm>
#include <cmath>

namespace pila::synth {
namespace {

// Of one row or column: `count` values `stride` apart.
void blur_line(float* values, int count, std::size_t stride, const std::vector<float>& weights,
               std::vector<float>& line) {
  const int radius = static_cast<int>(weights.size()) / 2;
  line.resize(static_cast<std::size_t>(count + 2 * radius));
  for (int i = 0; i < static_cast<int>(line.size()); ++i) {
    line[i] = values[static_cast<std::size_t>(std::clamp(i - radius, 0, count - 1)) * stride];
  }
  for (int i = 0; i < count; ++i) {
    float sum = 0;
    for (std::size_t k = 0; k < weights.size(); ++k)
      sum += weights[k] * line[static_cast<std::size_t>(i) + k];
    values[static_cast<std::size_t>(i) * stride] = sum;
  }
}

std::vector<float> gaussian(double deviation) {
  const int radius = static_cast<int>(std::ceil(2.5 * deviation));
  std::vector<float> weights;
  double sum = 0;
  for (int i = -radius; i <= radius; ++i) {
    const double weight = std::exp(-0.5 * i * i / (deviation * deviation));
    weights.push_back(static_cast<float>(weight));
    sum += weight;
  }
  for (float& weight : weights) weight /= static_cast<float>(sum);
  return weights;
}

}  // namespace

Field Field::noise(Random& random, int width, int height, double spot) {
  constexpr int kOctaves = 4;
  constexpr double kSmallestSpot = 1.5;
  Field sum(width, height, 0.5f);
  float weight = 0.6f;
  for (int octave = 0; octave < kOctaves && spot >= kSmallestSpot; ++octave, spot /= 2, weight /= 2) {
    Field coarse(static_cast<int>(width / spot) + 3, static_cast<int>(height / spot) + 3);
    for (float& value : coarse.values_) value = random.uniform() - 0.5f;
    for (int y = 0; y < height; ++y) {
      for (int x = 0; x < width; ++x) sum.at(x, y) += weight * coarse.sample(x / spot + 0.5, y / spot + 0.5);
    }
  }
  return sum;
}

float Field::sample(double x, double y) const {
  x = std::clamp(x, 0.0, width_ - 1.0);
  y = std::clamp(y, 0.0, height_ - 1.0);
  const int left = std::min(static_cast<int>(x), std::max(0, width_ - 2));
  const int top = std::min(static_cast<int>(y), std::max(0, height_ - 2));
  const int right = std::min(left + 1, width_ - 1), bottom = std::min(top + 1, height_ - 1);
  // Smooth steps between the grid's values hide its squares.
  const auto smooth = [](double t) { return static_cast<float>(t * t * (3 - 2 * t)); };
  const float u = smooth(x - left), v = smooth(y - top);
  const float above = at(left, top) + u * (at(right, top) - at(left, top));
  const float below = at(left, bottom) + u * (at(right, bottom) - at(left, bottom));
  return above + v * (below - above);
}

void Field::blur(double deviation_x, double deviation_y) {
  std::vector<float> line;
  constexpr double kNothing = 0.2;
  if (deviation_x > kNothing) {
    const auto weights = gaussian(deviation_x);
    for (int y = 0; y < height_; ++y) blur_line(&at(0, y), width_, 1, weights, line);
  }
  if (deviation_y > kNothing) {
    const auto weights = gaussian(deviation_y);
    const auto stride = static_cast<std::size_t>(width_);
    for (int x = 0; x < width_; ++x) blur_line(&at(x, 0), height_, stride, weights, line);
  }
}

void Field::smear(double length) {
  if (length <= 1) return;
  // Whole steps with a part of one at either end.
  const int radius = static_cast<int>(std::ceil((length - 1) / 2));
  std::vector<float> weights(static_cast<std::size_t>(2 * radius + 1), static_cast<float>(1 / length));
  weights.front() = weights.back() = static_cast<float>((length - (2 * radius - 1)) / 2 / length);
  std::vector<float> line;
  for (int y = 0; y < height_; ++y) blur_line(&at(0, y), width_, 1, weights, line);
}

}  // namespace pila::synth
