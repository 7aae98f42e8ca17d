#include "apps/live/model_watcher.h"

#include <exception>
#include <utility>

#include "weights/md5.h"

namespace fs = std::filesystem;

namespace pila {

ModelWatcher::ModelWatcher(fs::path file, std::string hash, Load load, Alarms& alarms)
    : file_(std::move(file)),
      load_(std::move(load)),
      alarms_(alarms),
      hash_(std::move(hash)),
      seen_(stamp()),
      looked_at_(seen_) {}

ModelWatcher::Stamp ModelWatcher::stamp() const {
  std::error_code error;
  Stamp now{fs::last_write_time(file_, error), 0};
  if (error) return {};
  now.size = fs::file_size(file_, error);
  return error ? Stamp{} : now;
}

void ModelWatcher::check() {
  const Stamp now = stamp();
  const bool settled = now == std::exchange(seen_, now);
  if (!settled || now == looked_at_ || now == Stamp{}) return;
  looked_at_ = now;
  const std::string kind = file_.string();
  try {
    if (md5_of_file(file_) == hash_) return;
    KnownModel model = load_();
    hash_ = model.hash;
    alarms_.over(kind);
    const std::lock_guard lock(mutex_);
    ready_ = std::move(model);
  } catch (const std::exception& error) {
    alarms_.raise(kind, std::string(error.what()) + "; the model in use stays");
  }
}

KnownModel ModelWatcher::take() {
  const std::lock_guard lock(mutex_);
  return std::exchange(ready_, {});
}

}  // namespace pila
