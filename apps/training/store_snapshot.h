// Where a run's photographs lie.
#pragma once

#include <filesystem>
#include <vector>

#include "apps/training/data_set.h"
#include "apps/training/options.h"

namespace pila {

// The folders of options.data; for the N-th, where it is a store, run/pictures-N with its pictures. They are
// taken out when the run begins, because a store goes on changing beside its belt, and a run that is resumed
// needs what it began with. Throws FileError for a store without labelled pictures and for one that cannot be
// read.
std::vector<std::filesystem::path> data_folders(const FineTuneOptions& options,
                                                const std::filesystem::path& run, const NoteHook& note);

}  // namespace pila
