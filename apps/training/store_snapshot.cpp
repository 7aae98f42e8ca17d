#include "apps/training/store_snapshot.h"

#include "apps/core/command.h"
#include "apps/store/store_pictures.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

void take_out(const fs::path& store, const fs::path& snapshot, const FineTuneOptions& options,
              const NoteHook& note) {
  const ExportedPictures exported =
      export_pictures(store, snapshot, {options.store_verdicts, false}, [] { return !interrupted(); });
  for (const std::string& warning : exported.warnings) note(warning);
  note(store.string() + ": " + std::to_string(exported.pictures) + " pictures, kept in " + snapshot.string());
}

}  // namespace

DataFolders::DataFolders(const FineTuneOptions& options, const fs::path& run, const NoteHook& note)
    : DataFolders() {
  for (const fs::path& data : options.data) {
    const fs::path snapshot = run / ("pictures-" + std::to_string(paths_.size() + 1));
    std::error_code ignored;
    if (fs::exists(snapshot, ignored)) {
      paths_.push_back(snapshot);
    } else if (looks_like_store(data)) {
      take_out(data, snapshot, options, note);
      made_.push_back(snapshot);
      paths_.push_back(snapshot);
    } else {
      paths_.push_back(data);
    }
  }
}

DataFolders::~DataFolders() {
  std::error_code ignored;
  for (const fs::path& folder : made_) fs::remove_all(folder, ignored);
}

}  // namespace pila
