#include "apps/eject/mqtt_connection.h"

#include <fmt/format.h>
#include <mosquitto.h>
#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <cstdint>
#include <fstream>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::steady_clock;
constexpr int kPlainPort = 1883, kTlsPort = 8883;
constexpr int kQosOfShots = 1, kQosOfSignals = 0;
constexpr int kKeepAliveSeconds = 5;  // the least that MQTT's library takes
constexpr int kLoopMilliseconds = 100;
constexpr std::chrono::milliseconds kReconnectAfter{300}, kLongestAnswer{1000}, kLongestGreeting{5000};

struct Destroy {
  void operator()(mosquitto* client) const { mosquitto_destroy(client); }
};

void start_library() {
  struct Library {
    Library() { mosquitto_lib_init(); }
    ~Library() { mosquitto_lib_cleanup(); }
  };
  static const Library library;
}

// `code` as the library's calls give it.
std::string text_of(int code) {
  return code == MOSQ_ERR_ERRNO ? std::generic_category().message(errno) : mosquitto_strerror(code);
}

}  // namespace

struct MqttConnection::State {
  State(const DeviceUri& device_uri, std::string topic, OnMessage callback)
      : uri(device_uri), subscription(std::move(topic)), on_message(std::move(callback)) {}

  const DeviceUri uri;
  const std::string subscription;
  const OnMessage on_message;

  // Held for moments only: never while the network is waited for, nor during on_message.
  mutable std::mutex mutex;
  std::condition_variable changed;
  bool stopping = false;
  mosquitto* client = nullptr;  // while it is ready
  std::int64_t sessions = 0;    // that have been ready
  int acknowledged = 0;         // the message that the broker had last
  bool given_up = false;        // the session is to end, as an answer did not come
  std::string refusal;          // of the broker, in this session
  std::string trouble = "not connected yet";

  std::thread thread;

  void set_ready(mosquitto* ready) {
    {
      const std::lock_guard lock(mutex);
      client = ready;
      ++sessions;
      trouble.clear();
    }
    changed.notify_all();
  }

  void set_trouble(const std::string& why) {
    {
      const std::lock_guard lock(mutex);
      client = nullptr;
      trouble = why;
    }
    changed.notify_all();
  }

  void refused(const std::string& why) {
    const std::lock_guard lock(mutex);
    refusal = why;
  }

  void greet(mosquitto* session, int code) {
    if (code != 0) {
      refused(mosquitto_connack_string(code));
    } else if (subscription.empty()) {
      set_ready(session);
    } else {
      mosquitto_subscribe(session, nullptr, subscription.c_str(), kQosOfSignals);
    }
  }

  void subscribed(mosquitto* session, int granted) {
    constexpr int kRefused = 128;
    if (granted >= kRefused) {
      refused("the subscription is refused");
    } else {
      set_ready(session);
    }
  }

  void acknowledge(int message) {
    {
      const std::lock_guard lock(mutex);
      acknowledged = message;
    }
    changed.notify_all();
  }

  // An error of the library, or 0.
  int prepare(mosquitto* session) {
    mosquitto_threaded_set(session, true);
    int code = MOSQ_ERR_SUCCESS;
    if (!uri.user.empty()) code = mosquitto_username_pw_set(session, uri.user.c_str(), uri.password.c_str());
    if (code == MOSQ_ERR_SUCCESS && uri.scheme == "mqtts") {
      const auto cafile = uri.query.find("cafile");
      code = cafile == uri.query.end()
                 ? mosquitto_int_option(session, MOSQ_OPT_TLS_USE_OS_CERTS, 1)
                 : mosquitto_tls_set(session, cafile->second.c_str(), nullptr, nullptr, nullptr, nullptr);
    }
    mosquitto_connect_callback_set(session, [](mosquitto* from, void* state, int result) {
      static_cast<State*>(state)->greet(from, result);
    });
    mosquitto_subscribe_callback_set(
        session, [](mosquitto* from, void* state, int, int count, const int* granted) {
          static_cast<State*>(state)->subscribed(from, count > 0 ? granted[0] : 0);
        });
    mosquitto_publish_callback_set(session, [](mosquitto*, void* state, int message) {
      static_cast<State*>(state)->acknowledge(message);
    });
    mosquitto_message_callback_set(session, [](mosquitto*, void* state, const mosquitto_message* message) {
      const auto size = static_cast<std::size_t>(message->payloadlen);
      static_cast<State*>(state)->on_message(
          message->topic, size == 0 ? "" : std::string(static_cast<const char*>(message->payload), size),
          message->retain);
    });
    if (code == MOSQ_ERR_SUCCESS) {
      code = mosquitto_connect_async(session, uri.host.c_str(), uri.port, kKeepAliveSeconds);
    }
    return code;
  }

