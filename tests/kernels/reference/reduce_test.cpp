#include "kernels/args/reduce.h"

#include <gtest/gtest.h>

#include <cmath>

#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::kernels::reduce_test {
namespace {

using test::close_by_norm;
using test::GuardedBuffer;
using test::inner_product;
using test::run_entry;
using test::uniform_data;
using test::Written;

template <class T>
void check(std::size_t outer, std::size_t reduced, std::size_t inner, ReduceKind kind) {
  SCOPED_TRACE(testing::Message() << outer << "x" << reduced << "x" << inner);
  const GuardedBuffer<T> x(uniform_data<T>(outer * reduced * inner, 1)),
      dy(uniform_data<T>(outer * inner, 2));
  GuardedBuffer<T> y(outer * inner), dx(x.size());
  Reduce reduce{sizeof(T) == 8 ? DType::f64 : DType::f32,
                kind,
                static_cast<std::int64_t>(outer),
                static_cast<std::int64_t>(reduced),
                static_cast<std::int64_t>(inner),
                x.data(),
                y.data()};
  run_entry(reference::table(), reduce);
  EXPECT_TRUE(y.check(Written::all));
  const double factor = kind == ReduceKind::mean ? 1 / static_cast<double>(reduced) : 1;
  std::vector<double> expected(y.size());
  for (std::size_t i = 0; i < x.size(); ++i)
    expected[i / (reduced * inner) * inner + i % inner] += x[i] * factor;
  const double tolerance = sizeof(T) == 8 ? 1e-14 : 6e-8;  // sums of at most 70 terms; one rounding
  EXPECT_TRUE(close_by_norm(y, expected, tolerance));

  const Repeat repeat{reduce.type, reduce.outer, reduce.reduced, reduce.inner, factor, dy.data(), dx.data()};
  run_entry(reference::table(), repeat);
  EXPECT_TRUE(dx.check(Written::all));
  for (std::size_t i = 0; i < dx.size(); ++i) {
    ASSERT_EQ(dx[i], static_cast<T>(dy[i / (reduced * inner) * inner + i % inner] * factor));
  }
  EXPECT_NEAR(inner_product(dy, y), inner_product(dx, x), 100 * tolerance * std::sqrt(x.size()));
}

TEST(ReferenceReduce, AgreesWithTheDefinitionAndRepeatIsItsTranspose) {
  for (const auto kind : {ReduceKind::sum, ReduceKind::mean}) {
    const std::size_t sizes[][3] = {{1, 1, 1}, {3, 49, 130}, {5, 7, 1}, {1, 70, 65}, {4, 1, 3}};
    for (const auto& [outer, reduced, inner] : sizes) {
      check<double>(outer, reduced, inner, kind);
      check<float>(outer, reduced, inner, kind);
    }
  }
}

TEST(ReferenceReduce, SmallTermsBesideLargeOnesAreNotLost) {
  std::vector<float> x(1001, 1.0f);
  x[0] = 16777216.0f;  // in float32, adding 1 to it changes nothing
  GuardedBuffer<float> y(1);
  run_entry(reference::table(), Reduce{DType::f32, ReduceKind::sum, 1, 1001, 1, x.data(), y.data()});
  EXPECT_EQ(y[0], 16778216.0f);
}

TEST(ReferenceReduce, SumOfNothingIsZeroAndItsMeanNaN) {
  GuardedBuffer<float> y(2);
  run_entry(reference::table(), Reduce{DType::f32, ReduceKind::sum, 1, 0, 2, nullptr, y.data()});
  EXPECT_EQ(y.values(), (std::vector<float>{0, 0}));
  run_entry(reference::table(), Reduce{DType::f32, ReduceKind::mean, 1, 0, 2, nullptr, y.data()});
  EXPECT_TRUE(std::isnan(y[0]) && std::isnan(y[1]));
  run_entry(reference::table(), Reduce{DType::f32, ReduceKind::sum, 0, 3, 2, nullptr, nullptr});
  run_entry(reference::table(), Repeat{DType::f32, 0, 3, 2, 1, nullptr, nullptr});
}

}  // namespace
}  // namespace pila::kernels::reduce_test
