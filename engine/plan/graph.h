// A computation as a list of operations over values: what tracing writes and passes change.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/ops/op.h"

namespace pila {

// The number of a value in its graph.
using ValueId = std::size_t;

// A tensor that the computation reads or makes.
struct Value {
  TensorSpec spec;
  Tensor constant;  // undefined for what only a run knows
};

// One operation. `name` says where in the network it stands, in Keras' names: "block_2_project_BN".
struct Node {
  std::shared_ptr<const Op> op;
  std::vector<ValueId> inputs, outputs;
  std::string name;
};

// Nodes stand in an order in which they can run. Numbers of values stay valid whatever passes do.
class Graph {
 public:
  ValueId add_value(TensorSpec spec);
  ValueId add_constant(Tensor tensor);
  // Appends a node; makes its outputs as the op infers them. Throws what infer() throws.
  const Node& add_node(std::shared_ptr<const Op> op, std::vector<ValueId> inputs, std::string name);

  const Value& value(ValueId id) const { return values_[id]; }
  std::size_t value_count() const { return values_.size(); }
  bool is_constant(ValueId id) const { return values_[id].constant.defined(); }
  void set_constant(ValueId id, Tensor tensor) { values_[id].constant = std::move(tensor); }
  bool is_output(ValueId id) const;

  std::vector<Node>& nodes() { return nodes_; }
  const std::vector<Node>& nodes() const { return nodes_; }
  std::vector<ValueId>& inputs() { return inputs_; }
  const std::vector<ValueId>& inputs() const { return inputs_; }
  std::vector<ValueId>& outputs() { return outputs_; }
  const std::vector<ValueId>& outputs() const { return outputs_; }

  // The node that makes a value; null for inputs and constants.
  const Node* producer(ValueId id) const;
  // How many times a value is read, as the graph's output too.
  std::size_t uses(ValueId id) const;
  // The node that reads a value which nothing else reads; null where there is none or more than one.
  const Node* only_consumer(ValueId id) const;

  // Puts a node in the place of `node`, making the same outputs from other inputs.
  void replace(const Node& node, std::shared_ptr<const Op> op, std::vector<ValueId> inputs, std::string name);
  // Lets everyone who reads `from` read `to`.
  void redirect(ValueId from, ValueId to);
  // Drops nodes whose outputs nobody reads. Returns how many.
  std::size_t drop_unused();

 private:
  std::vector<Value> values_;
  std::vector<Node> nodes_;
  std::vector<ValueId> inputs_, outputs_;
};

// The attributes of a node's operation, if they are of this kind; else null is returned. A copy, since
// operations hand out their attributes by value.
template <class Kind>
std::unique_ptr<const Kind> attributes_of(const Node* node) {
  if (node == nullptr) return nullptr;
  const ops::Attributes attributes = node->op->attributes();
  const Kind* kind = std::get_if<Kind>(&attributes);
  return kind == nullptr ? nullptr : std::make_unique<const Kind>(*kind);
}

}  // namespace pila
