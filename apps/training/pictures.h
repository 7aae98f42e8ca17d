// Pictures of a run that need the network or the engine to be made.
#pragma once

#include <filesystem>
#include <span>

#include "apps/report/predictions.h"
#include "apps/training/data_set.h"
#include "layers/augmentation.h"
#include "layers/model.h"

namespace pila {

// A contact sheet: an image of every class (of twelve at most), as it is and as training may see it. Throws
// FileError.
void write_augmented_samples(const std::filesystem::path& file, const Context& ctx, const DataSet& data,
                             std::span<const std::size_t> images, const Augmentation& augmentation,
                             const Preprocessing& preprocessing, std::uint64_t seed);

}  // namespace pila
