#include "engine/core/shape.h"

#include <gmock/gmock.h>

#include "engine/core/dtype.h"
#include "engine/core/error.h"
#include "engine/core/tensor.h"

namespace pila {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

TEST(Shape, KnowsItsExtents) {
  const Shape shape{32, 7, 5, 1280};
  EXPECT_EQ(shape.rank(), 4);
  EXPECT_EQ(shape[0], 32);
  EXPECT_EQ(shape[3], 1280);
  EXPECT_EQ(shape[-1], 1280);
  EXPECT_EQ(shape[-4], 32);
  EXPECT_EQ(shape.elements(), 32 * 7 * 5 * 1280);
  EXPECT_EQ(shape.to_string(), "[32, 7, 5, 1280]");
}

TEST(Shape, OfRankZeroIsOneNumber) {
  EXPECT_EQ(Shape{}.rank(), 0);
  EXPECT_EQ(Shape{}.elements(), 1);
  EXPECT_EQ(Shape{}.to_string(), "[]");
}

TEST(Shape, ComparesByRankAndExtents) {
  EXPECT_EQ((Shape{2, 3}), (Shape{2, 3}));
  EXPECT_NE((Shape{2, 3}), (Shape{3, 2}));
  EXPECT_NE((Shape{2}), (Shape{2, 1}));
  EXPECT_NE((Shape{2}), (Shape{2, 0}));
  EXPECT_NE(Shape{}, (Shape{1}));
}

TEST(Shape, MayBeEmpty) { EXPECT_EQ((Shape{0, 4}).elements(), 0); }

TEST(Shape, RefusesWhatItCannotHold) {
  EXPECT_THAT(([] { Shape{1, 2, 3, 4, 5, 6, 7}; }),
              ThrowsMessage<ShapeError>(HasSubstr("expected at most 6 axes, got [1, 2, 3, 4, 5, 6, 7]")));
  EXPECT_THAT(([] { Shape{2, -1}; }), ThrowsMessage<ShapeError>(HasSubstr("got [2, -1]")));
  constexpr std::int64_t kBig = std::int64_t{1} << 31;
  EXPECT_THAT(([] { Shape{kBig, kBig}; }), ThrowsMessage<ShapeError>(HasSubstr("fewer than 2^60 elements")));
  EXPECT_THAT(([] { Shape{kBig, kBig, 0}; }), ThrowsMessage<ShapeError>(HasSubstr("fewer than 2^60")));
  EXPECT_EQ((Shape{kBig, 1 << 20}).elements(), std::int64_t{1} << 51);
}

TEST(DType, HasAName) {
  EXPECT_EQ(to_string(DType::f32), "float32");
  EXPECT_EQ(to_string(DType::f64), "float64");
  EXPECT_EQ(to_string(DType::f16), "float16");
  EXPECT_EQ(to_string(DType::bf16), "bfloat16");
  EXPECT_EQ(to_string(DType::u8), "uint8");
  EXPECT_EQ(to_string(DType::i32), "int32");
  EXPECT_EQ(to_string(DType::i64), "int64");
}

TEST(DType, IsThatOfItsCppType) {
  EXPECT_EQ(dtype_of<float>, DType::f32);
  EXPECT_EQ(dtype_of<kernels::BFloat16>, DType::bf16);
  EXPECT_EQ(dtype_of<std::int64_t>, DType::i64);
  EXPECT_EQ(size_of(dtype_of<kernels::Float16>), sizeof(kernels::Float16));
  EXPECT_TRUE(is_floating(DType::bf16));
  EXPECT_FALSE(is_floating(DType::u8));
}

TEST(TensorSpec, ReadsLikeADeclaration) {
  EXPECT_EQ((TensorSpec{{2, 3}, DType::u8}).to_string(), "uint8[2, 3]");
  EXPECT_NE((TensorSpec{{2, 3}, DType::u8}), (TensorSpec{{2, 3}, DType::f32}));
}

TEST(Errors, AreOfOneFamily) {
  EXPECT_THROW(throw ShapeError("x"), Error);
  EXPECT_THROW(throw UsageError("x"), Error);
  EXPECT_THROW(throw DeviceError("x"), Error);
  EXPECT_THROW(throw FileError("x"), Error);
}

}  // namespace
}  // namespace pila
