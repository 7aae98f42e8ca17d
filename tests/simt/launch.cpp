#include "tests/simt/launch.h"

#include <mutex>
#include <set>
#include <string>

#include "tests/simt/memory.h"

namespace pila::simt {
namespace {

// A status outlives the program's main.
kernels::Status keep(const std::string& text) {
  static std::mutex mutex;
  static auto& texts = *new std::set<std::string>;
  const std::lock_guard lock(mutex);
  return texts.insert(text).first->c_str();
}

}  // namespace

kernels::Status launch(const GridShape& shape, const kernels::Stream& stream,
                       const std::function<void()>& kernel) {
  const auto& on = static_cast<const Stream&>(stream);
  return on.queue([shape, schedule = on.schedule(), kernel]() -> kernels::Status {
    const std::string fault = run_grid(shape, schedule, kernel);
    return fault.empty() ? nullptr : keep("[simt] " + fault);
  });
}

}  // namespace pila::simt
