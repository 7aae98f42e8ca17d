// Learns from images what the products of a network read, for plans in int8.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "engine/plan/clipping.h"
#include "engine/plan/plan.h"

namespace pila {

// Of the products that plans can lower, those of images, and of pooled features where there are very many
// classes. With few they cost next to nothing and are what the answer hangs on: they stay in float32.
class Calibration {
 public:
  // Computes the graph in float32. Throws as Plan::build() does, and UsageError for a graph without such
  // products.
  Calibration(const Context& ctx, Graph graph);

  // input: what the graph's one input is. Throws ShapeError for others, Error with the product's name where a
  // number is not finite.
  void add(const Tensor& input);

  // Throws UsageError before the first input.
  Ranges ranges(Clipping clipping) const;

 private:
  const Context ctx_;
  std::vector<std::string> products_;  // by output of the session
  std::optional<Session> session_;
  std::map<std::string, Histogram> histograms_;
};

}  // namespace pila
