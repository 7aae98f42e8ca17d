#include "layers/blocks/inverted_residual.h"

#include "engine/autograd/recompute.h"

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

Tensor InvertedResidual::compute(const Context& ctx, const Tensor& x) const {
  Tensor y = x;
  if (expand_) {
    y = expand_->conv.forward(ctx, y);
    y = expand_->bn.forward(ctx, y, expand_->relu.kind());
  }
  y = depthwise_.forward(ctx, y);
  y = depthwise_bn_.forward(ctx, y, depthwise_relu_.kind());
  y = project_.forward(ctx, y);
  y = project_bn_.forward(ctx, y);
  return add_ ? add_->forward(ctx, x, y) : y;
}

const std::string& InvertedResidual::name() const { return add_ ? add_->name() : project_bn_.name(); }

}  // namespace pila
