// A mosquitto broker on a loopback port of its own.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/apps/process.h"

namespace pila::test {

class MqttBroker {
 public:
  // Empty when mosquitto is not installed.
  static std::string program(const std::string& name = "mosquitto");

  // Lines of its configuration, behind the listener's own. Throws std::runtime_error when it does not start.
  explicit MqttBroker(const std::vector<std::string>& configuration);
  ~MqttBroker() { kill(); }
  MqttBroker(const MqttBroker&) = delete;
  MqttBroker& operator=(const MqttBroker&) = delete;

  void kill();
  void start();          // on the same port
  void hang(bool does);  // or go on
  int port() const { return port_; }

 private:
  // False when it ended, as with a port that is taken.
  bool try_start();

  TemporaryFolder folder_;
  const std::vector<std::string> configuration_;
  int port_ = 0;
  pid_t process_ = 0;
};

}  // namespace pila::test
