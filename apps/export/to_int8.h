// From a model to one that runs in int8.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "weights/load_model.h"

namespace pila {

struct Int8Options {
  std::filesystem::path calibrate, data;  // folders of pictures; data may be empty
  std::size_t images = 500;               // of `calibrate`, at most
  double max_drop = 1;                    // in percentage points
};

// Returns the ranges that lose least on the pictures of `calibrate`, and measures what they cost: right
// answers on the labelled pictures of `data`, else of `calibrate`, else those that float32 gives too. Prints
// both. `classes`: what folders of labelled pictures are named after. Throws FileError for too few pictures,
// Error when more is lost than `max_drop`.
Ranges calibrate_for_int8(const Context& ctx, const Int8Options& options,
                          const std::vector<std::string>& classes, const LoadedModel& model);

}  // namespace pila
