#include <map>
#include <utility>

#include "engine/ops/ops.h"
#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

DType type_of(Precision precision) { return precision == Precision::f16 ? DType::f16 : DType::bf16; }

template <class Kind, class... Kinds>
constexpr bool is_one_of = (std::is_same_v<Kind, Kinds> || ...);

// Whether an operation has kernels for 16 bits, and biases or other numbers by channel that stay in float32.
struct Storage16 {
  bool possible = false, by_channel = false;
};

Storage16 storage_of(const Op& op) {
  return std::visit(
      []<class Kind>(const Kind&) {
        constexpr bool by_channel =
            is_one_of<Kind, ops::ConvAttributes, ops::ImageConvAttributes, ops::MatmulAttributes,
                      ops::PooledMatmulAttributes, ops::InvertedResidualAttributes, ops::BatchNormAttributes>;
        constexpr bool possible =
            by_channel || is_one_of<Kind, ops::ActivationAttributes, ops::BinaryAttributes,
                                    ops::AffineAttributes, ops::ZeroPadAttributes, ops::MaxPoolAttributes,
                                    ops::ReduceAttributes, ops::ReshapeAttributes>;
        return Storage16{possible, by_channel};
      },
      op.attributes());
}

// A graph written down again in other types.
class Rewriting {
 public:
  Rewriting(const Context& ctx, const Graph& from, DType type) : ctx_(ctx), from_(from), type_(type) {}

  Graph run() {
    for (const ValueId id : from_.inputs()) {
      made_[id] = to_.add_value(from_.value(id).spec);
      to_.inputs().push_back(made_[id]);
    }
    for (const Node& node : from_.nodes()) add(node);
    for (const ValueId id : from_.outputs()) {
      const Node* producer = from_.producer(id);
      to_.outputs().push_back(as(id, from_.value(id).spec.type, producer == nullptr ? "" : producer->name));
    }
    return std::move(to_);
  }

  std::size_t stored() const { return stored_; }

 private:
  void add(const Node& node) {
    const Storage16 storage = storage_of(*node.op);
    std::vector<ValueId> inputs;
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const TensorSpec& spec = from_.value(node.inputs[i]).spec;
      const bool by_channel = i > 0 && storage.by_channel && spec.shape.rank() == 1;
      const bool stays = !storage.possible || by_channel || !is_floating(spec.type);
      inputs.push_back(as(node.inputs[i], stays ? spec.type : type_, node.name));
    }
    const Node& copy = to_.add_node(node.op, inputs, node.name);
    for (std::size_t i = 0; i < node.outputs.size(); ++i) made_[node.outputs[i]] = copy.outputs[i];
    if (storage.possible) ++stored_;
  }

  // The value of the old graph in this type; `name` is for the node that casts it.
  ValueId as(ValueId id, DType type, const std::string& name) {
    const auto known = cast_.find({id, type});
    if (known != cast_.end()) return known->second;
    return cast_[{id, type}] = from_.is_constant(id) ? constant(id, type) : value(id, type, name);
  }

  ValueId constant(ValueId id, DType type) {
    return to_.add_constant(ops::cast(ctx_, from_.value(id).constant, type));
  }

  ValueId value(ValueId id, DType type, const std::string& name) {
    const ValueId made = made_.at(id);
    const DType has = to_.value(made).spec.type;
    return has == type ? made
                       : to_.add_node(make_op(ops::CastAttributes{has, type}), {made}, name).outputs[0];
  }

  const Context& ctx_;
  const Graph& from_;
  const DType type_;
  Graph to_;
  std::map<ValueId, ValueId> made_;                    // inputs and what nodes make, old to new
  std::map<std::pair<ValueId, DType>, ValueId> cast_;  // old to new, by type
  std::size_t stored_ = 0;
};

}  // namespace

std::size_t Store16Bits::run(const Context& ctx, Graph& graph) const {
  if (!ctx.kernels().stores_16_bits || (precision_ != Precision::f16 && precision_ != Precision::bf16))
    return 0;
  Rewriting rewriting(ctx, graph, type_of(precision_));
  graph = rewriting.run();
  return rewriting.stored();
}

}  // namespace pila
