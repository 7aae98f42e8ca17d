// URIs of devices: what is taken, and what is refused before anything is opened.
#include "apps/eject/device_uri.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "apps/eject/ejector.h"
#include "apps/eject/trigger_signal.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::Pair;

TEST(DeviceUri, HasItsParts) {
  const auto uri =
      parse_device_uri("mqtts://b%C3%A9a:p%40s%3As%2F@broker.local:8884/a/b%2Fc?cafile=/x%20y.pem&z=");
  EXPECT_EQ(uri.scheme, "mqtts");
  EXPECT_EQ(uri.user,
            "b\xC3\xA9"
            "a");
  EXPECT_EQ(uri.password, "p@s:s/");
  EXPECT_EQ(uri.host, "broker.local");
  EXPECT_EQ(uri.port, 8884);
  EXPECT_THAT(uri.path, ElementsAre("a", "b%2Fc"));
  EXPECT_THAT(uri.query, ElementsAre(Pair("cafile", "/x y.pem"), Pair("z", "")));
  EXPECT_EQ(uri.shown, "mqtts://broker.local:8884/a/b%2Fc?cafile=/x%20y.pem&z=");

  const auto bare = parse_device_uri("gpio://gpiochip0");
  EXPECT_EQ(bare.port, 0);
  EXPECT_TRUE(bare.user.empty() && bare.path.empty() && bare.query.empty());
  EXPECT_EQ(parse_device_uri("modbus://[fe80::1]:502/1").host, "fe80::1");
}

TEST(DeviceUri, HasOutputs) {
  EXPECT_THAT(parse_outputs("left=0,right%3D=65535", 65535, "x"),
              ElementsAre(Pair("left", 0), Pair("right=", 65535)));
}

std::string refusal(const std::string& uri) {
  try {
    open_ejector(uri);
  } catch (const UsageError& error) {
    return error.what();
  }
  return "taken: " + uri;
}

