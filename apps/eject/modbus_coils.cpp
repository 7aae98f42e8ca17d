// Coils of a Modbus server, by TCP.
#include <fmt/format.h>
#include <modbus.h>
#include <poll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "apps/eject/kinds.h"
#include "apps/eject/pulse_ejector.h"
#include "engine/core/error.h"

namespace pila {
namespace {

constexpr int kStandardPort = 502, kLastCoil = 65535;
constexpr std::uint32_t kAnswerMicroseconds = 250'000;

class ModbusCoils : public OutputDevice {
 public:
  ModbusCoils(std::string host, int port, int unit, std::vector<int> coils)
      : host_(std::move(host)), port_(port), unit_(unit), coils_(std::move(coils)) {}
  ~ModbusCoils() override { ModbusCoils::close(); }

  void open() override {
    modbus_ = modbus_new_tcp_pi(host_.c_str(), std::to_string(port_).c_str());
    if (modbus_ == nullptr || modbus_set_slave(modbus_, unit_) != 0) fail("not reached");
    modbus_set_response_timeout(modbus_, 0, kAnswerMicroseconds);  // that of connecting, too
    if (modbus_connect(modbus_) != 0) fail("not reached");
    for (const int coil : coils_) set(coil, false);
  }

  void close() override {
    if (modbus_ == nullptr) return;
    // What a server has not taken yet, it never gets: it would be late.
    const linger at_once = {1, 0};
    setsockopt(modbus_get_socket(modbus_), SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    modbus_close(modbus_);
    modbus_free(modbus_);
    modbus_ = nullptr;
  }

  // Whatever there is to be read when nothing was asked for, above all the end, is a bad sign.
  bool alive() override {
    pollfd state = {modbus_get_socket(modbus_), POLLIN, 0};
    return poll(&state, 1, 0) == 0;
  }

  void set(int coil, bool on) override {
    if (modbus_write_bit(modbus_, coil, on) != 1) fail(fmt::format("coil {} not written", coil));
  }

  std::string describe() const override {
    return fmt::format("Modbus server {}:{}, unit {}", host_, port_, unit_);
  }

 private:
  [[noreturn]] static void fail(const std::string& what) {
    // What the library leaves when connecting takes too long.
    const int error = errno == EINPROGRESS ? ETIMEDOUT : errno;
    throw Error(fmt::format("{}: {}", what, modbus_strerror(error)));
  }

  const std::string host_;
  const int port_, unit_;
  const std::vector<int> coils_;
  modbus_t* modbus_ = nullptr;
};

}  // namespace

std::unique_ptr<Ejector> make_modbus_ejector(const DeviceUri& uri) {
  allow_only(uri, {"pulse_ms"}, false, true);
  if (uri.path.size() != 2) throw UsageError(uri.shown + ": expected modbus://host/unit/bin=coil,...");
  const int unit = parse_number(uri.path[0], 0, 255, "unit", uri.shown);
  if (unit > 247 && unit < 255) throw UsageError(uri.shown + ": expected 0..247 or 255 for unit");
  const auto bins = parse_outputs(uri.path[1], kLastCoil, uri.shown);
  return make_pulse_ejector(std::make_unique<ModbusCoils>(uri.host, uri.port == 0 ? kStandardPort : uri.port,
                                                          unit, outputs_of(bins)),
                            bins, pulse_of(uri));
}

}  // namespace pila
