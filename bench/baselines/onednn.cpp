// oneDNN 2 on the processor: convolutions, inner products and matrix products over NHWC images.
#include <omp.h>

#include <oneapi/dnnl/dnnl.hpp>
#include <optional>

#include "bench/baselines/library.h"
#include "engine/core/error.h"

namespace pila::bench {
namespace {

using dnnl::memory;
using Tag = memory::format_tag;

memory::desc described(const memory::dims& dims, Tag tag) { return {dims, memory::data_type::f32, tag}; }

// A primitive with its memory.
class OneDnnCall : public Call {
 public:
  struct Argument {
    int index = 0;  // DNNL_ARG_...
    memory given;   // as Operands has it
    memory::desc wanted;
    bool written = false;
  };

  OneDnnCall(dnnl::stream stream, const dnnl::primitive& primitive, std::string name,
             const std::vector<Argument>& arguments, const Tensor& added_to)
      : stream_(std::move(stream)), primitive_(primitive), name_(std::move(name)), residual_(added_to) {
    for (const Argument& argument : arguments) {
      memory there = argument.given;
      if (argument.wanted != argument.given.get_desc()) {
        there = memory(argument.wanted, argument.given.get_engine());
        if (argument.written) {
          reordered_.emplace(there, argument.given);
        } else {
          memory from = argument.given;
          dnnl::reorder(from, there).execute(stream_, from, there);
          stream_.wait();
        }
      }
      if (argument.written) output_ = argument.given;
      arguments_.emplace(argument.index, there);
    }
  }
  std::string name() const override { return name_; }
  void run() override {
    try {
      primitive_.execute(stream_, arguments_);
      stream_.wait();
    } catch (const dnnl::error& error) {
      throw Error("[oneDNN] " + name_ + ": " + error.what());
    }
  }
  void deliver() override {
    if (residual_) {
      const auto* from = residual_.data_as<float>();
      std::copy(from, from + residual_.shape().elements(), static_cast<float*>(output_.get_data_handle()));
    }
    run();
    if (reordered_) {
      auto& [from, to] = *reordered_;
      dnnl::reorder(from, to).execute(stream_, from, to);
      stream_.wait();
    }
  }

 private:
  dnnl::stream stream_;
  dnnl::primitive primitive_;
  std::string name_;
  std::unordered_map<int, memory> arguments_;
  memory output_;                                       // as Operands has it
  std::optional<std::pair<memory, memory>> reordered_;  // the output, from the library's layout
  Tensor residual_;                                     // what the output holds before a run that adds to it
};

// How a residual is added.
enum class Sum { none, in_place, from_elsewhere };

// One layer's descriptions, in the library's order of extents whatever the layout.
class Layer {
 public:
  Layer(const dnnl::engine& engine, const Problem& problem, const Operands& operands)
      : engine_(engine), problem_(problem), operands_(operands) {}

  dnnl::primitive_attr epilogue(Sum sum, const memory::desc& y) const {
    if (problem_.direction != Direction::forward) return {};
    dnnl::post_ops steps;
    if (problem_.layer.relu6) steps.append_eltwise(1, dnnl::algorithm::eltwise_clip, 0, 6);
    if (sum == Sum::in_place) steps.append_sum();
    if (sum == Sum::from_elsewhere) steps.append_binary(dnnl::algorithm::binary_add, y);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(steps);
    return attributes;
  }

  memory given(const memory::dims& dims, Tag tag, const Tensor& tensor) const {
    return {described(dims, tag), engine_, tensor.data()};
  }

  // Forward arguments but x and w.
  void add_epilogue(std::vector<OneDnnCall::Argument>& arguments, Sum sum, const memory& y,
                    const memory::dims& bias) const {
    const memory there = given(bias, bias.size() == 1 ? Tag::a : Tag::ab, operands_.bias);
    arguments.push_back({DNNL_ARG_BIAS, there, there.get_desc()});
    if (sum == Sum::from_elsewhere) {
      const int step = problem_.layer.relu6 ? 1 : 0;
      arguments.push_back({DNNL_ARG_ATTR_MULTIPLE_POST_OP(step) | DNNL_ARG_SRC_1,
                           {y.get_desc(), engine_, operands_.residual.data()},
                           y.get_desc()});
    }
  }

