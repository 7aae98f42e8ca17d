#include "bench/baselines/cudnn_graph.h"

#include <algorithm>
#include <deque>

namespace pila::bench {
namespace {

using Extents = std::vector<std::int64_t>;  // of batch, channels, height, width, whatever the layout

cudnnDataType_t data_type(DType type) {
  if (type == DType::f16) return CUDNN_DATA_HALF;
  if (type == DType::bf16) return CUDNN_DATA_BFLOAT16;
  return CUDNN_DATA_FLOAT;
}

// The operations of a layer, chained.
class LayerGraph {
 public:
  LayerGraph(const CudnnHandle& handle, const Problem& problem, Stage stage)
      : api_(handle.api()), problem_(problem), type_(data_type(problem.type)) {
    const LayerShape& layer = problem.layer;
    y_ = {problem.batch, layer.out_channels, layer.out_size, layer.out_size};
    const bool forward = problem.direction == Direction::forward;
    if (!forward) {
      add_gradient();
    } else if (stage == Stage::sums) {
      add_convolution(tensor(Role::sums, y_, type_));
    } else if (stage == Stage::epilogue) {
      add_epilogue(tensor(Role::sums, y_, type_));
    } else {
      const Descriptor& sums = between();
      add_convolution(sums);
      add_epilogue(sums);
    }
    std::vector<const Descriptor*> all;
    for (const Descriptor& operation : operations_) all.push_back(&operation);
    make(CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, "operation graph")
        .refer(CUDNN_ATTR_OPERATIONGRAPH_OPS, all)
        .set(CUDNN_ATTR_OPERATIONGRAPH_HANDLE, handle.get())
        .finalize();
  }

  const Descriptor& descriptor() const { return descriptors_.back(); }
  const std::vector<Role>& roles() const { return roles_; }

 private:
  // References stay valid: a deque does not move its elements.
  Descriptor& make(cudnnBackendDescriptorType_t type, const char* name) {
    return descriptors_.emplace_back(api_, type, name);
  }
  Descriptor& make_operation(cudnnBackendDescriptorType_t type, const char* name) {
    return operations_.emplace_back(api_, type, name);
  }

  // Channels last, dense.
  Descriptor& describe(std::int64_t id, const Extents& extents, cudnnDataType_t type) {
    const std::int64_t c = extents[1], h = extents[2], w = extents[3];
    constexpr std::int64_t kAlignment = 16;
    return make(CUDNN_BACKEND_TENSOR_DESCRIPTOR, "tensor")
        .set(CUDNN_ATTR_TENSOR_DATA_TYPE, type)
        .set(CUDNN_ATTR_TENSOR_DIMENSIONS, extents)
        .set(CUDNN_ATTR_TENSOR_STRIDES, Extents{h * w * c, 1, w * c, c})
        .set(CUDNN_ATTR_TENSOR_UNIQUE_ID, id)
        .set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, kAlignment);
  }
  const Descriptor& tensor(Role role, const Extents& extents, cudnnDataType_t type) {
    roles_.push_back(role);
    return describe(static_cast<std::int64_t>(role), extents, type).finalize();
  }
  // What one operation hands to the next, in float32: it has no memory.
  const Descriptor& between() {
    return describe(next_id_++, y_, CUDNN_DATA_FLOAT).set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, true).finalize();
  }

  const Descriptor& x() {
    const LayerShape& layer = problem_.layer;
    return tensor(Role::x, {problem_.batch, layer.in_channels, layer.in_size, layer.in_size}, type_);
  }
  const Descriptor& w() {
    const LayerShape& layer = problem_.layer;
    const std::int64_t in = layer.kind == LayerKind::depthwise ? 1 : layer.in_channels;
    return tensor(Role::w, {layer.out_channels, in, layer.kernel, layer.kernel}, type_);
  }
  const Descriptor& window() {
    const auto shape = conv_shape(problem_.layer, problem_.batch, problem_.padding);
    const Extents padding(2, shape.window.pad_top), strides(2, shape.window.stride_h), dilations(2, 1);
    return make(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, "convolution")
        .set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT)
        .set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION)
        .set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, std::int64_t{2})
        .set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, padding)
        .set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, padding)
        .set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, strides)
        .set(CUDNN_ATTR_CONVOLUTION_DILATIONS, dilations)
        .finalize();
  }

  void add_convolution(const Descriptor& sums) {
    make_operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR, "forward convolution")
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, x())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W, w())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, sums)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC, window())
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA, 1.0f)
        .set(CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA, 0.0f)
        .finalize();
  }

  void add_gradient() {
    const Descriptor& dy = tensor(Role::y, y_, type_);
    if (problem_.direction == Direction::data_gradient) {
      make_operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR, "data gradient")
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, x())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W, w())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, dy)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC, window())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA, 1.0f)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA, 0.0f)
          .finalize();
    } else {
      make_operation(CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR, "filter gradient")
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, x())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW, w())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, dy)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC, window())
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA, 1.0f)
          .set(CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA, 0.0f)
          .finalize();
    }
  }

  // y = relu6(sums + bias) + residual; the last of these operations writes y.
  void add_epilogue(const Descriptor& sums) {
    const LayerShape& layer = problem_.layer;
    const auto result = [&](bool is_last) -> const Descriptor& {
      return is_last ? tensor(Role::y, y_, type_) : between();
    };
    const Descriptor& biased = result(!layer.relu6 && !layer.residual);
    add(sums, tensor(Role::bias, {1, layer.out_channels, 1, 1}, CUDNN_DATA_FLOAT), biased);
    const Descriptor* last = &biased;
    if (layer.relu6) {
      const Descriptor& clipped = result(!layer.residual);
      clip(*last, clipped);
      last = &clipped;
    }
    if (layer.residual) add(*last, tensor(Role::residual, y_, type_), result(true));
  }

  Descriptor& pointwise(cudnnPointwiseMode_t mode) {
    return make(CUDNN_BACKEND_POINTWISE_DESCRIPTOR, "pointwise")
        .set(CUDNN_ATTR_POINTWISE_MODE, mode)
        .set(CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_DATA_FLOAT);
  }
  void add(const Descriptor& a, const Descriptor& b, const Descriptor& sum) {
    make_operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "addition")
        .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, pointwise(CUDNN_POINTWISE_ADD).finalize())
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, a)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, sum)
        .finalize();
  }
  void clip(const Descriptor& from, const Descriptor& to) {
    const Descriptor& relu6 = pointwise(CUDNN_POINTWISE_RELU_FWD)
                                  .set(CUDNN_ATTR_POINTWISE_RELU_LOWER_CLIP, 0.0)
                                  .set(CUDNN_ATTR_POINTWISE_RELU_UPPER_CLIP, 6.0)
                                  .finalize();
    make_operation(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, "ReLU6")
        .set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, relu6)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, from)
        .set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, to)
        .finalize();
  }

  const CudnnApi& api_;
  const Problem& problem_;
  cudnnDataType_t type_;
  Extents y_;
  std::int64_t next_id_ = 100;  // past all roles
  std::vector<Role> roles_;
  std::deque<Descriptor> descriptors_, operations_;
};

