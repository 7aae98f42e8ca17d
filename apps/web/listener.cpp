#include "apps/web/listener.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <memory>
#include <thread>

#include "engine/core/error.h"

namespace pila {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses addresses_of(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const int error = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  if (error != 0) throw Error(host + ": no address to listen at: " + gai_strerror(error));
  return {found, &freeaddrinfo};
}

bool is_loopback_address(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(v4.sin_addr.s_addr) >> 24 == 127;
  }
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&reinterpret_cast<const sockaddr_in6&>(address).sin6_addr);
}

int port_of(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  if (getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return 0;
  return ntohs(address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                             : reinterpret_cast<sockaddr_in&>(address).sin_port);
}

// -1 with errno where that fails.
int listen_at(const addrinfo& address) {
  constexpr int kBacklog = 64, kOn = 1;
  const int descriptor = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, address.ai_protocol);
  if (descriptor < 0) return -1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn);
  if (bind(descriptor, address.ai_addr, address.ai_addrlen) == 0 && listen(descriptor, kBacklog) == 0) {
    return descriptor;
  }
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  return -1;
}

}  // namespace

Listener::Listener(const std::string& host, int port) {
  const Addresses addresses = addresses_of(host, port);
  for (const addrinfo* address = addresses.get(); address != nullptr && descriptor_ < 0;
       address = address->ai_next) {
    descriptor_ = listen_at(*address);
  }
  if (descriptor_ < 0) {
    throw Error(host + ":" + std::to_string(port) + ": cannot listen there: " + std::strerror(errno));
  }
  port_ = port_of(descriptor_);
}

Listener::~Listener() { ::close(descriptor_); }

int Listener::accept() {
  while (!stopped()) {
    const int client = accept4(descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
    if (client < 0) {
      // Out of descriptors, or a client that is gone already: both pass.
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
      continue;
    }
    const std::lock_guard lock(mutex_);
    if (!stopped_) {
      clients_.insert(client);
      return client;
    }
    ::close(client);
  }
  return -1;
}

void Listener::close(int client) {
  const std::lock_guard lock(mutex_);
  clients_.erase(client);
  ::close(client);
}

void Listener::stop() {
  const std::lock_guard lock(mutex_);
  stopped_ = true;
  shutdown(descriptor_, SHUT_RDWR);
  for (const int client : clients_) shutdown(client, SHUT_RDWR);
}

bool Listener::stopped() const {
  const std::lock_guard lock(mutex_);
  return stopped_;
}

bool is_loopback(const std::string& host) {
  const Addresses addresses = addresses_of(host, 0);
  for (const addrinfo* address = addresses.get(); address != nullptr; address = address->ai_next) {
    if (!is_loopback_address(*address->ai_addr)) return false;
  }
  return true;
}

}  // namespace pila
