// Items to their ejectors, in time.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "apps/core/alarms.h"
#include "apps/eject/ejection_queue.h"
#include "apps/live/sink.h"

namespace pila {

class EjectSink : public Sink {
 public:
  EjectSink(const std::vector<std::string>& uris, Alarms& alarms);
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;
  void finish() override;  // waits for shots that are still to come, but not for ever
  EjectionQueue::Counts counts() const;

 private:
  Alarms& alarms_;
  std::vector<std::unique_ptr<EjectionQueue>> queues_;
  std::chrono::steady_clock::time_point origin_;  // when the stream was at 0 seconds
};

}  // namespace pila
