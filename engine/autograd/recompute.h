// Computes a part of a network again on the way back, instead of keeping what was computed inside.
#pragma once

#include <functional>
#include <span>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila {

// A part of a network: one output from inputs, by operations.
using Segment = std::function<Tensor(const Context& ctx, std::span<const Tensor> inputs)>;

// The segment's output, of which a tape keeps the inputs alone; its way back runs the segment once more and
// walks that back (gradient checkpointing: Chen et al., "Training deep nets with sublinear memory cost",
// 2016). Values and gradients have the same bits as the segment's own. Traced, it is the segment itself.
//
// `inputs` are all that the segment reads of which a gradient may be asked, 32 at most (UsageError); it may
// also read them past its argument, as layers read their parameters. What it refers to outlives the tape. A
// repetition draws the same random numbers, and is told by ctx.repeats() to overwrite nothing; ranks that
// share a batch exchange in it what they exchanged before, so all of them recompute, or none.
Tensor recomputed(const Context& ctx, std::span<const Tensor> inputs, const Segment& segment);

}  // namespace pila
