#include "bench/layers/contest.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "bench/layers/own.h"
#include "bench/layers/turns.h"
#include "engine/core/error.h"

namespace pila::bench {
namespace {

constexpr double kTurnSeconds = 2e-3;

std::vector<Problem> problems_of(const Task& task, const Setting& setting, const Library* library) {
  std::vector<Problem> problems;
  for (const LayerShape& layer : task.parts) {
    problems.push_back({layer, task.direction, setting.batch, setting.type,
                        library == nullptr ? Padding::keras : library->padding()});
  }
  return problems;
}

// A kernel for each layer; null where one is missing.
std::unique_ptr<Call> own_chain(const Context& ctx, const std::vector<Problem>& problems,
                                const std::vector<Operands>& operands) {
  std::vector<std::unique_ptr<Call>> calls;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    calls.push_back(own_layer(ctx, problems[i], operands[i]));
    if (!calls.back()) return nullptr;
  }
  return std::make_unique<Chain>(std::move(calls));
}

// The library's fastest way to compute a layer; null where it has none.
std::unique_ptr<Call> best_of(const Context& ctx, Library& library, const Problem& problem,
                              const Operands& operands) {
  constexpr int kTrials = 5;
  auto calls = library.calls(problem, operands);
  if (calls.size() == 1) return std::move(calls.front());
  std::unique_ptr<Call> best;
  double least = std::numeric_limits<double>::infinity();
  for (auto& call : calls) {
    try {
      const double seconds = time_in_turns(ctx, {call.get()}, kTrials, kTurnSeconds / 4).front();
      if (seconds < least) best = std::move(call), least = seconds;
    } catch (const Error&) {  // as where it can't be captured: the others may
    }
  }
  return best;
}

std::unique_ptr<Call> library_chain(const Context& ctx, Library& library,
                                    const std::vector<Problem>& problems,
                                    const std::vector<Operands>& operands) {
  std::vector<std::unique_ptr<Call>> calls;
  for (std::size_t i = 0; i < problems.size(); ++i) {
    calls.push_back(best_of(ctx, library, problems[i], operands[i]));
    if (!calls.back()) return nullptr;
  }
  return std::make_unique<Chain>(std::move(calls));
}

std::vector<float> result_of(const Context& ctx, Call& call, const Tensor& output) {
  call.deliver();
  return values_of(ctx, output);
}

// In units of the largest of the first; infinite where something is no number.
double largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
  double largest = std::numeric_limits<double>::min(), difference = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double apart = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
    if (!std::isfinite(apart)) return std::numeric_limits<double>::infinity();
    largest = std::max(largest, std::abs(static_cast<double>(a[i])));
    difference = std::max(difference, apart);
  }
  return difference / largest;
}

}  // namespace

const std::optional<Time>& time_of(const Row& row) { return row.ours ? row.ours : row.unfused; }

std::optional<double> ratio_of(const Row& row) {
  if (!row.theirs || !time_of(row)) return {};
  return row.theirs->seconds / time_of(row)->seconds;
}

// A sum of n products of random signs has partial sums of up to sqrt(n), and an addition's error is at most
// half a unit of them: sqrt(n) * unit of the largest result in all, as in a random walk, and four times that
// is never reached. Factors that are rounded add their own error, and storing a unit of the type, in each of
// the two results.
double tolerance(const Problem& problem, double factor_error) {
  constexpr double kUnit = 0x1p-23;
  const double stored = problem.type == DType::f16 ? 0x1p-10 : problem.type == DType::bf16 ? 0x1p-7 : kUnit;
  return 4 * kUnit * std::sqrt(terms_of(problem)) + 2 * factor_error + 2 * stored;
}

Row measure(const Context& ctx, const Task& task, const Setting& setting, Library* library) {
  Row row;
  row.task = task;
  row.work = work_of(task, setting.batch, setting.type);
  row.floor_seconds = floor_seconds(row.work, setting.roof);
  const auto problems = problems_of(task, setting, library);
  const auto operands = random_operands(ctx, problems);

  struct Contestant {
    std::optional<Time>& time;
    std::vector<Operands> operands;
    std::unique_ptr<Call> call;
  };
  std::vector<Contestant> contestants;
  const auto enter = [&](std::optional<Time>& time, const auto& make) {
    auto own = with_own_outputs(ctx, operands, task.direction);
    if (auto call = make(own)) contestants.push_back({time, std::move(own), std::move(call)});
  };
  enter(task.is_block() ? row.unfused : row.ours,
        [&](const auto& own) { return own_chain(ctx, problems, own); });
  if (task.is_block()) enter(row.ours, [&](const auto& own) { return own_block(ctx, problems, own); });
  if (library != nullptr) {
    enter(row.theirs, [&](const auto& own) { return library_chain(ctx, *library, problems, own); });
  }

  const double own_error = setting.products == Precision::tf32 ? 0x1p-11 : 0;
  const double factor_error = library == nullptr ? 0 : library->factor_error(setting.type);
  double allowed = 0;
  for (const Problem& problem : problems) allowed += tolerance(problem, std::max(own_error, factor_error));
  std::vector<float> first;
  std::vector<Call*> calls;
  for (Contestant& contestant : contestants) {
    const auto result =
        result_of(ctx, *contestant.call, output_of(contestant.operands.back(), task.direction));
    if (first.empty()) first = result;
    const double difference = largest_difference(first, result);
    if (!(difference <= allowed)) {
      throw Error("[profile] " + task.name + ", " + name_of(task.direction) + ": results of " +
                  contestants.front().call->name() + " and " + contestant.call->name() + " differ by " +
                  std::to_string(difference) + " of the largest, expected at most " +
                  std::to_string(allowed));
    }
    row.difference = std::max(row.difference, difference);
    calls.push_back(contestant.call.get());
  }
  const auto times = time_in_turns(ctx, calls, setting.rounds, kTurnSeconds);
  for (std::size_t i = 0; i < times.size(); ++i) {
    contestants[i].time = Time{times[i], contestants[i].call->name()};
  }
  return row;
}

}  // namespace pila::bench
