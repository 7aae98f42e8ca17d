#include "tests/apps/eject/modbus_server.h"

#include <arpa/inet.h>
#include <modbus.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <mutex>
#include <random>
#include <stdexcept>
#include <thread>

namespace pila::test {

int free_port() {
  std::random_device random;
  for (int tries = 0; tries < 1000; ++tries) {
    const int port = 20000 + static_cast<int>(random() % 12000);
    const int socket_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int bound = bind(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
    close(socket_);
    if (bound == 0) return port;
  }
  throw std::runtime_error("no free port");
}

struct ModbusServer::State {
  int port = 0;
  modbus_t* modbus = nullptr;
  modbus_mapping_t* mapping = nullptr;
  int listener = -1;
  std::atomic<bool> stopping{false}, answers{true};
  mutable std::mutex mutex;
  std::vector<Write> writes;
  std::thread thread;

  // Whether there is something to be taken from the socket before the end.
  bool wait_for(int socket) const {
    while (!stopping) {
      pollfd state = {socket, POLLIN, 0};
      if (poll(&state, 1, 10) > 0) return true;
    }
    return false;
  }

  void serve_one() {
    std::array<std::uint8_t, MODBUS_TCP_MAX_ADU_LENGTH> request;
    while (wait_for(modbus_get_socket(modbus))) {
      const int length = modbus_receive(modbus, request.data());
      if (length < 0) break;
      if (length == 0 || !answers) continue;
      const std::size_t function = 7;  // behind the header, then the address and the value
      if (request[function] == MODBUS_FC_WRITE_SINGLE_COIL) {
        const std::lock_guard lock(mutex);
        writes.push_back({request[function + 1] * 256 + request[function + 2], request[function + 3] != 0,
                          std::chrono::steady_clock::now()});
      }
      modbus_reply(modbus, request.data(), length, mapping);
    }
    modbus_close(modbus);
  }

  void serve() {
    while (wait_for(listener)) {
      if (modbus_tcp_accept(modbus, &listener) >= 0) serve_one();
    }
    close(listener);
  }
};

ModbusServer::ModbusServer(int coils, int port) : state_(std::make_unique<State>()) {
  for (int tries = 0; tries < 100 && state_->listener < 0; ++tries) {
    state_->port = port == 0 ? free_port() : port;
    if (state_->modbus != nullptr) modbus_free(state_->modbus);
    state_->modbus = modbus_new_tcp("127.0.0.1", state_->port);
    state_->listener = modbus_tcp_listen(state_->modbus, 4);
  }
  if (state_->listener < 0) throw std::runtime_error("no Modbus server can be started");
  state_->mapping = modbus_mapping_new(coils, 0, 0, 0);
  state_->thread = std::thread([state = state_.get()] { state->serve(); });
}

ModbusServer::~ModbusServer() {
  state_->stopping = true;
  state_->thread.join();
  modbus_mapping_free(state_->mapping);
  modbus_free(state_->modbus);
}

int ModbusServer::port() const { return state_->port; }
void ModbusServer::answer(bool does) { state_->answers = does; }

std::vector<ModbusServer::Write> ModbusServer::writes() const {
  const std::lock_guard lock(state_->mutex);
  return state_->writes;
}

std::vector<std::pair<int, bool>> ModbusServer::switched() const {
  std::vector<std::pair<int, bool>> all;
  for (const auto& write : writes()) all.emplace_back(write.coil, write.on);
  return all;
}

}  // namespace pila::test
