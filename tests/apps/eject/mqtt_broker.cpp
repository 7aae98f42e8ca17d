#include "tests/apps/eject/mqtt_broker.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <stdexcept>

#include "tests/apps/eject/modbus_server.h"
#include "tests/apps/eject/waiting.h"

namespace fs = std::filesystem;

namespace pila::test {

std::string MqttBroker::program(const std::string& name) {
  for (const char* folder : {"/usr/sbin/", "/usr/bin/", "/usr/local/sbin/", "/usr/local/bin/"}) {
    if (fs::exists(folder + name)) return folder + name;
  }
  return {};
}

MqttBroker::MqttBroker(const std::vector<std::string>& configuration) : configuration_(configuration) {
  for (int tries = 0; tries < 20; ++tries) {
    port_ = free_port();
    if (try_start()) return;
  }
  throw std::runtime_error("mosquitto does not start: " + read_text(folder_.path() / "log"));
}

void MqttBroker::kill() {
  if (process_ == 0) return;
  ::kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
  process_ = 0;
}

void MqttBroker::hang(bool does) { ::kill(process_, does ? SIGSTOP : SIGCONT); }

void MqttBroker::start() {
  if (!eventually([&] { return try_start(); })) throw std::runtime_error("mosquitto does not start again");
}

bool MqttBroker::try_start() {
  const fs::path config = folder_.path() / "mosquitto.conf", log = folder_.path() / "log";
  {
    std::ofstream file(config);
    // Its own user could not read a temporary folder of ours.
    file << "user root\nlistener " << port_ << " 127.0.0.1\n";
    for (const auto& line : configuration_) file << line << "\n";
  }
  fs::remove(log);
  const std::string broker = program();
  const pid_t parent = getpid();
  process_ = fork();
  if (process_ < 0) throw std::runtime_error("fork failed");
  if (process_ == 0) {
    // It does not outlive a test that is killed.
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(127);
    const int output = open(log.c_str(), O_WRONLY | O_CREAT, 0600);
    if (output < 0 || dup2(output, STDOUT_FILENO) < 0 || dup2(output, STDERR_FILENO) < 0) _exit(127);
    execl(broker.c_str(), broker.c_str(), "-c", config.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  bool ended = false;
  // It says so when its port is open.
  const bool decided = eventually([&] {
    ended = waitpid(process_, nullptr, WNOHANG) == process_;
    return ended || read_text(log).find(" running") != std::string::npos;
  });
  if (ended) process_ = 0;
  if (decided && !ended) return true;
  kill();
  return false;
}

}  // namespace pila::test
