#include "bench/layers/turns.h"

#include <algorithm>
#include <chrono>
#include <ctime>
#include <stdexcept>
#include <thread>

namespace pila::bench {
namespace {

double process_seconds() {
  timespec time{};
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

// Threads of pools spin for a while after their work, and would take the next one's processors.
void wait_for_idle_threads() {
  constexpr std::chrono::milliseconds kStep(1);
  for (int steps = 0; steps < 100; ++steps) {
    const double before = process_seconds();
    std::this_thread::sleep_for(kStep);
    if (process_seconds() - before < 0.0002) return;
  }
}

// A number of runs, timed together.
class Turn {
 public:
  Turn(const Context& ctx, Call& call, double seconds)
      : ctx_(ctx), call_(call), before_(api().create_event()), after_(api().create_event()) {
    call_.run();  // what is done once only
    for (constexpr int kMost = 100'000; runs_ < kMost; runs_ *= 2) {
      if (timed([&] { run_all(); }) * runs_ >= seconds) break;
    }
    if (api().captures()) capture();
  }

  // Seconds of one run.
  double take() {
    if (captured_) {
      captured_->launch(stream());
      return timed([&] { captured_->launch(stream()); });
    }
    wait_for_idle_threads();
    for (int i = 0; i < std::max(1, runs_ / 8); ++i) call_.run();
    return timed([&] { run_all(); });
  }

 private:
  kernels::DeviceApi& api() const { return ctx_.device()->api(); }
  kernels::Stream& stream() const { return ctx_.stream(); }
  void capture() {
    api().begin_capture(stream());
    try {
      run_all();
    } catch (...) {
      try {
        api().end_capture(stream());  // the stream must be usable again
      } catch (const std::runtime_error&) {
      }
      throw;
    }
    captured_ = api().end_capture(stream());
  }
  void run_all() {
    for (int i = 0; i < runs_; ++i) call_.run();
  }
  // What other processes take of a single thread's time does not count; of several threads' it has to, as
  // they wait for each other.
  template <class Work>
  double timed(const Work& work) {
    const double processor_before = process_seconds();
    before_->record(stream());
    work();
    after_->record(stream());
    const double seconds = after_->milliseconds_since(*before_) / 1e3;
    const bool on_processor = ctx_.device()->name() == "cpu";
    return (on_processor ? std::min(seconds, process_seconds() - processor_before) : seconds) / runs_;
  }

  Context ctx_;
  Call& call_;
  int runs_ = 1;
  std::unique_ptr<kernels::Event> before_, after_;
  std::unique_ptr<kernels::CapturedWork> captured_;
};

}  // namespace

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::ranges::nth_element(values, middle);
  return *middle;
}

std::vector<double> time_in_turns(const Context& ctx, const std::vector<Call*>& calls, int rounds,
                                  double seconds) {
  std::vector<Turn> turns;
  for (Call* call : calls) turns.emplace_back(ctx, *call, seconds);
  std::vector<std::vector<double>> times(calls.size());
  for (int round = 0; round < rounds; ++round) {
    for (std::size_t i = 0; i < turns.size(); ++i) times[i].push_back(turns[i].take());
  }
  std::vector<double> medians;
  for (auto& all : times) medians.push_back(median(std::move(all)));
  return medians;
}

}  // namespace pila::bench
