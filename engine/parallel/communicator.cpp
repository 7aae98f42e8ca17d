#include "engine/parallel/communicator.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>

#include "engine/core/context.h"
#include "engine/core/error.h"
#include "engine/core/tensor.h"

namespace pila {
namespace {

enum class Outcome : std::uint8_t { good, usage, file, other };

// What is thrown again on every rank.
[[noreturn]] void throw_as(Outcome outcome, const std::string& message) {
  if (outcome == Outcome::usage) throw UsageError(message);
  if (outcome == Outcome::file) throw FileError(message);
  throw Error(message);
}

using MachineName = std::array<char, 256>;

MachineName name_of_this_machine() {
  MachineName name = {};
  gethostname(name.data(), name.size() - 1);
  return name;
}

struct Place {
  MachineName machine = {};
  cpu_set_t cores = {};
};

Place place_of_this_process() {
  Place place;
  place.machine = name_of_this_machine();
  sched_getaffinity(0, sizeof place.cores, &place.cores);
  return place;
}

}  // namespace

std::string Communicator::first_ones(std::string text) {
  text.resize(first_ones(text.size()));
  broadcast(std::as_writable_bytes(std::span(text.data(), text.size())));
  return text;
}

bool Communicator::any(bool flag) {
  const std::vector<std::byte> flags = gather(std::as_bytes(std::span(&flag, 1)));
  return std::ranges::any_of(flags, [](std::byte set) { return set != std::byte{0}; });
}

void Communicator::sum(const Context& ctx, const Tensor& values) {
  if (tensor_sum_) return tensor_sum_->sum(ctx, values);
  std::vector<float> on_host = values.to_vector<float>(ctx);
  sum(on_host);
  values.assign(ctx, std::span<const float>(on_host));
}

void SingleProcess::abort(int exit_code) { std::_Exit(exit_code); }

void sum_over_ranks(Communicator& ranks, std::span<double> values) {
  const std::vector<double> all = ranks.gather_values(std::span<const double>(values));
  std::ranges::fill(values, 0);
  for (std::size_t i = 0; i < all.size(); ++i) values[i % values.size()] += all[i];
}

Share share_of(std::int64_t total, int rank, int size) {
  return {total * rank / size, total * (rank + 1) / size};
}

Share share_of(std::int64_t total, const Communicator& ranks) {
  return share_of(total, ranks.rank(), ranks.size());
}

void on_first(Communicator& ranks, const std::function<void()>& work) {
  if (ranks.alone()) return work();
  Outcome outcome = Outcome::good;
  std::string message;
  if (ranks.first()) {
    try {
      work();
    } catch (const UsageError& error) {
      outcome = Outcome::usage;
      message = error.what();
    } catch (const FileError& error) {
      outcome = Outcome::file;
      message = error.what();
    } catch (const std::exception& error) {
      outcome = Outcome::other;
      message = error.what();
    }
  }
  outcome = ranks.first_ones(outcome);
  if (outcome != Outcome::good) throw_as(outcome, ranks.first_ones(message));
}

int number_on_machine(Communicator& ranks) {
  const MachineName mine = name_of_this_machine();
  const std::vector<MachineName> all = ranks.gather_values(std::span(&mine, 1));
  return static_cast<int>(std::count(all.begin(), all.begin() + ranks.rank(), mine));
}

int threads_for(Communicator& ranks) {
  const Place mine = place_of_this_process();
  const std::vector<Place> places = ranks.gather_values(std::span(&mine, 1));
  double cores = 0;
  for (std::size_t core = 0; core < CPU_SETSIZE; ++core) {
    if (!CPU_ISSET(core, &mine.cores)) continue;
    cores += 1.0 / static_cast<double>(std::ranges::count_if(places, [&](const Place& place) {
               return place.machine == mine.machine && CPU_ISSET(core, &place.cores);
             }));
  }
  constexpr double kRounding = 1e-6;
  return std::max(1, static_cast<int>(cores + kRounding));
}

}  // namespace pila
