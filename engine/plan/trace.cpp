#include "engine/plan/trace.h"

#include <unordered_map>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

class GraphBuilder : public Recorder {
 public:
  explicit GraphBuilder(const WeightNames& names) : names_(names) {}

  bool tracing() const override { return true; }

  void record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
              std::span<const Tensor> outputs) override {
    std::vector<ValueId> ids;
    for (const Tensor& input : inputs) ids.push_back(id_of(input));
    const std::vector<ValueId> made = graph.add_node(op, ids, name_of(ids, inputs)).outputs;
    for (std::size_t i = 0; i < outputs.size(); ++i) ids_[outputs[i].id()] = made[i];
  }

  Tensor add_input(const TensorSpec& spec) {
    const Tensor input = Tensor::symbolic(spec);
    ids_[input.id()] = graph.add_value(spec);
    graph.inputs().push_back(ids_[input.id()]);
    return input;
  }

  ValueId id_of(const Tensor& tensor) {
    const auto known = ids_.find(tensor.id());
    if (known != ids_.end()) return known->second;
    if (tensor.symbolic()) throw UsageError("[trace] expected tensors of this trace, got another's");
    return ids_[tensor.id()] = graph.add_constant(tensor);
  }

  Graph graph;

 private:
  std::string name_of(const std::vector<ValueId>& ids, std::span<const Tensor> inputs) const {
    for (const Tensor& input : inputs) {
      const auto named = names_.find(input.id());
      if (named != names_.end()) return named->second;
    }
    const Node* before = ids.empty() ? nullptr : graph.producer(ids[0]);
    return before == nullptr ? "" : before->name;
  }

  const WeightNames& names_;
  std::unordered_map<std::uint64_t, ValueId> ids_;
};

}  // namespace

Graph trace(const Context& ctx, std::span<const TensorSpec> inputs, const Computation& computation,
            const WeightNames& names) {
  GraphBuilder builder(names);
  std::vector<Tensor> symbols;
  for (const TensorSpec& spec : inputs) symbols.push_back(builder.add_input(spec));
  for (const Tensor& output : computation(ctx.with_recorder(&builder), symbols)) {
    builder.graph.outputs().push_back(builder.id_of(output));
  }
  return std::move(builder.graph);
}

}  // namespace pila
