#include "apps/training/end_together.h"

#include "apps/core/command.h"
#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::chrono::seconds kPatience(10);

}  // namespace

int end_together(Communicator& ranks, const std::string& program, const std::function<int()>& work) {
  try {
    return work();
  } catch (const std::exception&) {
    if (ranks.alone()) throw;
    const Failure failure = failure_of(std::current_exception());
    const auto others = ranks.meet(failure.message, kPatience);
    if (others == failure.message) throw;
    print_failure(program, "process " + std::to_string(ranks.rank()) + ": " + failure.message);
    if (!others) ranks.abort(failure.code);
    throw;
  }
}

void end_misused(const Launched& launched, int exit_code) {
  try {
    const auto ranks = join(launched);
    if (!ranks->meet("", kPatience)) ranks->abort(exit_code);
  } catch (const Error&) {
    return;  // they cannot find each other
  }
}

}  // namespace pila
