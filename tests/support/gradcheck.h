// Holds the tape's gradients against central differences, in float64 on the reference kernels.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "engine/autograd/tape.h"
#include "engine/core/context.h"
#include "engine/ops/ops.h"
#include "tests/support/compare.h"
#include "tests/support/finite_differences.h"
#include "tests/support/random_data.h"

namespace pila::test {

// Some tensors to another one, by ops:: functions only.
using Function = std::function<Tensor(const Context&, std::span<const Tensor>)>;

inline Context reference_context() { return Context(Device::reference()); }

// Uniform values in [low, high).
inline Tensor random_tensor(const Context& ctx, const Shape& shape, std::uint64_t seed, double low = -1,
                            double high = 1) {
  return Tensor::from(ctx, shape,
                      uniform_data<double>(static_cast<std::size_t>(shape.elements()), seed, low, high));
}

// The sum of f's output, weighted at random so that no two elements of the gradient can stand in for each
// other.
inline Tensor projection(const Context& ctx, const Function& f, std::span<const Tensor> inputs) {
  const Tensor y = f(ctx, inputs);
  return ops::sum(ctx, ops::multiply(ctx, y, random_tensor(ctx, y.shape(), 4711, 0.5, 1.5)));
}

// The gradients of the projection by the given inputs.
inline std::vector<Tensor> tape_gradients(const Context& ctx, const Function& f,
                                          std::span<const Tensor> inputs, std::span<const Tensor> watched) {
  Tape tape(ctx.recorder());
  for (const Tensor& tensor : watched) tape.watch(tensor);
  const Context recorded = ctx.with_recorder(&tape);
  const Gradients gradients = tape.backward(recorded, projection(recorded, f, inputs));
  std::vector<Tensor> result;
  for (const Tensor& tensor : watched) result.push_back(gradients.of(tensor));
  return result;
}

// Checks the gradient of f by every float64 input against central differences, and that an input's gradient
// has the same bits when it is the only one asked for. Values stay away from kinks by more than `step`.
// Central differences of smooth functions of size 1 are good to about step^2 + 1e-16 / step = 1e-10 in
// float64; the default tolerance, relative to the gradient's norm, leaves room for curvature and longer sums.
inline void check_gradients(const Context& ctx, const Function& f, std::vector<Tensor> inputs,
                            double tolerance = 1e-7, double step = 1e-5) {
  std::vector<Tensor> watched;
  for (const Tensor& input : inputs) {
    if (input.type() == DType::f64) watched.push_back(input);
  }
  const std::vector<Tensor> gradients = tape_gradients(ctx, f, inputs, watched);
  for (std::size_t i = 0; i < watched.size(); ++i) {
    SCOPED_TRACE(testing::Message() << "gradient of input " << i << ", " << watched[i].spec().to_string());
    ASSERT_TRUE(gradients[i].defined());
    ASSERT_EQ(gradients[i].spec(), watched[i].spec());
    const std::vector<double> by_tape = gradients[i].to_vector<double>(ctx);

    std::vector<double> values = watched[i].to_vector<double>(ctx);
    const auto by_differences = numerical_gradient(
        values,
        [&] {
          watched[i].assign<double>(ctx, values);
          return projection(ctx, f, inputs).item<double>(ctx);
        },
        step);
    watched[i].assign<double>(ctx, values);
    EXPECT_TRUE(close_by_norm(by_tape, by_differences, tolerance));

    const std::vector<Tensor> alone = tape_gradients(ctx, f, inputs, {&watched[i], 1});
    ASSERT_TRUE(alone[0].defined());
    EXPECT_TRUE(same_bits(alone[0].to_vector<double>(ctx), by_tape));
  }
}

inline void check_gradients(const Function& f,
                            const std::function<std::vector<Tensor>(const Context&)>& inputs,
                            double tolerance = 1e-7) {
  const Context ctx = reference_context();
  check_gradients(ctx, f, inputs(ctx), tolerance);
}

// Checks second derivatives: those of the squared norm of f's gradients, first by the tape, then by central
// differences of the tape's gradient.
inline void check_second_gradients(const Context& ctx, const Function& f, std::vector<Tensor> inputs,
                                   double tolerance = 1e-7) {
  const Function squared_norm = [&f](const Context& run, std::span<const Tensor> values) {
    Tensor total;
    for (const Tensor& gradient : tape_gradients(run, f, values, values)) {
      const Tensor square = ops::sum(run, ops::multiply(run, gradient, gradient));
      total = total ? ops::add(run, total, square) : square;
    }
    return total;
  };
  check_gradients(ctx, squared_norm, std::move(inputs), tolerance);
}

}  // namespace pila::test
