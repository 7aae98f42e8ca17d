#include "layers/blocks/inverted_residual.h"

#include "engine/autograd/recompute.h"
#include "engine/ops/op.h"
#include "layers/mixed_precision.h"
#include "layers/normalized_convolution.h"

namespace pila {

InvertedResidual::Expand::Expand(Initializer& init, const InvertedResidualSpec& spec)
    : conv(init, spec.prefix + "expand", spec.in_channels, spec.expanded_channels(), {.kernel = 1}),
      bn(init, spec.prefix + "expand_BN", spec.expanded_channels(), spec.epsilon, spec.momentum),
      relu(spec.prefix + "expand_relu", Activation::relu6) {}

InvertedResidual::InvertedResidual(Initializer& init, const InvertedResidualSpec& spec)
    : channels_(spec.out_channels),
      expand_(spec.expansion == 1 ? std::nullopt : std::optional<Expand>(std::in_place, init, spec)),
      pad_(spec.stride == 1
               ? std::nullopt
               : std::optional<ZeroPadding2D>(std::in_place, spec.prefix + "pad",
                                              Borders::before_stride_2(spec.in_height, spec.in_width, 3))),
      depthwise_(init, spec.prefix + "depthwise", spec.expanded_channels(),
                 {.kernel = 3, .stride = spec.stride, .padding = ops::Padding::same}),
      depthwise_bn_(init, spec.prefix + "depthwise_BN", spec.expanded_channels(), spec.epsilon,
                    spec.momentum),
      depthwise_relu_(spec.prefix + "depthwise_relu", Activation::relu6),
      project_(init, spec.prefix + "project", spec.expanded_channels(), spec.out_channels, {.kernel = 1}),
      project_bn_(init, spec.prefix + "project_BN", spec.out_channels, spec.epsilon, spec.momentum) {
  if (spec.stride == 1 && spec.in_channels == spec.out_channels) add_.emplace(spec.prefix + "add");
  layers_ = {expand_ ? &expand_->conv : nullptr,
             expand_ ? &expand_->bn : nullptr,
             expand_ ? &expand_->relu : nullptr,
             pad_ ? &*pad_ : nullptr,
             &depthwise_,
             &depthwise_bn_,
             &depthwise_relu_,
             &project_,
             &project_bn_,
             add_ ? &*add_ : nullptr};
  std::erase(layers_, nullptr);
}

Tensor InvertedResidual::forward(const Context& ctx, const Tensor& x) const {
  if (!is_followed(ctx, x)) {
    if (const Tensor y = compute_as_one(ctx, x)) return y;
  }
  if (!ctx.recomputes()) return compute(ctx, x);
  std::vector<Tensor> inputs = {x};
  for (const Layer* layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) {
      if (parameter.learns) inputs.push_back(parameter.value);
    }
  }
  return recomputed(ctx, inputs, [this](const Context& run, std::span<const Tensor> given) {
    return compute(run, given[0]);
  });
}

// Whether a gradient of anything in the block is asked for.
bool InvertedResidual::is_followed(const Context& ctx, const Tensor& x) const {
  if (ctx.recorder() == nullptr) return false;
  if (ctx.recorder()->follows(x)) return true;
  for (const Layer* layer : layers_) {
    for (const Parameter& parameter : layer->parameters()) {
      if (ctx.recorder()->follows(parameter.value)) return true;
    }
  }
  return false;
}

Tensor InvertedResidual::compute(const Context& ctx, const Tensor& x) const {
  const bool by_readers =
      (!expand_ || expand_->bn.may_leave_to_reader(ctx)) && depthwise_bn_.may_leave_to_reader(ctx);
  if (by_readers) return compute_by_readers(ctx, x);
  Tensor y = x;
  if (expand_) y = convolve_normalized(ctx, expand_->conv, expand_->bn, y, expand_->relu.kind());
  y = convolve_normalized(ctx, depthwise_, depthwise_bn_, y, depthwise_relu_.kind());
  return convolve_normalized(ctx, project_, project_bn_, y, Activation::none, add_ ? x : Tensor());
}

// The wide tensors lie in memory once, as convolutions write them.
Tensor InvertedResidual::compute_by_readers(const Context& ctx, const Tensor& x) const {
  Tensor y;
  if (expand_) {
    y = expand_->conv.forward(ctx, x);
    const auto wide = expand_->bn.leave_to_reader(ctx, y, expand_->relu.kind());
    y = ops::depthwise_conv2d(ctx, wide, rounded_for(ctx, depthwise_.kernel(), x), depthwise_.options());
  } else {
    y = depthwise_.forward(ctx, x);
  }
  const auto filtered = depthwise_bn_.leave_to_reader(ctx, y, depthwise_relu_.kind());
  y = ops::pointwise_conv2d(ctx, filtered, rounded_for(ctx, project_.kernel(), x));
  y = project_bn_.forward(ctx, y);
  return add_ ? ops::add(ctx, y, x) : y;
}

// In one pass, its wide inside kept out of memory; undefined where that is not possible.
Tensor InvertedResidual::compute_as_one(const Context& ctx, const Tensor& x) const {
  const bool all_fold = (!expand_ || folds(ctx, expand_->conv, expand_->bn)) &&
                        folds(ctx, depthwise_, depthwise_bn_) && folds(ctx, project_, project_bn_);
  if (!all_fold) return {};
  const auto step = [&](const Convolution& conv, const BatchNormalization& norm, Activation activation) {
    const ops::FoldedWeights folded = norm.folded(ctx, conv.kernel());
    return ops::InvertedResidualWeights::Step{rounded_for(ctx, folded.kernel, x), folded.bias, activation};
  };
  ops::InvertedResidualWeights weights;
  if (expand_) weights.expand = step(expand_->conv, expand_->bn, expand_->relu.kind());
  weights.depthwise = step(depthwise_, depthwise_bn_, depthwise_relu_.kind());
  weights.project = step(project_, project_bn_, Activation::none);
  return ops::inverted_residual(ctx, x, weights, depthwise_.options(), add_ ? x : Tensor());
}

const std::string& InvertedResidual::name() const { return add_ ? add_->name() : project_bn_.name(); }

}  // namespace pila