  template <class Description>
  std::unique_ptr<Call> call(const dnnl::stream& stream, const Description& description,
                             const dnnl::primitive& primitive, const char* kind,
                             const std::vector<OneDnnCall::Argument>& arguments, Sum sum) const {
    return std::make_unique<OneDnnCall>(stream, primitive,
                                        std::string(kind) + " " + description.impl_info_str(), arguments,
                                        sum == Sum::in_place ? operands_.residual : Tensor());
  }

  const dnnl::engine& engine() const { return engine_; }
  const Problem& problem() const { return problem_; }
  const Operands& operands() const { return operands_; }

 private:
  const dnnl::engine& engine_;
  const Problem& problem_;
  const Operands& operands_;
};

std::unique_ptr<Call> convolution(const Layer& layer, const dnnl::stream& stream, Sum sum) {
  const auto [shape, direction, batch, type, padding] = layer.problem();
  const bool depthwise = shape.kind == LayerKind::depthwise;
  const auto window = conv_shape(shape, batch, padding).window;
  const memory::dim after =
      (shape.out_size - 1) * shape.stride + shape.kernel - shape.in_size - window.pad_top;
  const memory::dims strides = {shape.stride, shape.stride}, before = {window.pad_top, window.pad_left},
                     behind = {after, after};
  const memory x =
      layer.given({batch, shape.in_channels, shape.in_size, shape.in_size}, Tag::nhwc, layer.operands().x);
  const memory y =
      layer.given({batch, shape.out_channels, shape.out_size, shape.out_size}, Tag::nhwc, layer.operands().y);
  const memory w =
      depthwise
          ? layer.given({shape.in_channels, 1, 1, shape.kernel, shape.kernel}, Tag::hwigo, layer.operands().w)
          : layer.given({shape.out_channels, shape.in_channels, shape.kernel, shape.kernel}, Tag::hwio,
                        layer.operands().w);
  const memory::desc any = described(w.get_desc().dims(), Tag::any),
                     bias = described({shape.out_channels}, Tag::a);
  constexpr auto kDirect = dnnl::algorithm::convolution_direct;
  using Forward = dnnl::convolution_forward;
  if (direction == Direction::forward) {
    const Forward::desc wanted(dnnl::prop_kind::forward_inference, kDirect, x.get_desc(), any, bias,
                               y.get_desc(), strides, before, behind);
    const Forward::primitive_desc chosen(wanted, layer.epilogue(sum, y.get_desc()), layer.engine());
    std::vector<OneDnnCall::Argument> arguments = {{DNNL_ARG_SRC, x, chosen.src_desc()},
                                                   {DNNL_ARG_WEIGHTS, w, chosen.weights_desc()},
                                                   {DNNL_ARG_DST, y, chosen.dst_desc(), true}};
    layer.add_epilogue(arguments, sum, y, {shape.out_channels});
    return layer.call(stream, chosen, Forward(chosen), "convolution", arguments, sum);
  }
  const Forward::primitive_desc hint({dnnl::prop_kind::forward_training, kDirect, x.get_desc(), any, bias,
                                      y.get_desc(), strides, before, behind},
                                     layer.engine());
  if (direction == Direction::data_gradient) {
    using Backward = dnnl::convolution_backward_data;
    const Backward::primitive_desc chosen({kDirect, x.get_desc(), any, y.get_desc(), strides, before, behind},
                                          layer.engine(), hint);
    return layer.call(stream, chosen, Backward(chosen), "convolution",
                      {{DNNL_ARG_DIFF_DST, y, chosen.diff_dst_desc()},
                       {DNNL_ARG_WEIGHTS, w, chosen.weights_desc()},
                       {DNNL_ARG_DIFF_SRC, x, chosen.diff_src_desc(), true}},
                      sum);
  }
  using Backward = dnnl::convolution_backward_weights;
  const Backward::primitive_desc chosen({kDirect, x.get_desc(), any, y.get_desc(), strides, before, behind},
                                        layer.engine(), hint);
  return layer.call(stream, chosen, Backward(chosen), "convolution",
                    {{DNNL_ARG_DIFF_DST, y, chosen.diff_dst_desc()},
                     {DNNL_ARG_SRC, x, chosen.src_desc()},
                     {DNNL_ARG_DIFF_WEIGHTS, w, chosen.diff_weights_desc(), true}},
                    sum);
}

// Of a pointwise or dense layer. Its weights may take the library's layout where they are an input.
std::unique_ptr<Call> product(const Layer& layer, const dnnl::stream& stream, Sum sum) {
  using Matmul = dnnl::matmul;
  const auto [shape, direction, batch, type, padding] = layer.problem();
  const Operands& operands = layer.operands();
  const memory::dim rows = batch * shape.out_size * shape.out_size, in = shape.in_channels,
                    out = shape.out_channels;
  std::vector<OneDnnCall::Argument> arguments;
  const auto choose = [&](const memory& a, const memory& b, const memory::desc& wanted_b, const memory& c,
                          const memory::desc& bias) {
    const Matmul::primitive_desc chosen({a.get_desc(), wanted_b, bias, c.get_desc()},
                                        layer.epilogue(sum, c.get_desc()), layer.engine());
    arguments = {{DNNL_ARG_SRC, a, chosen.src_desc()},
                 {DNNL_ARG_WEIGHTS, b, chosen.weights_desc()},
                 {DNNL_ARG_DST, c, chosen.dst_desc(), true}};
    if (direction == Direction::forward) layer.add_epilogue(arguments, sum, c, {1, out});
    return layer.call(stream, chosen, Matmul(chosen), "matmul", arguments, sum);
  };
  switch (direction) {
    case Direction::data_gradient:
      return choose(layer.given({rows, out}, Tag::ab, operands.y),
                    layer.given({out, in}, Tag::ba, operands.w), described({out, in}, Tag::any),
                    layer.given({rows, in}, Tag::ab, operands.x), {});
    case Direction::filter_gradient:
      return choose(layer.given({in, rows}, Tag::ba, operands.x),
                    layer.given({rows, out}, Tag::ab, operands.y), described({rows, out}, Tag::ab),
                    layer.given({in, out}, Tag::ab, operands.w), {});
    case Direction::forward:
      break;
  }
  return choose(layer.given({rows, in}, Tag::ab, operands.x), layer.given({in, out}, Tag::ab, operands.w),
                described({in, out}, Tag::any), layer.given({rows, out}, Tag::ab, operands.y),
                described({1, out}, Tag::ab));
}

class OneDnn : public Library {
 public:
  explicit OneDnn(int threads) { omp_set_num_threads(threads > 0 ? threads : omp_get_num_procs()); }

