#include "apps/training/store_snapshot.h"

#include "apps/core/command.h"
#include "apps/store/store_pictures.h"

namespace fs = std::filesystem;

namespace pila {

std::vector<fs::path> data_folders(const FineTuneOptions& options, const fs::path& run,
                                   const NoteHook& note) {
  std::vector<fs::path> folders;
  for (const fs::path& data : options.data) {
    const fs::path snapshot = run / ("pictures-" + std::to_string(folders.size() + 1));
    std::error_code ignored;
    if (!fs::exists(snapshot, ignored)) {
      if (!looks_like_store(data)) {
        folders.push_back(data);
        continue;
      }
      const ExportedPictures exported =
          export_pictures(data, snapshot, {options.store_verdicts, false}, [] { return !interrupted(); });
      for (const std::string& warning : exported.warnings) note(warning);
      note(data.string() + ": " + std::to_string(exported.pictures) + " pictures, kept in " +
           snapshot.string());
    }
    folders.push_back(snapshot);
  }
  return folders;
}

}  // namespace pila
