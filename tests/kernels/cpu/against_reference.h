// Runs an operation's fast kernel as the engine may, and the reference's beside it.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstddef>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/cpu/thread_pool.h"
#include "kernels/reference/reference.h"
#include "tests/support/compare.h"
#include "tests/support/guarded_buffer.h"
#include "tests/support/random_data.h"
#include "tests/support/run_kernel.h"

namespace pila::test {

// Around the vectors' widths, and around the length from which the threads share the work.
constexpr std::array<std::int64_t, 10> kLengths = {0, 1, 7, 15, 16, 17, 1000, 16384, 16385, 100003};

// Streams of 1, 2 and 5 threads.
inline std::array<kernels::cpu::CpuStream, 3>& streams() {
  static std::array<kernels::cpu::CpuStream, 3> instance{
      kernels::cpu::CpuStream(1), kernels::cpu::CpuStream(2), kernels::cpu::CpuStream(5)};
  return instance;
}

// What the named kernel writes to `output`, `count` elements of T: the same bits at any number of threads,
// and nothing beside them.
template <class T, class Args>
std::vector<T> run_fast(Args args, const char* name, void* Args::*output, std::size_t count) {
  std::vector<T> first;
  for (auto& stream : streams()) {
    GuardedBuffer<T> y(count);
    args.*output = y.data();
    run_entry(kernels::cpu::table(), args, stream, name);
    EXPECT_TRUE(y.check());
    if (&stream == &streams().front()) {
      first = y.values();
    } else {
      EXPECT_TRUE(same_bits(y.values(), first)) << stream.pool.threads() << " threads";
    }
  }
  return first;
}

template <class T, class Args>
std::vector<T> run_reference(Args args, void* Args::*output, std::size_t count) {
  GuardedBuffer<T> y(count);
  args.*output = y.data();
  run_entry(kernels::reference::table(), args);
  return y.values();
}

// NaN where NaN is expected, and the same infinities; finite numbers may differ.
inline testing::AssertionResult same_specials(const std::vector<float>& actual,
                                              const std::vector<float>& expected) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const bool agree = std::isfinite(expected[i]) ? std::isfinite(actual[i])
                       : std::isnan(expected[i])  ? std::isnan(actual[i])
                                                  : actual[i] == expected[i];
    if (!agree) {
      return testing::AssertionFailure()
             << "element " << i << " is " << actual[i] << ", expected " << expected[i];
    }
  }
  return testing::AssertionSuccess();
}

}  // namespace pila::test
