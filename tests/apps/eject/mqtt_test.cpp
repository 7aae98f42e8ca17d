// Shots and signals by a real mosquitto broker that is killed and started again.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <mosquitto.h>

#include <atomic>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>

#include "apps/eject/ejection_queue.h"
#include "apps/eject/mqtt_connection.h"
#include "apps/eject/trigger_signal.h"
#include "tests/apps/eject/modbus_server.h"
#include "tests/apps/eject/mqtt_broker.h"
#include "tests/apps/eject/waiting.h"

namespace pila {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;
using test::error_of;
using test::eventually;
using test::fires;
using test::make_shot;
using test::MqttBroker;
using testing::HasSubstr;
using testing::Not;

std::string mqtt_uri(int port, const std::string& rest) {
  return fmt::format("mqtt://127.0.0.1:{}/{}", port, rest);
}

// What a machine beside the belt hears.
class Listener {
 public:
  Listener(const std::string& where, const std::string& topic)
      : connection_(parse_device_uri(where), topic,
                    [this](const std::string& to, const std::string& payload, bool) {
                      const std::lock_guard lock(mutex_);
                      heard_.emplace_back(to, payload);
                    }) {}
  bool ready() const {
    return eventually([&] { return connection_.trouble().empty(); });
  }
  std::vector<std::pair<std::string, std::string>> heard() const {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  std::vector<std::int64_t> items() const {
    std::vector<std::int64_t> numbers;
    for (const auto& [topic, payload] : heard()) numbers.push_back(nlohmann::json::parse(payload).at("item"));
    return numbers;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<std::string, std::string>> heard_;
  MqttConnection connection_;
};

// Has the broker keep a message for those who subscribe later.
bool keep_message(int port, const char* topic) {
  const std::unique_ptr<mosquitto, void (*)(mosquitto*)> client(mosquitto_new(nullptr, true, nullptr),
                                                                &mosquitto_destroy);
  bool published = false;
  mosquitto_user_data_set(client.get(), &published);
  mosquitto_publish_callback_set(client.get(),
                                 [](mosquitto*, void* done, int) { *static_cast<bool*>(done) = true; });
  if (mosquitto_connect(client.get(), "127.0.0.1", port, 60) != MOSQ_ERR_SUCCESS ||
      mosquitto_publish(client.get(), nullptr, topic, 3, "old", 1, true) != MOSQ_ERR_SUCCESS) {
    return false;
  }
  return eventually([&] { return mosquitto_loop(client.get(), 100, 1) == MOSQ_ERR_SUCCESS && published; });
}

class Mqtt : public testing::Test {
 protected:
  void SetUp() override {
    if (MqttBroker::program().empty()) GTEST_SKIP() << "mosquitto is not installed, so MQTT is not tested";
  }
};

TEST_F(Mqtt, BinsTopicGetsTheShot) {
  const MqttBroker broker({"allow_anonymous true"});
  const Listener listener(mqtt_uri(broker.port(), "x"), "belt/1/#");
  ASSERT_TRUE(listener.ready());
  const auto ejector = open_ejector(mqtt_uri(broker.port(), "belt/1"));
  EXPECT_EQ(ejector->describe(), fmt::format("MQTT broker 127.0.0.1:{}, topic belt/1", broker.port()));
  ASSERT_TRUE(fires(*ejector, make_shot("left", 12)));
  ASSERT_TRUE(eventually([&] { return listener.heard().size() == 1; }));
  const auto [topic, payload] = listener.heard().front();
  EXPECT_EQ(topic, "belt/1/left");
  const auto json = nlohmann::json::parse(payload);
  EXPECT_EQ(json["bin"], "left");
  EXPECT_EQ(json["item"], 12);
  EXPECT_EQ(json["label"], "zinc");
  EXPECT_EQ(json["probability"], 0.5);
  EXPECT_LE(json["due_in_ms"], 0);

  EXPECT_FALSE(ejector->serves("l#"));
  EXPECT_THAT(error_of(*ejector, make_shot("l+")), HasSubstr("cannot have a bin l+"));
}

TEST_F(Mqtt, BrokerThatGoesAwayIsNotFiredWhenItComesBack) {
  MqttBroker broker({"allow_anonymous true"});
  const Listener listener(mqtt_uri(broker.port(), "x"), "belt/#");
  std::vector<std::string> alarms;
  EjectionQueue queue(open_ejector(mqtt_uri(broker.port(), "belt")), {16, std::chrono::seconds(20)},
                      [&](const std::string& line) { alarms.push_back(line); });
  const auto shoot = [&](std::int64_t item) {
    Shot shot = make_shot("left", item);
    shot.due += milliseconds(1);
    EXPECT_TRUE(queue.schedule(shot));
    queue.drain(std::chrono::seconds(30));
    return queue.counts().fired;
  };
  ASSERT_TRUE(listener.ready());
  ASSERT_TRUE(eventually([&] { return shoot(1) == 1; }));
  ASSERT_TRUE(eventually([&] { return listener.items().size() == 1; }));

  broker.kill();
  const auto failed = queue.counts().failed;
  for (std::int64_t item = 2; item <= 6; ++item) EXPECT_EQ(shoot(item), 1);
  EXPECT_EQ(queue.counts().failed, failed + 5);
  EXPECT_THAT(alarms.back(), HasSubstr("item 6 for bin left: not fired: MQTT broker 127.0.0.1"));

  broker.start();
  ASSERT_TRUE(eventually([&] { return listener.ready() && shoot(7) == 2; }));
  ASSERT_TRUE(eventually([&] { return listener.items().size() >= 2; }));
  EXPECT_EQ(shoot(8), 3);
  ASSERT_TRUE(eventually([&] { return listener.items().back() == 8; }));
  EXPECT_THAT(listener.items(), testing::ElementsAre(1, 7, 8));
}

TEST_F(Mqtt, BrokerAsksForAPassword) {
  const test::TemporaryFolder folder;
  const std::string passwords = (folder.path() / "passwords").string();
  ASSERT_EQ(
      test::run_program(MqttBroker::program("mosquitto_passwd"), {"-b", "-c", passwords, "b@lt", "p:/%@"})
          .exit_code,
      0);
  const MqttBroker broker({"allow_anonymous false", "password_file " + passwords});
  const auto with = [&](const std::string& user) {
    return open_ejector(fmt::format("mqtt://{}127.0.0.1:{}/belt", user, broker.port()));
  };
  EXPECT_TRUE(fires(*with("b%40lt:p%3A%2F%25%40@"), make_shot("left")));
  for (const char* user : {"", "b%40lt:secret@", "b%40lt@"}) {
    const auto ejector = with(user);
    std::string error;
    EXPECT_TRUE(eventually([&] {
      error = error_of(*ejector, make_shot("left"));
      return error.find("not authorised") != std::string::npos;
    })) << error;
    EXPECT_THAT(error + ejector->describe(), Not(HasSubstr("secret")));
  }
}

TEST_F(Mqtt, EncryptsAndChecksTheBroker) {
  if (MqttBroker::program("openssl").empty())
    GTEST_SKIP() << "openssl is not installed, so MQTT's TLS is not tested";
  const test::TemporaryFolder folder;
  const auto certify = [&](const std::string& name) {
    const std::string key = (folder.path() / (name + ".key")).string(),
                      file = (folder.path() / name).string();
    const auto run = test::run_program(
        MqttBroker::program("openssl"),
        {"req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", file, "-days", "30",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"});
    EXPECT_EQ(run.exit_code, 0) << run.err;
    return file;
  };
  const std::string ours = certify("ours"), other = certify("other");
  const MqttBroker broker({"allow_anonymous true", "certfile " + ours, "keyfile " + ours + ".key"});
  const auto trusting = [&](const std::string& query) {
    return open_ejector(fmt::format("mqtts://localhost:{}/belt{}", broker.port(), query));
  };
  EXPECT_TRUE(fires(*trusting("?cafile=" + ours), make_shot("left")));
  for (const std::string& query : {"?cafile=" + other, std::string()}) {
    const auto ejector = trusting(query);
    EXPECT_TRUE(eventually([&] {
      const std::string error = error_of(*ejector, make_shot("left"));
      EXPECT_NE(error, "");
      return error.find("not connected: ") != std::string::npos;
    }));
  }
}

TEST_F(Mqtt, NoBrokerIsAnErrorOfTheShot) {
  const auto ejector = open_ejector(mqtt_uri(test::free_port(), "belt"));
  EXPECT_TRUE(eventually([&] {
    return error_of(*ejector, make_shot("left")).find("not connected: Connection refused") !=
           std::string::npos;
  }));
}

TEST_F(Mqtt, BrokerThatHangsIsAnErrorOfTheShot) {
  MqttBroker broker({"allow_anonymous true"});
  const auto ejector = open_ejector(mqtt_uri(broker.port(), "belt"));
  ASSERT_TRUE(fires(*ejector, make_shot("left")));
  broker.hang(true);
  EXPECT_THAT(error_of(*ejector, make_shot("left")), HasSubstr("no answer within 1000 ms"));
  EXPECT_THAT(error_of(*ejector, make_shot("left")), HasSubstr("not connected: no answer"));
  broker.hang(false);
  EXPECT_TRUE(fires(*ejector, make_shot("left")));
}

TEST_F(Mqtt, SignalsComeUntilTheStop) {
  MqttBroker broker({"allow_anonymous true"});
  const auto began = steady_clock::now();
  MqttConnection sensor(parse_device_uri(mqtt_uri(broker.port(), "x")), "", nullptr);
  ASSERT_TRUE(eventually([&] { return sensor.trouble().empty(); }));
  ASSERT_TRUE(keep_message(broker.port(), "belt/2/item"));
  const auto trigger = open_trigger(mqtt_uri(broker.port(), "belt/+/item"));
  EXPECT_EQ(trigger->trouble(), "stopped");
  std::atomic<int> signals{0};
  trigger->start([&](steady_clock::time_point when) {
    EXPECT_GE(when, began);
    ++signals;
  });
  EXPECT_THROW(trigger->start(nullptr), UsageError);
  const auto heard = [&] { return eventually([&] { return trigger->trouble().empty(); }); };
  ASSERT_TRUE(heard());
  sensor.publish("belt/3/item", "");
  sensor.publish("belt/other", "not for us");
  sensor.publish("belt/4/item", std::string(100'000, 'x'));
  ASSERT_TRUE(eventually([&] { return signals == 2; }));

  broker.kill();
  ASSERT_TRUE(eventually([&] { return !trigger->trouble().empty() && !sensor.trouble().empty(); }));
  broker.start();
  ASSERT_TRUE(heard() && eventually([&] { return sensor.trouble().empty(); }));
  sensor.publish("belt/3/item", "");
  ASSERT_TRUE(eventually([&] { return signals == 3; }));

  trigger->stop();
  sensor.publish("belt/3/item", "");
  EXPECT_EQ(signals, 3);
  trigger->stop();
}

}  // namespace
}  // namespace pila
