// What a service manager is told (systemd's protocol sd_notify); nothing where there is none.
#pragma once

#include <string>

namespace pila {

// The socket is that of NOTIFY_SOCKET. state: "READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=..."; several
// are separated by line ends.
void notify_service(const std::string& state);

}  // namespace pila
