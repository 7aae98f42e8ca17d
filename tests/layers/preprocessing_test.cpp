// From pixels to a network's input.
#include "layers/preprocessing.h"

#include <gtest/gtest.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "tests/support/compare.h"
#include "tests/support/random_data.h"

namespace pila::preprocessing_test {
namespace {

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

Tensor pixels(const Shape& shape) {
  return Tensor::from(
      context(), shape,
      test::integer_data<std::uint8_t>(static_cast<std::size_t>(shape.elements()), 3, 0, 255));
}

TEST(Preprocessing, ScalesPixelsOfTheRightSize) {
  const Tensor image =
      Tensor::from(context(), {1, 1, 2, 3}, std::vector<std::uint8_t>{0, 255, 51, 102, 1, 254});
  Preprocessing preprocessing;
  preprocessing.height = 1;
  preprocessing.width = 2;
  const Tensor input = preprocess(context(), image, preprocessing);
  EXPECT_EQ(input.shape(), (Shape{1, 1, 2, 3}));
  // One rounding of 1/127.5 and one of the product.
  EXPECT_TRUE(test::close_each(
      input.to_vector<float>(context()),
      std::vector<double>{-1, 1, 51 / 127.5 - 1, 102 / 127.5 - 1, 1 / 127.5 - 1, 254 / 127.5 - 1}, 3e-7));
}

TEST(Preprocessing, StretchesThenScales) {
  const Tensor images = pixels({2, 13, 9, 3});
  for (const bool equal : {true, false}) {
    Preprocessing preprocessing;
    preprocessing.height = 7;
    preprocessing.width = 21;
    if (!equal) {
      preprocessing.scale = {0.5f, 0.25f, 2.0f};
      preprocessing.offset = {-3, 0, 7};
    }
    const Tensor input = preprocess(context(), images, preprocessing);
    EXPECT_EQ(input.shape(), (Shape{2, 7, 21, 3}));
    std::vector<float> expected = ops::resize_bilinear(context(), images, 7, 21).to_vector<float>(context());
    for (std::size_t i = 0; i < expected.size(); ++i) {
      expected[i] = expected[i] * preprocessing.scale[i % 3] + preprocessing.offset[i % 3];
    }
    // A fused multiply-add rounds once where the expectation rounds twice.
    EXPECT_TRUE(test::close_by_norm(input.to_vector<float>(context()), expected, 1e-6));
  }
}

TEST(Preprocessing, GivesTheTypeAskedFor) {
  const Context reference(Device::reference());
  const Tensor images = Tensor::from(reference, {1, 2, 2, 3}, std::vector<std::uint8_t>(12, 255));
  Preprocessing preprocessing;
  preprocessing.height = preprocessing.width = 3;
  const Tensor input = preprocess(reference, images, preprocessing, DType::f64);
  EXPECT_EQ(input.type(), DType::f64);
  // Scale and offset are float32 numbers whatever the type: 255 times the rounding of 1/127.5.
  EXPECT_TRUE(test::close_each(input.to_vector<double>(reference), std::vector<double>(27, 1), 2e-7));
}

TEST(Preprocessing, RefusesWhatIsNoImage) {
  EXPECT_THROW(preprocess(context(), pixels({1, 8, 8, 4}), {}), ShapeError);
  EXPECT_THROW(preprocess(context(), pixels({8, 8, 3}), {}), ShapeError);
  EXPECT_THROW(preprocess(context(), Tensor::zeros(context(), {{1, 8, 8, 3}, DType::f32}), {}), ShapeError);
  Preprocessing empty;
  empty.height = 0;
  EXPECT_THROW(preprocess(context(), pixels({1, 8, 8, 3}), empty), ShapeError);
}

}  // namespace
}  // namespace pila::preprocessing_test
