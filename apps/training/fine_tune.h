// A whole fine-tuning: from a folder of photographs to a model, a report and pictures.
#pragma once

#include <filesystem>

#include "apps/report/evaluation.h"
#include "apps/training/options.h"
#include "apps/training/repeat_summary.h"
#include "engine/parallel/communicator.h"

namespace pila {

// Trains into a new folder. Returns what was measured on held-out images, to the first rank. Throws Error
// when interrupted, with the command that goes on. All ranks call this and the following with the same
// arguments, and find the folder and the images at the same place; what goes wrong for all of them is thrown
// on all.
Evaluation fine_tune(const FineTuneOptions& options, const std::filesystem::path& out, Communicator& ranks);

// Goes on with the run in the folder, on the device, with the threads, cache_bytes and recompute of
// `machine`: on the same device with as many ranks to the bit as if it had not been interrupted. Throws
// FileError when its data or weights are no longer what they were.
Evaluation resume_fine_tuning(const std::filesystem::path& run, const FineTuneOptions& machine,
                              Communicator& ranks);

// Fine-tunes `repeats` times, by the seeds options.seed, options.seed + 1, ... (each with a split of its own
// unless options.split_from says which), into folders of `out`, with repeats.csv beside them. Repeats that
// are complete there are not trained again.
RepeatSummary repeat_fine_tuning(const FineTuneOptions& options, const std::filesystem::path& out,
                                 int repeats, Communicator& ranks);

}  // namespace pila
