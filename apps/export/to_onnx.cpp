#include "apps/export/to_onnx.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "apps/export/onnx_graph.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using kernels::Activation;
using Extents = std::vector<std::int64_t>;

// Row-major values with their axes in another order: axis i of the result is axis `order[i]`.
struct Transposed {
  Extents extents;
  std::vector<float> values;
};

Transposed transpose(const Shape& shape, const std::vector<float>& values, const std::array<int, 4>& order) {
  Transposed result{{}, std::vector<float>(values.size())};
  std::array<std::int64_t, 4> strides{1, 1, 1, 1};
  for (int axis = 3; axis-- > 0;) strides[axis] = strides[axis + 1] * shape[axis + 1];
  for (const int axis : order) result.extents.push_back(shape[axis]);
  std::size_t i = 0;
  for (std::int64_t a = 0; a < result.extents[0]; ++a) {
    for (std::int64_t b = 0; b < result.extents[1]; ++b) {
      for (std::int64_t c = 0; c < result.extents[2]; ++c) {
        for (std::int64_t d = 0; d < result.extents[3]; ++d) {
          const std::int64_t place =
              a * strides[order[0]] + b * strides[order[1]] + c * strides[order[2]] + d * strides[order[3]];
          result.values[i++] = values[static_cast<std::size_t>(place)];
        }
      }
    }
  }
  return result;
}

constexpr std::array<int, 4> kNhwcToNchw{0, 3, 1, 2}, kHwioToOihw{3, 2, 0, 1};

// ONNX keeps images in NCHW: so does every value of four axes here, and the rest is as it is in the graph.
class Translator {
 public:
  Translator(const Context& ctx, const Graph& graph, std::int64_t batch)
      : ctx_(ctx),
        graph_(graph),
        batch_(batch == 0 ? OnnxGraph::kAnyBatch : batch),
        names_(graph.value_count()) {}

  OnnxGraph run(double temperature) {
    const ValueId input = graph_.inputs().at(0), logits = graph_.outputs().at(0);
    const Shape images = graph_.value(input).spec.shape;
    onnx_.add_input("input", Extents{batch_, images[1], images[2], images[3]});
    names_[input] = onnx_.add_node("Transpose", {"input"}, "input/nchw", {{"perm", Extents{0, 3, 1, 2}}});
    for (const Node& node : graph_.nodes()) {
      const ops::Attributes attributes = node.op->attributes();
      names_[node.outputs.at(0)] =
          std::visit([&](const auto& kind) -> std::string { return translate(node, kind); }, attributes);
    }
    onnx_.add_node("Identity", {names_[logits]}, "logits");
    const std::string scale =
        onnx_.add_constant("temperature", Extents{}, std::array{static_cast<float>(temperature)});
    const std::string scaled = onnx_.add_node("Div", {"logits", scale}, "logits/temperature");
    onnx_.add_node("Softmax", {scaled}, "probabilities", {{"axis", std::int64_t{1}}});
    const Extents classes{batch_, graph_.value(logits).spec.shape[1]};
    onnx_.add_output("logits", classes);
    onnx_.add_output("probabilities", classes);
    return std::move(onnx_);
  }

 private:
  [[noreturn]] static void refuse(const Node& node, const std::string& why) {
    throw UsageError("[onnx] " + label(node) + ": expected an operation that ONNX export knows, got '" +
                     std::string(node.op->name()) + "'" + why);
  }

  // What stands in no layer is called as its operation.
  static std::string label(const Node& node) {
    return node.name.empty() ? std::string(node.op->name()) : node.name;
  }

  const Shape& shape_of(ValueId id) const { return graph_.value(id).spec.shape; }

  std::vector<float> constant(const Node& node, std::size_t input) const {
    const Value& value = graph_.value(node.inputs.at(input));
    if (!value.constant.defined()) refuse(node, " with weights that are computed");
    return value.constant.to_vector<float>(ctx_);
  }

  std::string vector(const Node& node, std::size_t input, const std::string& name) {
    const auto values = constant(node, input);
    return onnx_.add_constant(label(node) + "/" + name, Extents{static_cast<std::int64_t>(values.size())},
                              values);
  }

  // What the graph computed before, or a constant.
  std::string operand(const Node& node, std::size_t input) {
    const ValueId id = node.inputs.at(input);
    if (!names_[id].empty()) return names_[id];
    const auto values = constant(node, input);
    const Shape& shape = shape_of(id);
    if (shape.rank() != 4) {
      const auto extents = shape.extents();
      return onnx_.add_constant(label(node) + "/constant", extents, values);
    }
    const Transposed images = transpose(shape, values, kNhwcToNchw);
    return onnx_.add_constant(label(node) + "/constant", images.extents, images.values);
  }

  std::string number(const Node& node, const std::string& name, double value) {
    return onnx_.add_constant(label(node) + "/" + name, Extents{}, std::array{static_cast<float>(value)});
  }