// The engines that a heuristic proposes, best first.
std::vector<Descriptor> configurations(const Descriptor& graph, cudnnBackendHeurMode_t mode) {
  const CudnnApi& api = graph.api();
  Descriptor heuristic(api, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, "heuristic");
  heuristic.set(CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph)
      .set(CUDNN_ATTR_ENGINEHEUR_MODE, mode)
      .finalize();
  std::vector<Descriptor> all;
  for (std::size_t i = heuristic.count(CUDNN_ATTR_ENGINEHEUR_RESULTS); i > 0; --i) {
    all.emplace_back(api, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, "engine configuration");
  }
  if (!all.empty()) heuristic.get(CUDNN_ATTR_ENGINEHEUR_RESULTS, all);
  return all;
}

// Whether the engine keeps the precision that ours has: no factors of fewer bits, no sums in 16 bits.
bool is_precise(const Descriptor& engine, DType type, bool tf32) {
  const auto notes = engine.get<cudnnBackendNumericalNote_t>(CUDNN_ATTR_ENGINE_NUMERICAL_NOTE,
                                                             CUDNN_NUMERICAL_NOTE_TYPE_COUNT);
  return std::ranges::none_of(notes, [&](cudnnBackendNumericalNote_t note) {
    return note == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS ||
           note == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
           (note == CUDNN_NUMERICAL_NOTE_TENSOR_CORE && type == DType::f32 && !tf32);
  });
}

}  // namespace

std::vector<std::shared_ptr<const CudnnPlan>> find_plans(const CudnnHandle& handle, const Problem& problem,
                                                         Stage stage, bool tf32, std::size_t most_workspace,
                                                         std::string& why) {
  std::vector<std::shared_ptr<const CudnnPlan>> plans;
  const auto try_to = [&](const auto& step) {
    try {
      step();
    } catch (const CudnnError& error) {  // this engine, heuristic or graph is not for this layer
      why = error.what();
    }
  };
  const auto build = [&](const std::shared_ptr<const LayerGraph>& graph, const Descriptor& configuration) {
    const CudnnApi& api = handle.api();
    std::vector<Descriptor> engine;
    engine.emplace_back(api, CUDNN_BACKEND_ENGINE_DESCRIPTOR, "engine");
    configuration.get(CUDNN_ATTR_ENGINECFG_ENGINE, engine);
    if (engine.empty() || !is_precise(engine.front(), problem.type, tf32)) return;
    Descriptor plan(api, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, "execution plan");
    plan.set(CUDNN_ATTR_EXECUTION_PLAN_HANDLE, handle.get())
        .set(CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, configuration)
        .finalize();
    const auto workspace = plan.get<std::int64_t>(CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, 1);
    const auto index = engine.front().get<std::int64_t>(CUDNN_ATTR_ENGINE_GLOBAL_INDEX, 1);
    const auto bytes = static_cast<std::size_t>(workspace.at(0));
    if (bytes > most_workspace) return;
    plans.push_back(std::make_shared<const CudnnPlan>(CudnnPlan{
        graph, configuration, plan, bytes, "engine " + std::to_string(index.at(0)), graph->roles()}));
  };
  try_to([&] {
    const auto graph = std::make_shared<const LayerGraph>(handle, problem, stage);
    for (const auto mode : {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_B, CUDNN_HEUR_MODE_FALLBACK}) {
      try_to([&] {
        for (const Descriptor& configuration : configurations(graph->descriptor(), mode)) {
          try_to([&] { build(graph, configuration); });
        }
      });
    }
  });
  return plans;
}

}  // namespace pila::bench
