#include <gtest/gtest.h>

#include <limits>

#include "tests/kernels/cpu/against_reference.h"

namespace pila::test {
namespace {

using namespace kernels;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

template <class T>
void expect_same_borders(DType type, const Borders& borders) {
  SCOPED_TRACE(testing::Message() << borders.batch << " x " << borders.in_h << " x " << borders.in_w << " x "
                                  << borders.channels);
  const auto plain = static_cast<std::size_t>(borders.batch * borders.in_h * borders.in_w * borders.channels);
  const auto padded =
      static_cast<std::size_t>(borders.batch * (borders.top + borders.in_h + borders.bottom) *
                               (borders.left + borders.in_w + borders.right) * borders.channels);
  const GuardedBuffer<T> x(integer_data<T>(plain, 1, 1, 200)), wide(integer_data<T>(padded, 2, 1, 200));
  Pad pad;
  pad.type = type;
  pad.borders = borders;
  pad.x = x.data();
  EXPECT_TRUE(same_bits(run_fast<T>(pad, "pad", &Pad::y, padded), run_reference<T>(pad, &Pad::y, padded)));
  Crop crop;
  crop.type = type;
  crop.borders = borders;
  crop.x = wide.data();
  EXPECT_TRUE(same_bits(run_fast<T>(crop, "crop", &Crop::y, plain), run_reference<T>(crop, &Crop::y, plain)));
}

TEST(CpuPadAndCrop, EveryTypeAndBorder) {
  for (const Borders& borders :
       {Borders{1, 1, 1, 1, 0, 0, 0, 0}, Borders{2, 5, 7, 3, 0, 1, 0, 1}, Borders{2, 5, 7, 3, 3, 2, 1, 4},
        Borders{8, 56, 56, 24, 1, 1, 1, 1}, Borders{1, 0, 4, 2, 1, 1, 1, 1}, Borders{1, 4, 0, 2, 1, 1, 1, 1},
        Borders{0, 4, 4, 2, 1, 1, 1, 1}, Borders{3, 4, 4, 0, 1, 1, 1, 1}}) {
    expect_same_borders<float>(DType::f32, borders);
    expect_same_borders<std::uint16_t>(DType::f16, borders);
    expect_same_borders<std::uint8_t>(DType::u8, borders);
    expect_same_borders<std::int64_t>(DType::i64, borders);
  }
}

ConvShape shape_of(std::int64_t batch, std::int64_t in_h, std::int64_t in_w, std::int64_t channels,
                   std::int64_t out_h, std::int64_t out_w, const Window& window) {
  ConvShape shape;
  shape.batch = batch;
  shape.in_h = in_h;
  shape.in_w = in_w;
  shape.in_c = shape.out_c = channels;
  shape.out_h = out_h;
  shape.out_w = out_w;
  shape.window = window;
  return shape;
}

std::size_t inputs(const ConvShape& shape) {
  return static_cast<std::size_t>(shape.batch * shape.in_h * shape.in_w * shape.in_c);
}
std::size_t outputs(const ConvShape& shape) {
  return static_cast<std::size_t>(shape.batch * shape.out_h * shape.out_w * shape.in_c);
}

void expect_same_pool(const ConvShape& shape, const std::vector<float>& values) {
  SCOPED_TRACE(testing::Message() << shape.batch << " x " << shape.in_h << " x " << shape.in_w << " x "
                                  << shape.in_c << ", window " << shape.window.kernel_h << " x "
                                  << shape.window.kernel_w);
  const GuardedBuffer<float> x(values), dy(uniform_data<float>(outputs(shape), 4));
  MaxPoolForward forward;
  forward.shape = shape;
  forward.x = x.data();
  const auto actual = run_fast<float>(forward, "max_pool_f32", &MaxPoolForward::y, outputs(shape));
  const auto expected = run_reference<float>(forward, &MaxPoolForward::y, outputs(shape));
  EXPECT_TRUE(same_specials(actual, expected));
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::isnan(expected[i])) continue;
    ASSERT_EQ(actual[i], expected[i]) << "element " << i;
  }
  MaxPoolBackward backward;
  backward.shape = shape;
  backward.x = x.data();
  backward.dy = dy.data();
  // A few gradients added in float32 instead of float64.
  EXPECT_TRUE(
      close_by_norm(run_fast<float>(backward, "max_pool_backward_f32", &MaxPoolBackward::dx, inputs(shape)),
                    run_reference<float>(backward, &MaxPoolBackward::dx, inputs(shape)), 2e-7));
}

std::vector<ConvShape> pool_shapes() {
  return {shape_of(1, 1, 1, 1, 1, 1, {}),
          shape_of(2, 8, 6, 7, 4, 3, {2, 2, 2, 2, 1, 1, 0, 0}),
          shape_of(2, 9, 7, 16, 4, 3, {3, 3, 2, 2, 1, 1, 0, 0}),
          shape_of(2, 9, 7, 17, 5, 4, {3, 3, 2, 2, 1, 1, 1, 1}),
          shape_of(1, 9, 8, 33, 9, 8, {3, 3, 1, 1, 1, 1, 1, 1}),
          shape_of(3, 7, 7, 64, 4, 4, {1, 1, 2, 2, 1, 1, 0, 0}),
          shape_of(1, 10, 11, 5, 6, 7, {3, 2, 1, 1, 2, 3, 0, 1}),
          shape_of(1, 5, 5, 65, 3, 3, {5, 4, 2, 2, 1, 1, 2, 2}),
          shape_of(2, 58, 58, 64, 28, 28, {3, 3, 2, 2, 1, 1, 0, 0})};
}

TEST(CpuMaxPool, Shapes) {
  for (const ConvShape& shape : pool_shapes()) expect_same_pool(shape, uniform_data<float>(inputs(shape), 3));
}

// The gradient goes to the first of several largest taps.
TEST(CpuMaxPool, Ties) {
  for (const ConvShape& shape : pool_shapes()) {
    expect_same_pool(shape, integer_data<float>(inputs(shape), 5, 0, 2));
    expect_same_pool(shape, std::vector<float>(inputs(shape), -kInfinity));
  }
}

TEST(CpuMaxPool, NanIsLarger) {
  for (const ConvShape& shape : pool_shapes()) {
    auto values = uniform_data<float>(inputs(shape), 6);
    for (std::size_t i = 0; i < values.size(); i += 11) values[i] = i % 3 == 0 ? kInfinity : kNan;
    expect_same_pool(shape, values);
  }
}

TEST(CpuMaxPool, WindowsOutsideTheImage) {
  const ConvShape shape = shape_of(1, 2, 2, 19, 4, 4, {2, 2, 2, 2, 1, 1, 2, 2});
  expect_same_pool(shape, uniform_data<float>(inputs(shape), 7));
}

}  // namespace
}  // namespace pila::test
