// A classification network compiled for inference.
#pragma once

#include <cstdint>
#include <map>
#include <vector>

#include "engine/plan/plan.h"
#include "layers/model.h"
#include "layers/model_graph.h"
#include "layers/preprocessing.h"

namespace pila {

// Takes the model's weights as they are when a plan is built, which is when a number of images first comes.
// For one thread at a time.
class PlannedModel {
 public:
  // The model has to live as long. Throws UsageError for options that no plan can be built by.
  PlannedModel(const Context& ctx, const Model& model, const Preprocessing& preprocessing, GraphInput input,
               PlanOptions options = {});

  // The session for this many images; it is kept. Throws what trace_model() and Plan::build() do.
  const Session& session(std::int64_t batch);

  struct Outputs {
    std::vector<float> features, logits;  // image by image
  };
  // images: [n, height, width, 3], what the graph's input is. Throws ShapeError for others.
  Outputs run(const Tensor& images);

 private:
  const Context ctx_;
  const Model& model_;
  const Preprocessing preprocessing_;
  const GraphInput input_;
  const PlanOptions options_;
  std::map<std::int64_t, Session> sessions_;  // by batch
};

}  // namespace pila
