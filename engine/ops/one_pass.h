// All gradients of a product or depthwise convolution by one kernel, which reads what they share once.
#pragma once

#include <array>

#include "engine/ops/op.h"
#include "engine/ops/support.h"

namespace pila::ops {

// What the way back reads. y: the output, undefined where the activation is none; scaling: of the prologue of
// x, or undefined.
struct ForGradients {
  Tensor x, w, y, dy, scaling;
};
struct WantedGradients {
  bool x, w, bias;
};

// Of x, w and bias; undefined where not wanted. None at all where the device has no kernel for it, where x's
// and w's are not both wanted, or where a recorder would ask for a second derivative: gradients then are
// operations of their own. args: all but addresses.
std::array<Tensor, 3> one_pass_gradients(const Context& ctx, const kernels::MatmulGradients& args,
                                         const ForGradients& from, const WantedGradients& wanted);
std::array<Tensor, 3> one_pass_gradients(const Context& ctx, const kernels::DepthwiseGradients& args,
                                         const ForGradients& from, const WantedGradients& wanted);

// For an operation on x, w and perhaps a bias: sets the wanted ones of their gradients. False where it does
// not.
template <class Args>
bool one_pass_gradients(const Context& ctx, const Args& pass, const BackwardArgs& args, bool bias,
                        std::vector<Tensor>& gradients) {
  const WantedGradients wanted{args.wanted[0], args.wanted[1], bias && args.wanted[2]};
  const std::array<Tensor, 3> made = one_pass_gradients(
      ctx, pass, {args.inputs[0], args.inputs[1], args.outputs[0], args.output_gradients[0], {}}, wanted);
  for (std::size_t i = 0; i < 3; ++i) {
    if (made[i]) gradients[i] = made[i];
  }
  return made[0] || made[1] || made[2];
}

}  // namespace pila::ops
