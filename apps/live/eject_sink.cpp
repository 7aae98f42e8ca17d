#include "apps/live/eject_sink.h"

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration duration_of(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

constexpr std::chrono::milliseconds kLongestWait{10'000};

}  // namespace

EjectSink::EjectSink(const std::vector<std::string>& uris, const std::vector<std::string>& bins,
                     Alarms& alarms)
    : alarms_(alarms) {
  for (const std::string& uri : uris) open(uri);
  for (const std::string& bin : bins) {
    if (!serves(bin)) throw UsageError("--bin: no ejector serves " + bin);
  }
}

void EjectSink::open(const std::string& uri) {
  auto ejector = open_ejector(uri);
  const Ejector* served = ejector.get();
  const std::string name = ejector->describe();
  auto alarm = [this, name](const std::string& line) { alarms_.tell(name + ": " + line); };
  ejectors_.push_back({served, std::make_unique<EjectionQueue>(std::move(ejector), EjectionQueue::Options{},
                                                               std::move(alarm))});
}

bool EjectSink::serves(const std::string& bin) const {
  return std::ranges::any_of(ejectors_, [&](const Served& served) { return served.ejector->serves(bin); });
}

void EjectSink::frame(const FrameReport& report) {
  origin_ = report.frame.arrived - duration_of(report.frame.seconds);
}

void EjectSink::item(const ItemReport& report) {
  if (report.bin.empty() || !report.fire_at || report.missed) return;
  const Item& item = report.item;
  const Shot shot{.bin = report.bin,
                  .item = item.number,
                  .label = report.label,
                  .probability = static_cast<double>(item.probabilities[item.label]),
                  .due = origin_ + duration_of(*report.fire_at)};
  for (const Served& served : ejectors_) {
    if (served.ejector->serves(report.bin)) served.queue->schedule(shot);
  }
}

void EjectSink::finish() {
  for (const Served& served : ejectors_) served.queue->drain(kLongestWait);
}

EjectionQueue::Counts EjectSink::counts() const {
  EjectionQueue::Counts sum;
  for (const Served& served : ejectors_) {
    const auto counts = served.queue->counts();
    sum.fired += counts.fired;
    sum.slow += counts.slow;
    sum.late += counts.late;
    sum.failed += counts.failed;
    sum.refused += counts.refused;
    sum.worst_delay_ms = std::max(sum.worst_delay_ms, counts.worst_delay_ms);
  }
  return sum;
}

}  // namespace pila
