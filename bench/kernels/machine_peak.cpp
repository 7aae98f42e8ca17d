// Compiled with -ffp-contract=fast: the products and sums here become fused multiply-adds.
#include "bench/kernels/machine_peak.h"

#include <algorithm>
#include <barrier>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <numeric>
#include <thread>
#include <vector>

namespace pila::bench {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif
typedef float Vector __attribute__((vector_size(kVectorBytes)));
constexpr int kLanes = kVectorBytes / sizeof(float);
constexpr int kChains = 12;  // latency of four cycles on two or three units
constexpr int kRepeats = 5;  // the best one counts: others may be using the machine

// Processor time of this thread: others who use the machine don't count.
double thread_seconds() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// How often in a second body(thread) could run, summed over threads that all do it at once; the best of each.
template <class Body>
double best_rate(int threads, const Body& body) {
  std::barrier sync(threads);
  std::vector<double> rates(static_cast<std::size_t>(threads));
  const auto work = [&](int thread) {
    double& best = rates[static_cast<std::size_t>(thread)];
    for (int i = 0; i < kRepeats; ++i) {
      sync.arrive_and_wait();
      const double start = thread_seconds();
      body(thread);
      best = std::max(best, 1 / (thread_seconds() - start));
    }
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; ++t) others.emplace_back(work, t);
  work(0);
  for (auto& thread : others) thread.join();
  return std::accumulate(rates.begin(), rates.end(), 0.0);
}

// Returns something of its sums, so that they are computed.
float multiply_add(std::int64_t steps) {
  Vector sums[kChains];
  for (int c = 0; c < kChains; ++c) sums[c] = Vector{} + static_cast<float>(c);
  const Vector factor = Vector{} + 0.999f, term = Vector{} + 0.001f;
  for (std::int64_t i = 0; i < steps; ++i) {
    for (int c = 0; c < kChains; ++c) sums[c] = sums[c] * factor + term;
  }
  float total = 0;
  for (const auto& sum : sums) {
    for (int lane = 0; lane < kLanes; ++lane) total += sum[lane];
  }
  return total;
}

}  // namespace

MachinePeak measure_machine_peak(int threads) {
  MachinePeak peak;
  constexpr std::int64_t kSteps = 10'000'000;
  std::vector<float> results(static_cast<std::size_t>(threads));
  const auto arithmetic = [&](int thread) {
    results[static_cast<std::size_t>(thread)] = multiply_add(kSteps);
  };
  peak.gflops = 2.0 * kChains * kLanes * kSteps * best_rate(threads, arithmetic) / 1e9;

  constexpr std::size_t kBytes = std::size_t{128} << 20;
  std::vector<std::vector<char>> from(static_cast<std::size_t>(threads), std::vector<char>(kBytes, 1));
  std::vector<std::vector<char>> to = from;  // both touched: no page is new to the copy
  const auto copying = [&](int thread) {
    const auto t = static_cast<std::size_t>(thread);
    std::memcpy(to[t].data(), from[t].data(), kBytes);
  };
  peak.gigabytes_per_s = 2.0 * kBytes * best_rate(threads, copying) / 1e9;
  return peak;
}

}  // namespace pila::bench
