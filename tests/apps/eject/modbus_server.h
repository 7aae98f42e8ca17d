// A Modbus server with coils, on a port of its own.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pila::test {

class ModbusServer {
 public:
  struct Write {
    int coil;
    bool on;
    std::chrono::steady_clock::time_point when;
  };
  // port 0: one that is free. Coils 0..coils - 1. Throws std::runtime_error.
  explicit ModbusServer(int coils, int port = 0);
  ~ModbusServer();  // connections end

  int port() const;
  void answer(bool does);  // or take requests without a word, and do nothing
  std::vector<Write> writes() const;
  std::vector<std::pair<int, bool>> switched() const;  // the same without times

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// One below those that the system gives to outgoing connections, which would take it in a server's absence.
int free_port();

}  // namespace pila::test
