// Items into a store.
#pragma once

#include <memory>
#include <string>

#include "apps/core/alarms.h"
#include "apps/core/background_worker.h"
#include "apps/live/sink.h"
#include "apps/store/store.h"

namespace pila {

// Writes behind the caller's back. What cannot be written, as on a full disk, is an alarm, and the items are
// lost.
class StoreSink : public Sink {
 public:
  // doubtful_below: an item that is less probable, or not recognised, is doubtful. The store has to live as
  // long.
  StoreSink(Store& store, std::string source, double doubtful_below, Alarms& alarms);
  void item(const ItemReport& report) override;
  void finish() override { worker_.drain(); }
  // The hash of the model that decides from here on.
  void set_model(std::string hash) { model_ = std::move(hash); }

 private:
  Store& store_;
  const std::string source_;
  const double doubtful_below_;
  Alarms& alarms_;
  std::string model_;
  BackgroundWorker worker_;
};

}  // namespace pila
