// What a person has to know while the work goes on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>

namespace pila {

// For any number of threads.
class Alarms {
 public:
  using Listener = std::function<void(const std::string& line)>;
  explicit Alarms(Listener listener) : listener_(std::move(listener)) {}

  // Told each time.
  void tell(const std::string& line);
  // Told at once, but only once for each kind until that is over.
  void raise(const std::string& kind, const std::string& line);
  void over(const std::string& kind);
  // How often tell() and raise() were called, told or not.
  std::int64_t count() const;

 private:
  const Listener listener_;
  mutable std::mutex mutex_;
  std::map<std::string, bool> on_;
  std::int64_t count_ = 0;
};

}  // namespace pila