TEST(DeviceUri, IsReadStrictly) {
  const std::vector<std::pair<std::string, const char*>> bad = {
      {"", "expected scheme://host"},
      {"mqtt", "expected scheme://host"},
      {"://host/topic", "expected scheme://host"},
      {"http://host/topic", "expected mqtt://"},
      {"MQTT://host/topic", "expected mqtt://"},
      {"mqtt:///topic", "the address of a host"},
      {"mqtt://-host/topic", "the address of a host"},
      {"mqtt://ho$t/topic", "the address of a host"},
      {"mqtt://host:/topic", "expected 1..65535 for port, got ''"},
      {"mqtt://host:0/topic", "for port"},
      {"mqtt://host:65536/topic", "for port"},
      {"mqtt://host:99999999999999999999/topic", "for port"},
      {"mqtt://host:+1/topic", "for port"},
      {"mqtt://host:1:2/topic", "for port"},
      {"mqtt://[::1/topic", "an IPv6 address"},
      {"mqtt://[::1]1883/topic", "an IPv6 address"},
      {"mqtt://[host]/topic", "an IPv6 address"},
      {"mqtt://[]/topic", "an IPv6 address"},
      {"mqtt://@host/topic", "expected a user before @"},
      {"mqtt://:secret@host/topic", "expected a user before @"},
      {"mqtt://a@b@host/topic", "second @"},
      {"mqtt://us%4/topic", "the address of a host"},
      {"mqtt://us%4@host/topic", "two hexadecimal digits"},
      {"mqtt://us%zz@host/topic", "two hexadecimal digits"},
      {"mqtt://us%00er@host/topic", "control characters"},
      {std::string("mqtt://host/to\0pic", 18), "control characters"},
      {"mqtt://host/to\npic", "control characters"},
      {"mqtt://host/to pic", "has a blank"},
      {"mqtt://host/topic#", "has a blank or a #"},
      {"mqtt://host", "expected mqtt://host/topic"},
      {"mqtt://host/", "without empty levels"},
      {"mqtt://host/a//b", "without empty levels"},
      {"mqtt://host/a/+", "expected mqtt://host/topic"},
      {"mqtt://host/a/%23", "expected mqtt://host/topic"},
      {"mqtt://host/a%FF", "expected mqtt://host/topic"},
      {"mqtt://host/topic?cafile=/x", "does not know ?cafile"},
      {"mqtts://host/topic?cafile=/does/not/exist", "expected a file of certificates"},
      {"mqtt://host/topic?", "expected key=value"},
      {"mqtt://host/topic?=1", "expected key=value"},
      {"mqtts://host/topic?cafile=a&cafile=b", "given twice"},
      {"mqtt://host/" + std::string(3000, 'a'), "2048 characters at most, got 3012"},
      {"modbus://host/1", "expected modbus://host/unit/bin=coil"},
      {"modbus://host/left=1", "expected modbus://host/unit/bin=coil"},
      {"modbus://host/1/left=1/", "expected modbus://host/unit/bin=coil"},
      {"modbus://host/248/left=1", "0..247 or 255"},
      {"modbus://host/256/left=1", "for unit"},
      {"modbus://host/x/left=1", "for unit"},
      {"modbus://user@host/1/left=1", "neither user nor password"},
      {"modbus://host/1/left", "expected bin=number"},
      {"modbus://host/1/=1", "expected bin=number"},
      {"modbus://host/1/left=1,", "expected bin=number"},
      {"modbus://host/1/left=-1", "for bin left"},
      {"modbus://host/1/left=65536", "for bin left"},
      {"modbus://host/1/left=1,left=2", "bin left is given twice"},
      {"modbus://host/1/left=1,right=1", "1 is given to two bins"},
      {"modbus://host/1/left=1?pulse=3", "does not know ?pulse"},
      {"modbus://host/1/left=1?pulse_ms=0", "for pulse_ms"},
      {"modbus://host/1/left=1?pulse_ms=5001", "for pulse_ms"},
      {"modbus://host/1/left=1?pulse_ms=1e3", "for pulse_ms"},
      {"gpio://gpiochip0", "gpio"},
      {"gpio://gpiochip0:3/left=1", "gpio"},
      {"gpio://gpiochip0/left", "gpio"},
      {"exec:", "expected a path"},
      {"file:", "expected a path"},
      {std::string("exec:/bin/\0true", 15), "expected a path"},
  };
  for (const auto& [uri, complaint] : bad) EXPECT_THAT(refusal(uri), HasSubstr(complaint)) << uri;
}

TEST(DeviceUri, RefusalsGiveNoPasswordAway) {
  for (const char* uri :
       {"mqtt://user:secret@host:0/topic", "mqtt://user:secret@/x", "smtp://user:secret@host/",
        "mqtt://us@er:secret@host/topic", "mqtt://user:secret%@host/topic"}) {
    EXPECT_THAT(refusal(uri),
                testing::AllOf(HasSubstr("://"), Not(HasSubstr("secret")), Not(HasSubstr("taken"))));
  }
  EXPECT_THAT(open_ejector("mqtt://user:secret@127.0.0.1:1/topic")->describe(),
              "MQTT broker 127.0.0.1:1, topic topic");
}

TEST(TriggerUri, IsReadStrictly) {
  for (const char* uri : {"", "mqtt://host", "modbus://host/1/left=1", "exec:/bin/true", "gpio://chip",
                          "gpio://chip/x", "gpio://chip/1/2", "gpio://chip/1?pulse_ms=3", "gpio://chip/-1",
                          "mqtt://host/topic?x=1", "mqtt://host/a%23"}) {
    EXPECT_THROW(open_trigger(uri), UsageError) << uri;
  }
  EXPECT_EQ(open_trigger("mqtt://user:secret@host/belt/+/items")->describe(),
            "MQTT topic belt/+/items of host");
}

}  // namespace
}  // namespace pila
