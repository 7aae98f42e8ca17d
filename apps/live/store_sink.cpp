#include "apps/live/store_sink.h"

#include <chrono>
#include <exception>
#include <utility>

namespace pila {
namespace {

constexpr std::size_t kWaitingItems = 64;
constexpr char kAlarm[] = "store";

}  // namespace

StoreSink::StoreSink(Store& store, std::string source, double doubtful_below, Alarms& alarms)
    : store_(store),
      source_(std::move(source)),
      doubtful_below_(doubtful_below),
      alarms_(alarms),
      worker_(kWaitingItems) {}

void StoreSink::item(const ItemReport& report) {
  const Item& item = report.item;
  StoredItem stored;
  stored.time = std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
  stored.source = source_;
  stored.label = report.label;
  stored.probability = static_cast<double>(item.probabilities[item.label]);
  stored.probabilities = item.probabilities;
  stored.frames = item.frames;
  stored.model = model_;
  stored.doubtful = !item.recognised || stored.probability < doubtful_below_;
  const bool taken = worker_.try_push([this, stored = std::move(stored), picture = item.picture] {
    try {
      store_.add(stored, picture);
      alarms_.over(kAlarm);
    } catch (const std::exception& error) {
      alarms_.raise(kAlarm, error.what());
    }
  });
  if (!taken) alarms_.raise(kAlarm, "the store is too slow; items are not kept");
}

}  // namespace pila