  std::string activate(const Node& node, const std::string& x, Activation kind) {
    const std::string name = label(node) + "/activation";
    switch (kind) {
      case Activation::none:
        return x;
      case Activation::relu:
        return onnx_.add_node("Relu", {x}, name);
      case Activation::relu6:
        return onnx_.add_node("Clip", {x, number(node, "zero", 0), number(node, "six", 6)}, name);
      case Activation::sigmoid:
        return onnx_.add_node("Sigmoid", {x}, name);
      case Activation::silu:
        return onnx_.add_node("Mul", {x, onnx_.add_node("Sigmoid", {x}, label(node) + "/sigmoid")}, name);
    }
    refuse(node, " with an unknown activation");
  }

  static std::vector<OnnxAttribute> window_attributes(const kernels::ConvShape& shape) {
    const kernels::Window& window = shape.window;
    // What is read beyond the image at its end: none where the last window ends inside of it.
    const auto after = [](std::int64_t in, std::int64_t out, int stride, int dilation, int kernel,
                          int before) {
      const std::int64_t end = (out - 1) * stride + std::int64_t{dilation} * (kernel - 1) + 1 - before;
      return std::max<std::int64_t>(0, end - in);
    };
    const std::int64_t bottom =
        after(shape.in_h, shape.out_h, window.stride_h, window.dilation_h, window.kernel_h, window.pad_top);
    const std::int64_t right =
        after(shape.in_w, shape.out_w, window.stride_w, window.dilation_w, window.kernel_w, window.pad_left);
    return {{"kernel_shape", Extents{window.kernel_h, window.kernel_w}},
            {"strides", Extents{window.stride_h, window.stride_w}},
            {"dilations", Extents{window.dilation_h, window.dilation_w}},
            {"pads", Extents{window.pad_top, window.pad_left, bottom, right}}};
  }

  std::string translate(const Node& node, const ops::ConvAttributes& conv) {
    const kernels::Window& window = conv.shape.window;
    const std::int64_t groups = conv.depthwise ? conv.shape.in_c : conv.shape.groups;
    // A depthwise kernel, HWCM, is a grouped one with one input channel.
    const Shape hwio{window.kernel_h, window.kernel_w, conv.shape.in_c / groups, conv.shape.out_c};
    const Transposed kernel = transpose(hwio, constant(node, 1), kHwioToOihw);
    std::vector<std::string> inputs{
        operand(node, 0), onnx_.add_constant(label(node) + "/kernel", kernel.extents, kernel.values)};
    if (conv.bias) inputs.push_back(vector(node, 2, "bias"));
    auto attributes = window_attributes(conv.shape);
    attributes.emplace_back("group", groups);
    const std::string y =
        activate(node, onnx_.add_node("Conv", inputs, label(node), attributes), conv.activation);
    if (!conv.residual) return y;
    return onnx_.add_node("Add", {y, operand(node, conv.bias ? 3 : 2)}, label(node) + "/residual");
  }

  std::string translate(const Node& node, const ops::MatmulAttributes& matmul) {
    const bool images = matmul.a.rank() == 4 && matmul.y.rank() == 4;
    const bool transposed = matmul.transpose_a || matmul.transpose_b;
    const bool matrices = matmul.a.rank() == 2 && matmul.b.rank() == 2;
    if (!matrices && (!images || transposed)) {
      refuse(node, " of " + matmul.a.to_string() + " and " + matmul.b.to_string());
    }
    const std::string x = operand(node, 0);
    std::vector<std::string> inputs{x, images ? pointwise_kernel(node) : operand(node, 1)};
    if (matmul.bias) inputs.push_back(vector(node, 2, "bias"));
    std::vector<OnnxAttribute> attributes;
    if (!images) {
      attributes = {{"transA", std::int64_t{matmul.transpose_a}},
                    {"transB", std::int64_t{matmul.transpose_b}}};
    }
    const std::string product = onnx_.add_node(images ? "Conv" : "Gemm", inputs, label(node), attributes);
    const std::string y = activate(node, product, matmul.activation);
    if (!matmul.residual) return y;
    return onnx_.add_node("Add", {y, operand(node, matmul.bias ? 3 : 2)}, label(node) + "/residual");
  }

  // The matrix of a product with the channels of images, as the kernel of a 1 x 1 convolution.
  std::string pointwise_kernel(const Node& node) {
    const Shape& b = shape_of(node.inputs.at(1));
    const Shape hwio{1, 1, b.elements() / b[-1], b[-1]};
    const Transposed kernel = transpose(hwio, constant(node, 1), kHwioToOihw);
    return onnx_.add_constant(label(node) + "/kernel", kernel.extents, kernel.values);
  }

  std::string translate(const Node& node, const ops::BatchNormAttributes& norm) {
    const std::string x = operand(node, 0);
    const std::string gamma = vector(node, 1, "gamma"), beta = vector(node, 2, "beta");
    const std::string mean = vector(node, 3, "mean"), variance = vector(node, 4, "variance");
    const std::string y = onnx_.add_node("BatchNormalization", {x, gamma, beta, mean, variance}, label(node),
                                         {{"epsilon", static_cast<float>(norm.epsilon)}});
    return activate(node, y, norm.activation);
  }