  // From connecting to the loss of the connection.
  void hold_session() {
    const std::unique_ptr<mosquitto, Destroy> session(mosquitto_new(nullptr, true, this));
    if (session == nullptr) return set_trouble("not connected: no memory");
    int code = prepare(session.get());
    const auto greeted_by = steady_clock::now() + kLongestGreeting;
    bool stop = false, give_up = false;
    while (code == MOSQ_ERR_SUCCESS && !stop && !give_up) {
      code = mosquitto_loop(session.get(), kLoopMilliseconds, 1);
      const std::lock_guard lock(mutex);
      stop = stopping;
      give_up = given_up || (client == nullptr && steady_clock::now() > greeted_by);
    }
    if (stop) {
      mosquitto_disconnect(session.get());
      mosquitto_loop(session.get(), kLoopMilliseconds, 1);  // sends that
    }
    std::string why = give_up ? "no answer" : text_of(code);
    {
      const std::lock_guard lock(mutex);
      if (!refusal.empty()) why = std::exchange(refusal, {});  // says more than the end that follows
    }
    set_trouble("not connected: " + why);
    if (const int socket = mosquitto_socket(session.get()); give_up && socket >= 0) {
      // What the broker has not got yet, it never gets: it would be late.
      const linger at_once = {1, 0};
      setsockopt(socket, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
  }

  void work() {
    // A write to a connection that is lost is an error there, not the program's end.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    for (;;) {
      hold_session();
      std::unique_lock lock(mutex);
      given_up = false;
      if (changed.wait_for(lock, kReconnectAfter, [this] { return stopping; })) return;
    }
  }
};

MqttConnection::MqttConnection(const DeviceUri& uri, const std::string& subscription, OnMessage on_message) {
  const bool tls = uri.scheme == "mqtts";
  allow_only(uri, tls ? std::vector<std::string>{"cafile"} : std::vector<std::string>{}, true, true);
  if (const auto cafile = uri.query.find("cafile"); cafile != uri.query.end()) {
    if (!std::ifstream(cafile->second).good())
      throw UsageError(cafile->second + ": expected a file of certificates");
  }
  start_library();
  DeviceUri whole = uri;
  if (whole.port == 0) whole.port = tls ? kTlsPort : kPlainPort;
  state_ = std::make_unique<State>(whole, subscription, std::move(on_message));
  state_->thread = std::thread([state = state_.get()] { state->work(); });
}

MqttConnection::~MqttConnection() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->stopping = true;
  }
  state_->changed.notify_all();
  state_->thread.join();
}

void MqttConnection::publish(const std::string& topic, const std::string& payload) {
  State& state = *state_;
  std::unique_lock lock(state.mutex);
  mosquitto* const client = state.client;
  if (client == nullptr) throw Error(describe() + ": " + state.trouble);
  const std::int64_t session = state.sessions;
  int message = 0;
  state.acknowledged = 0;
  const int code = mosquitto_publish(client, &message, topic.c_str(), static_cast<int>(payload.size()),
                                     payload.data(), kQosOfShots, false);
  if (code != MOSQ_ERR_SUCCESS)
    throw Error(fmt::format("{}, topic {}: {}", describe(), topic, text_of(code)));
  const bool answered = state.changed.wait_for(lock, kLongestAnswer, [&] {
    return state.acknowledged == message || state.client == nullptr || state.sessions != session;
  });
  if (answered && state.acknowledged == message) return;
  if (answered) throw Error(describe() + ": the connection was lost before the broker had it");
  state.given_up = true;
  state.client = nullptr;
  state.trouble = "not connected: no answer";
  throw Error(fmt::format("{}: no answer within {} ms", describe(), kLongestAnswer.count()));
}

std::string MqttConnection::trouble() const {
  const std::lock_guard lock(state_->mutex);
  return state_->trouble;
}

std::string MqttConnection::describe() const {
  return fmt::format("MQTT broker {}:{}", state_->uri.host, state_->uri.port);
}

bool is_mqtt_topic(const std::string& topic, bool wildcards) {
  const auto check = wildcards ? mosquitto_sub_topic_check : mosquitto_pub_topic_check;
  return !topic.empty() && check(topic.c_str()) == MOSQ_ERR_SUCCESS &&
         mosquitto_validate_utf8(topic.c_str(), static_cast<int>(topic.size())) == MOSQ_ERR_SUCCESS;
}

std::string mqtt_topic(const DeviceUri& uri, bool wildcards) {
  std::string topic;
  for (const auto& part : uri.path) {
    const std::string level = percent_decode(part, uri.shown);
    if (level.empty()) throw UsageError(uri.shown + ": expected a topic without empty levels");
    topic += (topic.empty() ? "" : "/") + level;
  }
  if (!is_mqtt_topic(topic, wildcards)) {
    throw UsageError(uri.shown + ": expected mqtt://host/topic");
  }
  return topic;
}

}  // namespace pila
