// The network over images that lie in a cache.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/data/image_cache.h"
#include "apps/report/predictions.h"
#include "layers/model.h"
#include "layers/preprocessing.h"

namespace pila {

// Labelled images in a cache, with the parts that are trained on and watched.
struct TrainingImages {
  const ImageCache* cache = nullptr;
  std::span<const std::string> classes;
  std::span<const std::int32_t> labels;        // by index into the cache
  std::vector<std::size_t> train, validation;  // indices into the cache; validation may be empty
};

// Logits and pooled features of the images with these indices, in their order. The ranks of ctx call it
// together and share the work; each gets them all.
Predictions predict_cached(const Context& ctx, const Model& model, const Preprocessing& preprocessing,
                           const TrainingImages& images, std::span<const std::size_t> indices, int threads);

// recalibrate_batch_norm() with these images, as they are, in batches of one size but the last, which the
// ranks of ctx share.
void recalibrate_on(const Context& ctx, Model& model, const Preprocessing& preprocessing,
                    const TrainingImages& images, std::span<const std::size_t> indices, int threads);

}  // namespace pila
