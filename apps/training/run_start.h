// What a run starts with, as all of its ranks get it.
#pragma once

#include <filesystem>
#include <memory>

#include "apps/training/data_set.h"
#include "apps/training/options.h"
#include "apps/training/run_folder.h"
#include "apps/training/start_model.h"
#include "apps/training/store_snapshot.h"
#include "engine/core/context.h"
#include "engine/parallel/communicator.h"

namespace pila {

// The file of the weights that it would start from, fetched where it is not here. Throws FileError.
std::filesystem::path fetch_weights(const FineTuneOptions& options);

// Prints lines on stderr, of the first rank alone.
NoteHook voice_of(const Communicator& ranks);

// The device of the options, or for one of several ranks what open_rank_device() makes of it, with its ranks.
// Throws FileError where ranks have another one in their options than the first, DeviceError for one that
// cannot be used.
Context open_context(const FineTuneOptions& options, Communicator& ranks);

// RunFolder's, made or opened by the first rank.
RunFolder create_folder(const std::filesystem::path& path, Communicator& ranks);
RunFolder open_folder(const std::filesystem::path& path, Communicator& ranks);

// The first rank fetches weights and takes pictures out of stores.
StartModel load_start_model(const Context& ctx, const FineTuneOptions& options);
std::unique_ptr<DataFolders> open_data_folders(const FineTuneOptions& options,
                                               const std::filesystem::path& run, Communicator& ranks);

// Throws FileError where ranks have other images, or other options, than the first one.
DataSet read_images(FineTuneOptions options, const DataFolders& folders, std::int64_t size,
                    Communicator& ranks);

}  // namespace pila
