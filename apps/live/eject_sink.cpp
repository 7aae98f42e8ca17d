#include "apps/live/eject_sink.h"

#include <algorithm>

namespace pila {
namespace {

using Clock = std::chrono::steady_clock;

Clock::duration seconds(double value) {
  return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(value));
}

constexpr std::chrono::milliseconds kLongestWait{10'000};

}  // namespace

EjectSink::EjectSink(const std::vector<std::string>& uris, Alarms& alarms) : alarms_(alarms) {
  for (const std::string& uri : uris) {
    auto ejector = open_ejector(uri);
    const std::string name = ejector->describe();
    queues_.push_back(std::make_unique<EjectionQueue>(
        std::move(ejector), EjectionQueue::Options{},
        [this, name](const std::string& line) { alarms_.tell(name + ": " + line); }));
  }
}

void EjectSink::frame(const FrameReport& report) {
  origin_ = report.frame.arrived - seconds(report.frame.seconds);
}

void EjectSink::item(const ItemReport& report) {
  if (report.bin.empty() || !report.fire_at || report.missed) return;
  const Item& item = report.item;
  const Shot shot{.bin = report.bin,
                  .item = item.number,
                  .label = report.label,
                  .probability = static_cast<double>(item.probabilities[item.label]),
                  .due = origin_ + seconds(*report.fire_at)};
  for (const auto& queue : queues_) queue->schedule(shot);
}

void EjectSink::finish() {
  for (const auto& queue : queues_) queue->drain(kLongestWait);
}

EjectionQueue::Counts EjectSink::counts() const {
  EjectionQueue::Counts sum;
  for (const auto& queue : queues_) {
    const auto counts = queue->counts();
    sum.fired += counts.fired;
    sum.late += counts.late;
    sum.failed += counts.failed;
    sum.refused += counts.refused;
    sum.worst_delay_ms = std::max(sum.worst_delay_ms, counts.worst_delay_ms);
  }
  return sum;
}

}  // namespace pila
