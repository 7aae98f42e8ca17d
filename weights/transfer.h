// From a model of one's own to one with other classes.
#pragma once

#include <string>
#include <vector>

#include "engine/core/context.h"
#include "weights/load_model.h"

namespace pila {

struct TransferReport {
  std::vector<std::string> kept;     // classes whose part of the head was taken over, in the model's order
  std::vector<std::string> added;    // classes that are new and start from random weights
  std::vector<std::string> dropped;  // classes of the source that the model does not have
  std::string remark;                // why no class was kept although names agree; else empty
};

// Copies the backbone of `source` into `model`, and of its head what still fits: whole layers before the last
// Dense layer, and there, by name, the kernel's column and the bias of every class that both know. `classes`
// are those of `model`, in order, whose new weights stay as they were initialised. Throws UsageError when
// their number is not the model's, FileError, `source_name` first, when the source is another network or of
// another width, and then leaves the model as it was.
TransferReport transfer_weights(const Context& ctx, Model& model, const std::vector<std::string>& classes,
                                const LoadedModel& source, const std::string& source_name);

}  // namespace pila
