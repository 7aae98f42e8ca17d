#include "engine/plan/passes/passes.h"

namespace pila {
namespace {

struct SameAttributes {
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    if constexpr (std::is_same_v<A, B> && requires { a == b; }) return a == b;
    return false;
  }
};

// Operations whose attributes cannot be compared count as different.
bool same(const Node& a, const Node& b) {
  return a.inputs == b.inputs && a.op->name() == b.op->name() &&
         !std::holds_alternative<std::monostate>(a.op->attributes()) &&
         std::visit(SameAttributes(), a.op->attributes(), b.op->attributes());
}

}  // namespace

std::size_t MergeEqual::run(const Context&, Graph& graph) const {
  std::size_t merged = 0;
  const auto& nodes = graph.nodes();
  for (std::size_t later = 1; later < nodes.size(); ++later) {
    for (std::size_t earlier = 0; earlier < later; ++earlier) {
      if (!same(nodes[earlier], nodes[later])) continue;
      for (std::size_t i = 0; i < nodes[later].outputs.size(); ++i) {
        graph.redirect(nodes[later].outputs[i], nodes[earlier].outputs[i]);
      }
      ++merged;
      break;
    }
  }
  graph.drop_unused();
  return merged;
}

}  // namespace pila
