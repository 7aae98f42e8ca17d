// Lines of a GPIO chip, through libgpiod 1.
#include <fmt/format.h>
#include <gpiod.h>

#include <cerrno>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "apps/eject/device_uri.h"
#include "apps/eject/kinds.h"
#include "apps/eject/pulse_ejector.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::steady_clock;
constexpr const char* kConsumer = "pila";
constexpr int kLastLine = 4095;
constexpr std::chrono::milliseconds kRetryAfter{300};

struct CloseChip {
  void operator()(gpiod_chip* chip) const { gpiod_chip_close(chip); }
};
using Chip = std::unique_ptr<gpiod_chip, CloseChip>;  // gives its lines back, too

[[noreturn]] void fail(const std::string& what) {
  throw Error(what + ": " + std::generic_category().message(errno));
}

Chip open_chip(const std::string& name) {
  Chip chip(gpiod_chip_open_lookup(name.c_str()));
  if (chip == nullptr) fail("cannot be opened");
  return chip;
}

gpiod_line* line_of(const Chip& chip, int number) {
  gpiod_line* const line = gpiod_chip_get_line(chip.get(), static_cast<unsigned>(number));
  if (line == nullptr) fail(fmt::format("line {} not found", number));
  return line;
}

class GpioLines : public OutputDevice {
 public:
  GpioLines(std::string chip, std::vector<int> lines) : name_(std::move(chip)), numbers_(std::move(lines)) {}

  void open() override {
    chip_ = open_chip(name_);
    for (const int number : numbers_) {
      gpiod_line* const line = line_of(chip_, number);
      if (gpiod_line_request_output(line, kConsumer, 0) != 0)
        fail(fmt::format("line {} not to be had", number));
      lines_[number] = line;
    }
  }
  void close() override {
    lines_.clear();
    chip_.reset();
  }
  bool alive() override { return gpiod_line_get_value(lines_.begin()->second) >= 0; }
  void set(int number, bool on) override {
    if (gpiod_line_set_value(lines_.at(number), on) != 0) fail(fmt::format("line {} not switched", number));
  }
  std::string describe() const override { return "GPIO chip " + name_; }

 private:
  const std::string name_;
  const std::vector<int> numbers_;
  Chip chip_;
  std::map<int, gpiod_line*> lines_;  // of the chip
};

class GpioTrigger : public TriggerSignal {
 public:
  GpioTrigger(std::string chip, int line) : name_(std::move(chip)), number_(line) {}
  ~GpioTrigger() override { GpioTrigger::stop(); }

  void start(Callback callback) override {
    if (started_) throw UsageError(describe() + ": was started before");
    started_ = true;
    thread_ = std::thread([this, callback = std::move(callback)] { work(callback); });
  }

  void stop() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    if (thread_.joinable()) thread_.join();
  }

  std::string trouble() const override {
    const std::lock_guard lock(mutex_);
    return trouble_;
  }
  std::string describe() const override { return fmt::format("line {} of GPIO chip {}", number_, name_); }

 private:
  void work(const Callback& callback) {
    for (;;) {
      try {
        listen(callback);
      } catch (const Error& error) {
        set_trouble(error.what());
      }
      std::unique_lock lock(mutex_);
      if (changed_.wait_for(lock, kRetryAfter, [this] { return stopping_; })) return;
    }
  }

  // Until stop(). Throws Error.
  void listen(const Callback& callback) {
    const Chip chip = open_chip(name_);
    gpiod_line* const line = line_of(chip, number_);
    if (gpiod_line_request_rising_edge_events(line, kConsumer) != 0) fail("no signals to be had");
    set_trouble({});
    while (!stopping()) {
      constexpr timespec kTurn = {0, 100'000'000};
      const int came = gpiod_line_event_wait(line, &kTurn);
      const auto now = steady_clock::now();
      if (came < 0) fail("no more signals");
      gpiod_line_event event;
      if (came == 0) continue;
      if (gpiod_line_event_read(line, &event) != 0) fail("no more signals");
      callback(now);
    }
  }

  bool stopping() const {
    const std::lock_guard lock(mutex_);
    return stopping_;
  }
  void set_trouble(const std::string& trouble) {
    const std::lock_guard lock(mutex_);
    trouble_ = trouble;
  }

  const std::string name_;
  const int number_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool started_ = false, stopping_ = false;
  std::string trouble_ = "not opened yet";
  std::thread thread_;
};

}  // namespace

std::unique_ptr<Ejector> make_gpio_ejector(const DeviceUri& uri) {
  allow_only(uri, {"pulse_ms"});
  if (uri.path.size() != 1) throw UsageError(uri.shown + ": expected gpio://chip/bin=line,...");
  const auto bins = parse_outputs(uri.path[0], kLastLine, uri.shown);
  return make_pulse_ejector(std::make_unique<GpioLines>(uri.host, outputs_of(bins)), bins, pulse_of(uri));
}

std::unique_ptr<TriggerSignal> make_gpio_trigger(const DeviceUri& uri) {
  allow_only(uri, {});
  if (uri.path.size() != 1) throw UsageError(uri.shown + ": expected gpio://chip/line");
  return std::make_unique<GpioTrigger>(uri.host, parse_number(uri.path[0], 0, kLastLine, "line", uri.shown));
}

}  // namespace pila
