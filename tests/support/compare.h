// How far two tensors' values lie apart, and predicates that say so. NaN never passes.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <cstring>
#include <limits>
#include <sstream>
#include <type_traits>

namespace pila::test {

// Two sequences of equal length, of any arithmetic types, element by element.
struct Difference {
  double norm_of_difference = 0;  // Euclidean
  double norm_of_expected = 0;
  double largest = 0;          // |actual - expected|
  std::size_t largest_at = 0;  // where; the first NaN, if there is one
  double actual_there = 0, expected_there = 0;
  bool nan = false;

  // ||actual - expected|| / ||expected||; the plain norm of the difference where nothing but zeros is
  // expected.
  double relative() const {
    if (nan) return std::numeric_limits<double>::infinity();
    return norm_of_expected > 0 ? norm_of_difference / norm_of_expected : norm_of_difference;
  }
};

template <class Actual, class Expected>
Difference difference(const Actual& actual, const Expected& expected) {
  Difference result;
  double sum_of_squares = 0, expected_squares = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const auto a = static_cast<double>(actual[i]), e = static_cast<double>(expected[i]);
    const double apart = a == e ? 0 : std::abs(a - e);  // equal infinities agree
    result.nan = std::isnan(apart);
    if (result.nan || apart > result.largest) {
      result.largest = result.nan ? std::numeric_limits<double>::infinity() : apart;
      result.largest_at = i;
      result.actual_there = a;
      result.expected_there = e;
    }
    if (result.nan) break;
    sum_of_squares += apart * apart;
    expected_squares += e * e;
  }
  result.norm_of_difference = std::sqrt(sum_of_squares);
  result.norm_of_expected = std::sqrt(expected_squares);
  return result;
}

template <class Actual, class Expected>
double relative_error(const Actual& actual, const Expected& expected) {
  return difference(actual, expected).relative();
}

template <class Actual, class Expected>
double max_abs_error(const Actual& actual, const Expected& expected) {
  return difference(actual, expected).largest;
}

namespace detail {

inline testing::AssertionResult verdict(const Difference& found, const char* measure, double error,
                                        double tolerance) {
  if (error <= tolerance && !found.nan) return testing::AssertionSuccess();
  std::ostringstream text;
  text.precision(9);
  text << measure << " error " << error << " exceeds " << tolerance << "; element " << found.largest_at
       << " is " << found.actual_there << ", expected " << found.expected_there;
  return testing::AssertionFailure() << text.str();
}

template <class Actual, class Expected>
testing::AssertionResult same_size(const Actual& actual, const Expected& expected) {
  if (actual.size() == expected.size()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << actual.size() << " elements, expected " << expected.size();
}

}  // namespace detail

// EXPECT_TRUE(close_by_norm(y, expected, 1e-6)): ||y - expected|| / ||expected|| is at most the tolerance.
template <class Actual, class Expected>
testing::AssertionResult close_by_norm(const Actual& actual, const Expected& expected, double tolerance) {
  if (auto sizes = detail::same_size(actual, expected); !sizes) return sizes;
  const auto found = difference(actual, expected);
  return detail::verdict(found, "relative", found.relative(), tolerance);
}

// Every |y[i] - expected[i]| is at most the tolerance.
template <class Actual, class Expected>
testing::AssertionResult close_each(const Actual& actual, const Expected& expected, double tolerance) {
  if (auto sizes = detail::same_size(actual, expected); !sizes) return sizes;
  const auto found = difference(actual, expected);
  return detail::verdict(found, "absolute", found.largest, tolerance);
}

// Two sequences of one type, bit by bit (NaN equals itself, -0 differs from 0).
template <class Actual, class Expected>
testing::AssertionResult same_bits(const Actual& actual, const Expected& expected) {
  using T = std::remove_cvref_t<decltype(actual[0])>;
  static_assert(std::is_same_v<T, std::remove_cvref_t<decltype(expected[0])>>);
  if (auto sizes = detail::same_size(actual, expected); !sizes) return sizes;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (std::memcmp(&actual[i], &expected[i], sizeof(T)) != 0) {
      return testing::AssertionFailure() << "element " << i << " is " << testing::PrintToString(actual[i])
                                         << ", expected exactly " << testing::PrintToString(expected[i]);
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace pila::test
