// A connection to an MQTT broker that is kept up in the background.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "apps/eject/device_uri.h"

namespace pila {

// Every connection is a new session: nothing that an earlier one could not deliver is ever sent again.
class MqttConnection {
 public:
  // From the connection's thread. `kept`: the broker had it before we came.
  using OnMessage = std::function<void(const std::string& topic, const std::string& payload, bool kept)>;

  // Connects and subscribes, now and after every loss, to `subscription`; empty: to nothing. Throws
  // UsageError for a query that MQTT does not have, and a cafile that cannot be read.
  MqttConnection(const DeviceUri& uri, const std::string& subscription, OnMessage on_message);
  ~MqttConnection();
  MqttConnection(const MqttConnection&) = delete;
  MqttConnection& operator=(const MqttConnection&) = delete;

  // Returns when the broker has it; throws Error when it does not within a second, or there is no connection
  // now. For one thread at a time.
  void publish(const std::string& topic, const std::string& payload);
  // Why there is no connection, or no subscription yet; empty when there is.
  std::string trouble() const;
  std::string describe() const;  // "MQTT broker host:port"

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Wildcards: where one subscribes.
bool is_mqtt_topic(const std::string& topic, bool wildcards);
// The path of the URI, decoded. Throws UsageError when that is no topic, or has wildcards where it must not.
std::string mqtt_topic(const DeviceUri& uri, bool wildcards);

}  // namespace pila
