#include "engine/plan/graph.h"

#include <algorithm>
#include <utility>

namespace pila {

ValueId Graph::add_value(TensorSpec spec) {
  values_.push_back({spec, {}});
  return values_.size() - 1;
}

ValueId Graph::add_constant(Tensor tensor) {
  values_.push_back({tensor.spec(), tensor});
  return values_.size() - 1;
}

const Node& Graph::add_node(std::shared_ptr<const Op> op, std::vector<ValueId> inputs, std::string name) {
  std::vector<TensorSpec> specs;
  for (const ValueId input : inputs) specs.push_back(values_[input].spec);
  Node node{std::move(op), std::move(inputs), {}, std::move(name)};
  for (const TensorSpec& spec : node.op->infer(specs)) node.outputs.push_back(add_value(spec));
  nodes_.push_back(std::move(node));
  return nodes_.back();
}

bool Graph::is_output(ValueId id) const { return std::ranges::count(outputs_, id) > 0; }

const Node* Graph::producer(ValueId id) const {
  for (const Node& node : nodes_) {
    if (std::ranges::count(node.outputs, id) > 0) return &node;
  }
  return nullptr;
}

std::size_t Graph::uses(ValueId id) const {
  auto count = std::ranges::count(outputs_, id);
  for (const Node& node : nodes_) count += std::ranges::count(node.inputs, id);
  return static_cast<std::size_t>(count);
}

const Node* Graph::only_consumer(ValueId id) const {
  if (uses(id) != 1) return nullptr;
  for (const Node& node : nodes_) {
    if (std::ranges::count(node.inputs, id) > 0) return &node;
  }
  return nullptr;
}

void Graph::replace(const Node& node, std::shared_ptr<const Op> op, std::vector<ValueId> inputs,
                    std::string name) {
  Node& place = nodes_[static_cast<std::size_t>(&node - nodes_.data())];
  place.op = std::move(op);
  place.inputs = std::move(inputs);
  place.name = std::move(name);
}

void Graph::redirect(ValueId from, ValueId to) {
  for (Node& node : nodes_) std::ranges::replace(node.inputs, from, to);
  std::ranges::replace(outputs_, from, to);
}

std::size_t Graph::drop_unused() {
  std::size_t dropped = 0;
  for (std::size_t i = nodes_.size(); i-- > 0;) {
    const Node& node = nodes_[i];
    const bool writes = [&] {
      for (std::size_t k = 0; k < node.inputs.size(); ++k) {
        if (node.op->writes(k)) return true;
      }
      return false;
    }();
    if (writes || std::ranges::any_of(node.outputs, [&](ValueId id) { return uses(id) > 0; })) continue;
    nodes_.erase(nodes_.begin() + static_cast<std::ptrdiff_t>(i));
    ++dropped;
  }
  return dropped;
}

}  // namespace pila
