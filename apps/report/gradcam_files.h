// Pictures of where a network looks.
#pragma once

#include <filesystem>

#include "apps/report/predictions.h"
#include "engine/core/context.h"
#include "layers/model.h"
#include "layers/preprocessing.h"

namespace pila {

// A PNG for each of `count` pictures: the photograph beside the heat map of the predicted class and, where
// that is wrong, of the true one. Half of them are mistakes, the most confident first, as far as there are
// that many; the rest are spread over the classes. The pictures are read from predictions.files; those that
// cannot be read any more are left out. Earlier PNGs in the folder that this makes are replaced. Throws
// FileError.
void write_grad_cams(const std::filesystem::path& folder, const Context& ctx, const Model& model,
                     const Preprocessing& preprocessing, const Predictions& predictions, int count,
                     double temperature = 1);

}  // namespace pila
