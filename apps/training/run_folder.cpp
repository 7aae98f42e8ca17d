#include "apps/training/run_folder.h"

#include <span>
#include <system_error>

#include "engine/core/error.h"
#include "weights/atomic_file.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

// Better now than after an hour of training.
void check_writable(const fs::path& folder) {
  const fs::path probe = folder / ".pila-probe";
  write_text_file(probe, "");
  std::error_code ignored;
  fs::remove(probe, ignored);
}

}  // namespace

RunFolder RunFolder::create(const fs::path& path) {
  RunFolder run{path};
  std::error_code error;
  if (fs::exists(run.checkpoint(), error)) {
    throw FileError(path.string() + ": holds a run already; go on with --resume " + path.string() +
                    ", or name another --out");
  }
  fs::create_directories(path, error);
  if (error) throw FileError(path.string() + ": cannot be made: " + error.message());
  const bool empty = fs::is_empty(path, error);
  if (error) throw FileError(path.string() + ": cannot be read: " + error.message());
  if (!empty) throw FileError(path.string() + ": an empty or new folder is expected for --out");
  check_writable(path);
  return run;
}

RunFolder RunFolder::open(const fs::path& path) {
  RunFolder run{path};
  std::error_code ignored;
  if (!fs::exists(run.checkpoint(), ignored)) {
    throw FileError(path.string() + ": holds no run to go on with (no last.ckpt)");
  }
  check_writable(path);
  remove_partial_files(run.checkpoint());
  remove_partial_files(run.model());
  return run;
}

void write_text_file(const fs::path& file, const std::string& text) {
  write_atomically(file, std::as_bytes(std::span(text.data(), text.size())));
}

}  // namespace pila
