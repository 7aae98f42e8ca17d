// A signal from outside: an item is under the camera.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

namespace pila {

class TriggerSignal {
 public:
  // When the signal came.
  using Callback = std::function<void(std::chrono::steady_clock::time_point)>;

  virtual ~TriggerSignal() = default;  // stops
  // Calls for each signal from now on, from a thread of its own. Once; throws UsageError the second time. A
  // source that is away is looked for in the background: no signal comes meanwhile, see trouble().
  virtual void start(Callback callback) = 0;
  // Returns when no call is under way, and none comes any more. Not from the callback.
  virtual void stop() = 0;
  // What keeps signals from coming; empty when nothing does.
  virtual std::string trouble() const = 0;
  virtual std::string describe() const = 0;  // for people, in one line, without a password
};

// mqtt://[user:password@]host[:port]/topic or mqtts://...[?cafile=FILE]: any message to the topic, but for
// those that a broker had kept (retained); gpio://chip/line: a rising edge. Throws UsageError for another
// URI, and for a kind that this build lacks.
std::unique_ptr<TriggerSignal> open_trigger(const std::string& uri);

}  // namespace pila
