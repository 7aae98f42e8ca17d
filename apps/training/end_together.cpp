#include "apps/training/end_together.h"

#include "apps/core/command.h"

namespace pila {

int end_together(Communicator& ranks, const std::string& program, const std::function<int()>& work) {
  try {
    return work();
  } catch (const std::exception&) {
    if (ranks.alone()) throw;
    constexpr std::chrono::seconds kPatience(5);
    const Failure failure = failure_of(std::current_exception());
    const auto others = ranks.meet(failure.message, kPatience);
    if (others == failure.message) throw;
    print_failure(program, "process " + std::to_string(ranks.rank()) + ": " + failure.message);
    if (!others) ranks.abort(failure.code);
    throw;
  }
}

}  // namespace pila
