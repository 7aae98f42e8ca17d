// A listening socket, and the sockets that came of it.
#pragma once

#include <mutex>
#include <set>
#include <string>

namespace pila {

class Listener {
 public:
  // Throws Error, the address first.
  Listener(const std::string& host, int port);
  ~Listener();
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  int port() const { return port_; }
  int descriptor() const { return descriptor_; }
  // Waits for a client; -1 after stop(). From any number of threads.
  int accept();
  void close(int client);
  // Wakes whoever waits for a client, or on one.
  void stop();
  bool stopped() const;

 private:
  int descriptor_ = -1, port_ = 0;
  mutable std::mutex mutex_;
  std::set<int> clients_;
  bool stopped_ = false;
};

// Whether every address of that name is this machine's own. Throws Error for a name that has none.
bool is_loopback(const std::string& host);

}  // namespace pila