  std::string translate(const Node& node, const ops::ActivationAttributes& activation) {
    return activate(node, operand(node, 0), activation.kind);
  }

  std::string translate(const Node& node, const ops::BinaryAttributes& binary) {
    // Axes are matched from the last, which in NCHW are others.
    const int rank = std::max(binary.a.rank(), binary.b.rank());
    const auto fits = [&](const Shape& shape) {
      return rank < 4 || shape.rank() == rank || shape.elements() == 1;
    };
    if (!fits(binary.a) || !fits(binary.b)) {
      refuse(node, " of " + binary.a.to_string() + " and " + binary.b.to_string());
    }
    const std::vector<std::string> inputs{operand(node, 0), operand(node, 1)};
    switch (binary.kind) {
      case kernels::BinaryKind::add:
        return onnx_.add_node("Add", inputs, label(node) + "/add");
      case kernels::BinaryKind::subtract:
        return onnx_.add_node("Sub", inputs, label(node) + "/subtract");
      case kernels::BinaryKind::multiply:
        return onnx_.add_node("Mul", inputs, label(node) + "/multiply");
    }
    refuse(node, " of an unknown kind");
  }

  std::string translate(const Node& node, const ops::AffineAttributes& affine) {
    const std::string scaled = onnx_.add_node(
        "Mul", {operand(node, 0), number(node, "factor", affine.factor)}, label(node) + "/scale");
    return onnx_.add_node("Add", {scaled, number(node, "offset", affine.offset)}, label(node) + "/shift");
  }

  std::string translate(const Node& node, const ops::ZeroPadAttributes& pad) {
    const kernels::Borders& borders = pad.borders;
    const std::string pads = onnx_.add_constant(
        label(node) + "/pads", Extents{0, 0, borders.top, borders.left, 0, 0, borders.bottom, borders.right});
    return onnx_.add_node("Pad", {operand(node, 0), pads}, label(node) + "/pad");
  }

  std::string translate(const Node& node, const ops::MaxPoolAttributes& pool) {
    return onnx_.add_node("MaxPool", {operand(node, 0)}, label(node) + "/max_pool",
                          window_attributes(pool.shape));
  }

  std::string translate(const Node& node, const ops::ReduceAttributes& reduce) {
    const Shape& from = reduce.from;
    const bool pools = reduce.kind == kernels::ReduceKind::mean && from.rank() == 4 &&
                       reduce.outer == from[0] && reduce.inner == from[3] && reduce.to.rank() == 2;
    if (!pools) refuse(node, " of " + from.to_string() + " to " + reduce.to.to_string());
    const std::string pooled = onnx_.add_node("GlobalAveragePool", {operand(node, 0)}, label(node) + "/pool");
    return onnx_.add_node("Flatten", {pooled}, label(node) + "/flatten", {{"axis", std::int64_t{1}}});
  }

  std::string translate(const Node& node, const ops::ReshapeAttributes& reshape) {
    const Shape &from = shape_of(node.inputs.at(0)), &to = reshape.to;
    if (from.rank() == 4 && from[1] == 1 && from[2] == 1 && to == Shape{from[0], from[3]}) {
      return onnx_.add_node("Flatten", {operand(node, 0)}, label(node) + "/flatten",
                            {{"axis", std::int64_t{1}}});
    }
    if (from.rank() == 2 && to == Shape{from[0], 1, 1, from[1]}) {
      const std::string extents = onnx_.add_constant(label(node) + "/shape", Extents{0, from[1], 1, 1});
      return onnx_.add_node("Reshape", {operand(node, 0), extents}, label(node) + "/reshape");
    }
    refuse(node, " of " + from.to_string() + " to " + to.to_string());
  }

  std::string translate(const Node& node, const ops::SoftmaxAttributes&) {
    if (shape_of(node.inputs.at(0)).rank() != 2) refuse(node, " of more than two axes");
    return onnx_.add_node("Softmax", {operand(node, 0)}, label(node) + "/softmax",
                          {{"axis", std::int64_t{1}}});
  }

  // All other kinds: what passes make, and what has no attributes.
  template <class Kind>
  std::string translate(const Node& node, const Kind&) {
    refuse(node, "");
  }

  const Context& ctx_;
  const Graph& graph_;
  const std::int64_t batch_;
  std::vector<std::string> names_;  // by value; empty for what is not there yet
  OnnxGraph onnx_;
};

}  // namespace

std::string to_onnx(const Context& ctx, const Graph& graph, const ModelDescription& description,
                    std::int64_t batch) {
  OnnxGraph onnx = Translator(ctx, graph, batch).run(description.temperature);
  const Preprocessing& input = description.preprocessing;
  const auto json = [](const auto& value) { return nlohmann::ordered_json(value).dump(); };
  return onnx.serialize(description.spec.network,
                        {{"classes", json(description.classes)},
                         {"input_size", json(std::array{input.height, input.width})},
                         {"scale", json(input.scale)},
                         {"offset", json(input.offset)},
                         {"temperature", json(description.temperature)},
                         {"threshold", json(description.threshold)}});
}

}  // namespace pila
