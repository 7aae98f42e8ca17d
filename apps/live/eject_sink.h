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
  // bins: those that shots will be for. Throws UsageError for one that no ejector serves, and what
  // open_ejector() throws.
  EjectSink(const std::vector<std::string>& uris, const std::vector<std::string>& bins, Alarms& alarms);
  void frame(const FrameReport& report) override;
  void item(const ItemReport& report) override;
  void finish() override;  // waits for shots that are still to come, but not for ever
  EjectionQueue::Counts counts() const;

 private:
  struct Served {
    const Ejector* ejector;  // the queue's
    std::unique_ptr<EjectionQueue> queue;
  };
  void open(const std::string& uri);
  bool serves(const std::string& bin) const;

  Alarms& alarms_;
  std::vector<Served> ejectors_;
  std::chrono::steady_clock::time_point origin_;  // when the stream was at 0 seconds
};

}  // namespace pila
