// Shots to a real Modbus server that goes away and comes back; GPIO as far as it goes without a chip.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/eject/ejection_queue.h"
#include "apps/eject/trigger_signal.h"
#include "tests/apps/eject/modbus_server.h"
#include "tests/apps/eject/waiting.h"

namespace pila {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::error_of;
using test::eventually;
using test::fires;
using test::make_shot;
using test::ModbusServer;
using testing::AnyOf;
using testing::HasSubstr;
using Switched = std::vector<std::pair<int, bool>>;

std::string modbus_uri(int port, const std::string& rest = "1/left=3,right=5?pulse_ms=20") {
  return fmt::format("modbus://127.0.0.1:{}/{}", port, rest);
}

TEST(Modbus, WritesACoilAndClearsIt) {
  const ModbusServer server(8);
  const auto ejector = open_ejector(modbus_uri(server.port()));
  EXPECT_EQ(ejector->describe(), fmt::format("Modbus server 127.0.0.1:{}, unit 1", server.port()));
  ASSERT_TRUE(fires(*ejector, make_shot("right")));
  ASSERT_TRUE(eventually([&] { return server.writes().size() == 4; }));
  // All of its coils are cleared at first.
  EXPECT_EQ(server.switched(), (Switched{{3, false}, {5, false}, {5, true}, {5, false}}));
  const auto writes = server.writes();
  EXPECT_GE(writes[3].when - writes[2].when, milliseconds(19));  // the server takes note a little late
  EXPECT_THAT(error_of(*ejector, make_shot("middle")), HasSubstr("has nothing for bin middle"));
}

TEST(Modbus, TakesAHostName) {
  const ModbusServer server(8);
  const auto ejector = open_ejector(fmt::format("modbus://localhost:{}/255/left=7", server.port()));
  EXPECT_TRUE(fires(*ejector, make_shot("left")));
}

TEST(Modbus, ServerThatGoesAwayIsNotFiredWhenItComesBack) {
  auto server = std::make_unique<ModbusServer>(8);
  const int port = server->port();
  std::vector<std::string> alarms;
  EjectionQueue queue(open_ejector(modbus_uri(port)), {16, std::chrono::seconds(10)},
                      [&](const std::string& line) { alarms.push_back(line); });
  const auto shoot = [&](std::int64_t item) {
    Shot shot = make_shot("left", item);
    shot.due += milliseconds(1);
    EXPECT_TRUE(queue.schedule(shot));
    queue.drain(std::chrono::seconds(30));
    return queue.counts().fired;
  };
  ASSERT_TRUE(eventually([&] { return shoot(1) == 1; }));

  server.reset();
  const auto failed = queue.counts().failed;
  for (std::int64_t item = 2; item <= 6; ++item) EXPECT_EQ(shoot(item), 1);
  EXPECT_EQ(queue.counts().failed, failed + 5);
  EXPECT_THAT(alarms.back(), HasSubstr("item 6 for bin left: not fired: Modbus server 127.0.0.1"));

  server = std::make_unique<ModbusServer>(8, port);
  ASSERT_TRUE(eventually([&] { return shoot(7) == 2; }));
  ASSERT_TRUE(eventually([&] { return server->writes().size() == 4; }));
  EXPECT_EQ(server->switched(), (Switched{{3, false}, {5, false}, {3, true}, {3, false}}));
}

TEST(Modbus, ServerThatHangsIsAnErrorWithinASecond) {
  ModbusServer server(8);
  const auto ejector = open_ejector(modbus_uri(server.port()));
  ASSERT_TRUE(fires(*ejector, make_shot("left")));
  server.answer(false);
  ASSERT_TRUE(eventually([&] { return !error_of(*ejector, make_shot("left")).empty(); }));
  EXPECT_THAT(error_of(*ejector, make_shot("left")), AnyOf(HasSubstr("timed out"), HasSubstr("not reached")));
  server.answer(true);
  EXPECT_TRUE(fires(*ejector, make_shot("left")));
}

TEST(Modbus, CoilThatTheServerLacksIsNamed) {
  const ModbusServer server(4);
  const auto ejector = open_ejector(modbus_uri(server.port()));
  const std::string expected = "coil 5 not written: Illegal data address";
  EXPECT_TRUE(
      eventually([&] { return error_of(*ejector, make_shot("left")).find(expected) != std::string::npos; }));
}

TEST(Modbus, NoServerIsAnErrorOfTheShot) {
  const int port = test::free_port();
  const auto ejector = open_ejector(modbus_uri(port));
  EXPECT_TRUE(eventually([&] {
    return error_of(*ejector, make_shot("left")) ==
           fmt::format("Modbus server 127.0.0.1:{}, unit 1: not reached: Connection refused", port);
  }));
}

TEST(Gpio, SaysThatThereIsNoChip) {
  std::unique_ptr<Ejector> ejector;
  try {
    ejector = open_ejector("gpio://gpiochip987/left=1,right=2?pulse_ms=30");
  } catch (const UsageError& error) {
    EXPECT_THAT(error.what(), HasSubstr("this build of Pila has no GPIO"));
    EXPECT_THROW(open_trigger("gpio://gpiochip987/4"), UsageError);
    GTEST_SKIP() << "this build has no GPIO, and says so";
  }
  EXPECT_TRUE(eventually([&] {
    return error_of(*ejector, make_shot("left")) ==
           "GPIO chip gpiochip987: cannot be opened: No such file or directory";
  }));
  const auto trigger = open_trigger("gpio://gpiochip987/4");
  EXPECT_EQ(trigger->describe(), "line 4 of GPIO chip gpiochip987");
  trigger->start([](steady_clock::time_point) { FAIL(); });
  EXPECT_TRUE(
      eventually([&] { return trigger->trouble() == "cannot be opened: No such file or directory"; }));
  EXPECT_THROW(trigger->start(nullptr), UsageError);
  trigger->stop();
}

}  // namespace
}  // namespace pila
