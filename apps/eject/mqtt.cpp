// Shots to an MQTT broker, and signals from one.
#include <utility>

#include "apps/eject/kinds.h"
#include "apps/eject/mqtt_connection.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::steady_clock;

class MqttEjector : public Ejector {
 public:
  explicit MqttEjector(const DeviceUri& uri)
      : topic_(mqtt_topic(uri, false)), connection_(uri, "", nullptr) {}

  bool serves(const std::string& bin) const override { return is_mqtt_topic(topic_ + "/" + bin, false); }
  void fire(const Shot& shot) override {
    if (!serves(shot.bin)) throw Error(describe() + ": cannot have a bin " + shot.bin);
    connection_.publish(topic_ + "/" + shot.bin, to_json(shot, steady_clock::now()));
  }
  std::string describe() const override { return connection_.describe() + ", topic " + topic_; }

 private:
  const std::string topic_;
  MqttConnection connection_;
};

class MqttTrigger : public TriggerSignal {
 public:
  explicit MqttTrigger(const DeviceUri& uri) : uri_(uri), topic_(mqtt_topic(uri, true)) {
    allow_only(uri, {"cafile"}, true, true);
  }

  void start(Callback callback) override {
    if (started_) throw UsageError(describe() + ": was started before");
    started_ = true;
    connection_ = std::make_unique<MqttConnection>(
        uri_, topic_, [callback = std::move(callback)](const std::string&, const std::string&, bool kept) {
          if (!kept) callback(steady_clock::now());
        });
  }
  void stop() override { connection_.reset(); }
  std::string trouble() const override { return connection_ ? connection_->trouble() : "stopped"; }
  std::string describe() const override { return "MQTT topic " + topic_ + " of " + uri_.host; }

 private:
  const DeviceUri uri_;
  const std::string topic_;
  bool started_ = false;
  std::unique_ptr<MqttConnection> connection_;
};

}  // namespace

std::unique_ptr<Ejector> make_mqtt_ejector(const DeviceUri& uri) {
  return std::make_unique<MqttEjector>(uri);
}

std::unique_ptr<TriggerSignal> make_mqtt_trigger(const DeviceUri& uri) {
  return std::make_unique<MqttTrigger>(uri);
}

}  // namespace pila
