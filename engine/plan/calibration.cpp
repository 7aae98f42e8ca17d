#include "engine/plan/calibration.h"

#include "engine/core/error.h"
#include "engine/plan/pass.h"
#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

// To what LowerPrecision finds, whose products read what those of the plan in int8 will.
void run_passes_before_lowering(const Context& ctx, Graph& graph) {
  for (const auto& pass : inference_passes()) {
    if (dynamic_cast<const LowerPrecision*>(pass.get()) != nullptr) return;
    pass->run(ctx, graph);
  }
}

// Reading a million weights for each image takes longer than multiplying by them.
bool is_worthwhile(const Graph& graph, const Node& product) {
  constexpr std::int64_t kManyWeights = 1'000'000;
  return graph.value(product.inputs[0]).spec.shape.rank() == 4 ||
         graph.value(product.inputs[1]).spec.shape.elements() >= kManyWeights;
}

}  // namespace

Calibration::Calibration(const Context& ctx, Graph graph) : ctx_(ctx.inference().no_grad()) {
  run_passes_before_lowering(ctx_, graph);
  graph.outputs().clear();
  for (const Node& node : graph.nodes()) {
    if (!can_be_lowered(graph, node) || !is_worthwhile(graph, node)) continue;
    products_.push_back(node.name);
    graph.outputs().push_back(node.inputs[0]);
  }
  if (products_.empty()) {
    throw UsageError("[calibration] expected a network with products of images by its weights, got none");
  }
  graph.drop_unused();
  session_.emplace(Plan::build(ctx_, std::move(graph)));
}

void Calibration::add(const Tensor& input) {
  session_->input().assign(ctx_, input);
  session_->run();
  for (std::size_t i = 0; i < products_.size(); ++i) {
    try {
      histograms_[products_[i]].add(session_->output(i).to_vector<float>(ctx_));
    } catch (const Error& error) {
      throw Error(std::string(error.what()) + " before " + products_[i]);
    }
  }
}

Ranges Calibration::ranges(Clipping clipping) const {
  if (histograms_.empty()) throw UsageError("[calibration] expected images, got none");
  Ranges ranges;
  for (const auto& [product, histogram] : histograms_) ranges[product] = clipped_range(histogram, clipping);
  return ranges;
}

}  // namespace pila
