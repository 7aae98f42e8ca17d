// A classification network compiled for inference.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "engine/plan/pipeline.h"
#include "engine/plan/plan.h"
#include "layers/model.h"
#include "layers/model_graph.h"
#include "layers/preprocessing.h"

namespace pila {

// Takes the model's weights as they are when a plan is built, which is when a number of images first comes.
// For one thread at a time.
class PlannedModel {
 public:
  // The model has to live as long, or until keep_only(). Throws UsageError for options that no plan can be
  // built by.
  PlannedModel(const Context& ctx, const Model& model, const Preprocessing& preprocessing, GraphInput input,
               PlanOptions options = {});

  // The session for this many images; it is kept. Throws what trace_model() and Plan::build() do.
  const Session& session(std::int64_t batch);
  // One of the caller's own that reads images where they are, in memory of the device that lives as long.
  Session session_over(std::int64_t batch, void* images);
  // Builds the plan for this many images, and lets go of the model, whose weights take as much memory again.
  // From then on other numbers of images are a UsageError.
  void keep_only(std::int64_t batch, std::unique_ptr<Model> model);

  struct Outputs {
    std::vector<float> features, logits;  // image by image
  };
  // images: [n, height, width, 3], what the graph's input is. Throws ShapeError for others.
  Outputs run(const Tensor& images);

  // The same in two halves, so that the device computes while the caller gets the next images ready (see
  // Pipeline): submit() starts on preprocessed images of float32 of the network's size, collect() has the
  // oldest outputs that were not collected yet, and the milliseconds they took. Both throw UsageError out of
  // turn, submit() ShapeError for another number of values.
  bool full() const { return !under_way_.empty() && under_way_.back()->full(); }
  void submit(std::span<const float> images, std::int64_t batch);
  std::pair<Outputs, double> collect();

 private:
  // In how many parts a batch is computed: on a CPU with a few images a thread where that comes out even, so
  // that a large batch takes little memory and stays in the caches.
  std::int64_t parts_of(std::int64_t batch) const;
  // For a part of a batch.
  const std::shared_ptr<const Plan>& plan(std::int64_t batch);

  const Context ctx_;
  const Model* model_;  // null: only what is planned is left
  const Preprocessing preprocessing_;
  const GraphInput input_;
  const PlanOptions options_;
  std::int64_t only_ = 0;                                      // batch, where the model is gone
  std::map<std::int64_t, std::shared_ptr<const Plan>> plans_;  // by images of a part
  std::map<std::int64_t, Session> sessions_;                   // by batch, as below
  std::map<std::int64_t, Pipeline> pipelines_;
  std::deque<Pipeline*> under_way_;
};

}  // namespace pila