  std::string name() const override {
    const dnnl::version_t& version = *dnnl::version();
    return "oneDNN " + std::to_string(version.major) + "." + std::to_string(version.minor) + "." +
           std::to_string(version.patch);
  }

  std::vector<std::unique_ptr<Call>> calls(const Problem& problem, const Operands& operands) override {
    if (problem.type != DType::f32) return {};
    const Layer layer(engine_, problem, operands);
    const LayerKind kind = problem.layer.kind;
    const bool is_product = kind == LayerKind::pointwise || kind == LayerKind::dense;
    std::vector<Sum> sums = {Sum::none};
    if (operands.residual) sums = {Sum::in_place, Sum::from_elsewhere};
    std::vector<std::unique_ptr<Call>> calls;
    for (const Sum sum : sums) {
      add_supported(calls, [&] { return convolution(layer, stream_, sum); });
      if (is_product) add_supported(calls, [&] { return product(layer, stream_, sum); });
    }
    return calls;
  }

 private:
  template <class Make>
  static void add_supported(std::vector<std::unique_ptr<Call>>& calls, const Make& make) {
    try {
      calls.push_back(make());
    } catch (const dnnl::error& error) {
      if (error.status != dnnl_unimplemented) throw Error(std::string("[oneDNN] ") + error.what());
    }
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
};

}  // namespace

std::unique_ptr<Library> open_onednn(const Context& ctx, int threads) {
  if (ctx.device()->name() != "cpu") {
    throw UsageError("--against onednn: --device cpu is expected, got " + ctx.device()->name());
  }
  return std::make_unique<OneDnn>(threads);
}

}  // namespace pila::bench
