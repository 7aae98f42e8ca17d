// The images of a run, read once, and how they are divided.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "apps/data/image_cache.h"
#include "apps/data/image_folder.h"
#include "apps/training/options.h"

namespace pila {

using NoteHook = std::function<void(const std::string& line)>;

// All images of a run at the network's input size. Indices are those of the cache.
struct DataSet {
  std::string name;  // of its folders, for people
  std::vector<std::string> classes;
  std::vector<std::int32_t> labels;
  std::vector<Part> parts;
  std::vector<std::int64_t> groups;  // images of one group stay on one side
  std::vector<DuplicatePair> twins;  // near-duplicates
  std::unique_ptr<ImageCache> cache;
  std::string fingerprint;

  std::vector<std::size_t> readable() const;
};

// Of options.data, which are folders alone: see data_folders(). Throws FileError for a folder that cannot be
// trained on, UsageError for options that do not fit it. Broken files are noted and left out.
DataSet read_data_set(const FineTuneOptions& options, std::int64_t size, const NoteHook& note,
                      const ReadingHooks& reading);

// One round of training: what is trained on, and what is held out to measure it.
struct Round {
  std::vector<std::size_t> train, held_out;
};

struct Division {
  std::vector<Round> rounds;      // one, or one for each fold
  std::vector<std::size_t> test;  // never trained on; may be empty
  bool by_folder = false;         // the folder came divided
  std::vector<std::size_t> all_but_test() const;
};

// By the folder's own parts where it has some, else at random by options.split_seed(). Near-duplicates that
// end up on both sides are noted; with options.group_duplicates those that the folder's own parts tear apart
// are not trained on. Throws FileError for a class that has nothing to train on, UsageError for folds of a
// folder that came divided.
Division divide(const DataSet& data, const FineTuneOptions& options, const NoteHook& note);

// {"classes": [...], "train": [{"file": ..., "label": ...}, ...], "validation": [...], "test": [...]} of the
// first round.
std::string split_json(const DataSet& data, const Division& division);

}  // namespace pila
