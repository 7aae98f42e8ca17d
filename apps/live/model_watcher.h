// Takes up a model file that was replaced while the program runs.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "apps/core/alarms.h"
#include "apps/live/classifier.h"

namespace pila {

// A classifier, and the hash of the file that it is from.
struct KnownModel {
  std::unique_ptr<Classifier> classifier;
  std::string hash;
};

// check() is for one thread and take() for another.
class ModelWatcher {
 public:
  using Load = std::function<KnownModel()>;  // throws when the file is no good
  ModelWatcher(std::filesystem::path file, std::string hash, Load load, Alarms& alarms);

  // To be called now and then. Loads the file when it has changed and then stayed the same between two calls;
  // one that is no good is an alarm, and nothing else.
  void check();
  // The new model, if there is one; nothing in it otherwise.
  KnownModel take();

 private:
  struct Stamp {
    std::filesystem::file_time_type time;
    std::uintmax_t size = 0;
    bool operator==(const Stamp&) const = default;
  };
  Stamp stamp() const;  // of a missing file: zeros

  const std::filesystem::path file_;
  const Load load_;
  Alarms& alarms_;
  std::string hash_;        // of the last file that was looked at
  Stamp seen_, looked_at_;  // at the last check; when it was last loaded or refused
  std::mutex mutex_;
  KnownModel ready_;
};

}  // namespace pila
