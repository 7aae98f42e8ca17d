#include "engine/ops/shared_norm.h"

#include <array>

#include "engine/ops/support.h"
#include "engine/parallel/communicator.h"

namespace pila::ops {
namespace {

// Of several small tensors at once.
class SumOverRanks : public Op {
 public:
  std::string_view name() const override { return "sum_over_ranks"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {inputs.begin(), inputs.end()};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    std::int64_t elements = 0;
    for (const Tensor& input : inputs) elements += input.shape().elements();
    const Tensor all = Tensor::empty(ctx, {{elements}, DType::f32});
    std::size_t end = 0;
    const auto next = [&](const TensorSpec& spec) {
      const std::size_t begin = end;
      end += spec.bytes();
      return all.within(begin, spec);
    };
    for (const Tensor& input : inputs) next(input.spec()).assign(ctx, input);
    ctx.ranks().sum(ctx, all);
    end = 0;
    for (const Tensor& output : outputs) output.assign(ctx, next(output.spec()));
  }

  std::vector<Tensor> backward(const Context&, const BackwardArgs&) const override {
    throw_no_gradient(name(), "of a sum over ranks");
  }
};

// A rank's rows, then the means, then the variances of its channels.
std::vector<double> moments_of(const Context& ctx, double rows, const Tensor& mean, const Tensor& variance) {
  std::vector<double> moments = {rows};
  for (const Tensor& tensor : {mean, variance}) {
    const auto values = tensor.to_vector<float>(ctx);
    moments.insert(moments.end(), values.begin(), values.end());
  }
  return moments;
}

// Those of all ranks' rows together, from theirs one after the other (Chan's formula).
std::vector<double> combine(const std::vector<double>& all, std::size_t each) {
  const std::size_t channels = (each - 1) / 2;
  std::vector<double> total(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(each));
  for (std::size_t other = each; other < all.size(); other += each) {
    const double before = total[0], more = all[other], rows = before + more;
    for (std::size_t c = 1; c <= channels; ++c) {
      double &mean = total[c], &variance = total[channels + c];
      const double apart = all[other + c] - mean;
      mean += apart * more / rows;
      variance = (variance * before + all[other + channels + c] * more) / rows +
                 apart * apart * (before / rows) * (more / rows);
    }
    total[0] = rows;
  }
  return total;
}

class SharedBatchNorm : public Op {
 public:
  SharedBatchNorm(double epsilon, Activation activation, std::int64_t total)
      : attributes_{epsilon, activation}, total_(total) {}
  std::string_view name() const override { return "shared_batch_norm"; }

  std::vector<TensorSpec> infer(std::span<const TensorSpec> inputs) const override {
    return {inputs[0], inputs[1], inputs[1]};
  }

  void run(const Context& ctx, std::span<const Tensor> inputs,
           std::span<const Tensor> outputs) const override {
    const Tensor &x = inputs[0], &gamma = inputs[1], &beta = inputs[2];
    const Context own = ctx.no_grad().with_share({});
    const BatchNormResult part = batch_norm_training(own, x, gamma, beta, attributes_.epsilon);
    const auto rows = static_cast<double>(x.shape().elements() / x.shape()[-1]);
    const std::vector<double> mine = moments_of(ctx, rows, part.mean, part.variance);
    const std::vector<double> moments = combine(ctx.ranks().gather_values(std::span(mine)), mine.size());
    const std::vector<float> rounded(moments.begin() + 1, moments.end());
    const auto channels = static_cast<std::size_t>(gamma.shape().elements());
    outputs[1].assign(ctx, std::span(rounded).first(channels));
    outputs[2].assign(ctx, std::span(rounded).subspan(channels));
    const std::array<Tensor, 5> normalise = {x, gamma, beta, outputs[1], outputs[2]};
    make_op(attributes_)->run(own, normalise, outputs.first(1));
  }

  Saved saved(std::span<const bool>) const override { return {7, 6}; }

  // By given statistics, dx would be gamma / deviation * dy. What the statistics' dependence on x takes away
  // from dy is mean(dy) + normalised x * mean(dy * normalised x), over the rows of all ranks; those sums are
  // beta's and gamma's gradients.
  std::vector<Tensor> backward(const Context& ctx, const BackwardArgs& args) const override {
    if (args.output_gradients[1] || args.output_gradients[2]) {
      throw_no_gradient(name(), "of the batch's statistics");
    }
    const Tensor &x = args.inputs[0], &mean = args.outputs[1], &variance = args.outputs[2];
    const std::array<Tensor, 5> inputs = {x, args.inputs[1], args.inputs[2], mean, variance};
    const auto by_given_statistics = [&](Activation activation, const Tensor& dy, bool all) {
      const std::array<bool, 5> wanted = {args.wanted[0], all, all, false, false};
      return make_op(BatchNormAttributes{attributes_.epsilon, activation})
          ->backward(ctx, {inputs, {}, {&dy, 1}, wanted});
    };
    std::vector<Tensor> gradients =
        by_given_statistics(attributes_.activation, args.output_gradients[0], true);
    gradients.resize(3);
    const auto sums = apply_new<SumOverRanks>(ctx, {gradients[1], gradients[2]});
    for (std::size_t i = 1; i < 3; ++i) {
      if (!args.wanted[i]) gradients[i] = {};
    }
    if (!args.wanted[0]) return gradients;
    const auto rows = static_cast<double>(x.shape().elements() / x.shape()[-1] / x.shape()[0] * total_);
    const Tensor taken =
        batch_norm_inference(ctx, x, affine(ctx, sums[0], 1 / rows), affine(ctx, sums[1], 1 / rows), mean,
                             variance, attributes_.epsilon);
    gradients[0] = subtract(ctx, gradients[0], by_given_statistics(Activation::none, taken, false)[0]);
    return gradients;
  }

 private:
  BatchNormAttributes attributes_;
  std::int64_t total_;  // samples of all ranks
};

}  // namespace

BatchNormResult shared_batch_norm(const Context& ctx, const Tensor& x, const Tensor& gamma,
                                  const Tensor& beta, double epsilon, Activation activation) {
  auto outputs = apply_new<SharedBatchNorm>(ctx, {x, gamma, beta}, epsilon, activation, ctx.share().total);
  return {std::move(outputs[0]), std::move(outputs[1]), std::move(outputs[2])};
}

}  // namespace pila::ops
