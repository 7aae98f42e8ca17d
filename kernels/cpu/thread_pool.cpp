#include "kernels/cpu/thread_pool.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <latch>
#include <mutex>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <sched.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace pila::kernels::cpu {
namespace {

constexpr auto kSpin = std::chrono::microseconds(200);

void relax() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Polls for at most kSpin; true when the condition came true.
template <class Condition>
bool spin(const Condition& condition) {
  if (condition()) return true;
  const auto end = std::chrono::steady_clock::now() + kSpin;
  do {
    for (int i = 0; i < 16; ++i) {
      if (condition()) return true;
      relax();
    }
  } while (std::chrono::steady_clock::now() < end);
  return false;
}

// The core that this thread runs on; below zero where that is not known.
int current_core() {
#if defined(__linux__)
  return sched_getcpu();
#else
  return -1;
#endif
}

// Moves this thread to another core that it may use, if there is one, and leaves to the system where it goes
// from there.
void leave_core([[maybe_unused]] int core) {
#if defined(__linux__)
  cpu_set_t all;
  if (sched_getaffinity(0, sizeof all, &all) != 0) return;
  cpu_set_t others = all;
  CPU_CLR(static_cast<std::size_t>(core), &others);
  if (CPU_COUNT(&others) == 0 || sched_setaffinity(0, sizeof others, &others) != 0) return;
  sched_setaffinity(0, sizeof all, &all);
#endif
}

}  // namespace

// A call of run() opens the gate, and workers that see it open walk in and take indices. When none is left
// the caller closes the gate and waits for those inside only: a worker that wakes too late holds nobody up.
struct ThreadPool::State {
  explicit State(int workers) : threads(workers) {
    crew.reserve(static_cast<std::size_t>(threads - 1));
    for (int worker = 1; worker < threads; ++worker) {
      crew.emplace_back([this, worker] {
        started.count_down();
        serve(worker);
      });
    }
    // A thread on its way up holds locks of the C library, which a fork would copy shut into the child.
    started.wait();
  }

  ~State() {
    stop.store(true);
    {
      const std::lock_guard lock(mutex);
      wake.notify_all();
    }
    for (auto& thread : crew) thread.join();
  }

  void run(std::int64_t size, const void* with, Erased call) {
    // Nothing is shared without a crew: several threads may be here at once, as plans with a workspace for
    // each are.
    if (threads == 1) {
      for (std::int64_t index = 0; index < size; ++index) call(with, index, 0);
      return;
    }
    const std::lock_guard turn(turns);
    if (size <= 1) {
      if (size == 1) call(with, 0, 0);
      return;
    }
    body = call;
    context = with;
    count = size;
    next.store(0, std::memory_order_relaxed);
    callers_core.store(current_core(), std::memory_order_relaxed);
    gate.store((gate.load(std::memory_order_relaxed) + kOpening) | kOpen);
    if (sleepers.load() > 0) {
      const std::lock_guard lock(mutex);
      wake.notify_all();
    }
    work(0);
    gate.fetch_and(~kOpen);
    const auto left = [this] { return inside(gate.load()) == 0; };
    if (!wait(left)) {
      std::unique_lock lock(mutex);
      done.wait(lock, left);
    }
  }

  void serve(int worker) {
    std::uint64_t seen = 0;
    for (;;) {
      const auto called = [&] { return stop.load() || opening(gate.load()) != seen; };
      if (!wait(called)) {
        std::unique_lock lock(mutex);
        sleepers.fetch_add(1);
        wake.wait(lock, called);
        sleepers.fetch_sub(1);
      }
      if (stop.load()) return;
      make_way();
      if (enter(seen)) {
        work(worker);
        leave();
      }
    }
  }

  // The system likes to wake threads on the core of whoever wakes them; there they would take turns.
  void make_way() const {
    const int core = current_core();
    if (core >= 0 && core == callers_core.load(std::memory_order_relaxed)) leave_core(core);
  }

  // Walks in where the gate is open; notes which opening was seen.
  bool enter(std::uint64_t& seen) {
    std::uint64_t now = gate.load();
    for (;;) {
      seen = opening(now);
      if ((now & kOpen) == 0) return false;
      if (gate.compare_exchange_weak(now, now + 1)) return true;
    }
  }

  void leave() {
    const std::uint64_t before = gate.fetch_sub(1);
    if ((before & kOpen) == 0 && inside(before) == 1) {
      const std::lock_guard lock(mutex);
      done.notify_one();
    }
  }

  void work(int worker) {
    for (;;) {
      const std::int64_t index = next.fetch_add(1, std::memory_order_relaxed);
      if (index >= count) return;
      body(context, index, worker);
    }
  }

  // Spins where every worker can have a core of its own; elsewhere it would only delay the others.
  template <class Condition>
  bool wait(const Condition& condition) const {
    return spins ? spin(condition) : condition();
  }

  // The gate: how many workers are inside, whether it is open, and how often it was opened.
  static constexpr std::uint64_t kOpen = 1u << 16;
  static constexpr std::uint64_t kOpening = 1u << 17;
  static std::uint64_t inside(std::uint64_t gate) { return gate & (kOpen - 1); }
  static std::uint64_t opening(std::uint64_t gate) { return gate / kOpening; }

  const int threads;
  const bool spins = threads <= static_cast<int>(std::thread::hardware_concurrency());

  // One call's work: written while the gate is closed and nobody inside.
  Erased body = nullptr;
  const void* context = nullptr;
  std::int64_t count = 0;

  alignas(64) std::atomic<std::int64_t> next{0};
  alignas(64) std::atomic<std::uint64_t> gate{0};
  std::atomic<int> sleepers{0};
  std::atomic<int> callers_core{-1};
  std::atomic<bool> stop{false};

  std::mutex turns;  // held by the calling thread for its whole call
  std::mutex mutex;  // guards going to sleep
  std::condition_variable wake, done;
  std::latch started{threads - 1};
  std::vector<std::thread> crew;
};

ThreadPool::ThreadPool(int threads)
    : state_(std::make_unique<State>(
          threads > 0 ? threads : std::max(1, static_cast<int>(std::thread::hardware_concurrency())))) {}

ThreadPool::~ThreadPool() = default;

int ThreadPool::threads() const { return state_->threads; }

void ThreadPool::run_erased(std::int64_t count, const void* context, Erased body) {
  state_->run(count, context, body);
}

}  // namespace pila::kernels::cpu
