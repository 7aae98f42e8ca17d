#include "apps/training/predict_cached.h"

#include <algorithm>

#include "apps/data/batch_loader.h"
#include "apps/report/predict.h"
#include "engine/parallel/communicator.h"
#include "layers/fine_tuning.h"

namespace pila {
namespace {

constexpr std::size_t kBatch = 32, kAhead = 2;

// This rank's share of them all: whole batches, so that nothing depends on the number of ranks.
std::vector<std::vector<std::size_t>> in_batches(std::span<const std::size_t> indices,
                                                 const Communicator& ranks) {
  const Share share = share_of(static_cast<std::int64_t>((indices.size() + kBatch - 1) / kBatch), ranks);
  std::vector<std::vector<std::size_t>> batches;
  for (auto i = static_cast<std::size_t>(share.begin) * kBatch;
       i < std::min(static_cast<std::size_t>(share.end) * kBatch, indices.size()); i += kBatch) {
    const auto part = indices.subspan(i, std::min(kBatch, indices.size() - i));
    batches.emplace_back(part.begin(), part.end());
  }
  return batches;
}

Tensor network_input(const Context& ctx, const Batch& batch, const ImageCache& cache,
                     const Preprocessing& preprocessing) {
  const auto count = static_cast<std::int64_t>(batch.images.size());
  return preprocess(ctx, Tensor::from(ctx, {count, cache.height(), cache.width(), 3}, batch.pixels),
                    preprocessing);
}

}  // namespace

Predictions predict_cached(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                           const TrainingImages& images, std::span<const std::size_t> indices, int threads) {
  const Context inference = ctx.inference();
  PlannedModel planned(inference, model, preprocessing, GraphInput::images);
  Predictions predictions;
  predictions.classes.assign(images.classes.begin(), images.classes.end());
  Communicator& ranks = ctx.ranks();
  BatchLoader loader(*images.cache, in_batches(indices, ranks), threads, kAhead);
  for (Batch batch; loader.next(batch);) {
    append_outputs(planned, network_input(inference, batch, *images.cache, preprocessing), predictions);
  }
  for (const std::size_t image : indices) {
    predictions.files.push_back(images.cache->files()[image].string());
    predictions.labels.push_back(images.labels[image]);
  }
  predictions.logits = ranks.gather_values(std::span<const float>(predictions.logits));
  predictions.features = ranks.gather_values(std::span<const float>(predictions.features));
  return predictions;
}

void recalibrate_on(const Context& ctx, Model& model, const Preprocessing& preprocessing,
                    const TrainingImages& images, std::span<const std::size_t> indices, int threads) {
  BatchLoader loader(*images.cache, in_batches(indices, ctx.ranks()), threads, kAhead);
  recalibrate_batch_norm(ctx, model, [&] {
    Batch batch;
    return loader.next(batch) ? network_input(ctx, batch, *images.cache, preprocessing) : Tensor();
  });
}

}  // namespace pila
