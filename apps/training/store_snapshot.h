// Where a run's photographs lie.
#pragma once

#include <filesystem>
#include <vector>

#include "apps/training/data_set.h"
#include "apps/training/options.h"

namespace pila {

// The folders of options.data; for the N-th, where it is a store, run/pictures-N with its pictures. They are
// taken out when the run begins, because a store goes on changing beside its belt, and a run that is resumed
// needs what it began with.
class DataFolders {
 public:
  // Throws FileError for a store without labelled pictures and for one that cannot be read.
  DataFolders(const FineTuneOptions& options, const std::filesystem::path& run, const NoteHook& note);
  // Removes what was taken out, unless keep() was called: a run that could not begin leaves its folder empty.
  ~DataFolders();
  DataFolders(const DataFolders&) = delete;
  DataFolders& operator=(const DataFolders&) = delete;

  const std::vector<std::filesystem::path>& paths() const { return paths_; }
  void keep() { made_.clear(); }

 private:
  DataFolders() = default;

  std::vector<std::filesystem::path> paths_, made_;
};

}  // namespace pila
