#include "apps/eject/pulse_ejector.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::steady_clock;
// How often a device is looked after that nobody fires; and how long a shot waits for its turn.
constexpr std::chrono::milliseconds kLookAfter{100}, kLongestTurn{500};

class PulseEjector : public Ejector {
 public:
  PulseEjector(std::unique_ptr<OutputDevice> device, std::map<std::string, int> bins,
               std::chrono::milliseconds pulse)
      : device_(std::move(device)), bins_(std::move(bins)), pulse_(pulse), thread_([this] { keep(); }) {}

  // Pulses under way run out.
  ~PulseEjector() override {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }

  bool serves(const std::string& bin) const override { return bins_.count(bin) > 0; }
  std::string describe() const override { return device_->describe(); }

  void fire(const Shot& shot) override {
    const auto output = bins_.find(shot.bin);
    if (output == bins_.end()) throw Error(describe() + ": has nothing for bin " + shot.bin);
    std::unique_lock lock(mutex_);
    const auto turn_ends = std::min(shot.latest, steady_clock::now() + kLongestTurn);
    const bool turn = changed_.wait_until(lock, turn_ends, [this] { return !busy_ || !open_; });
    if (!open_) throw Error(describe() + ": " + trouble_);
    if (!turn || steady_clock::now() > shot.latest) throw Error(describe() + ": was busy for too long");
    if (!use(lock, [&] { device_->set(output->second, true); })) throw Error(describe() + ": " + trouble_);
    off_at_[output->second] = steady_clock::now() + pulse_;
  }

 private:
  // Has the device to itself, without the lock; a failure is the connection's end. False, with trouble_,
  // then.
  template <typename Work>
  bool use(std::unique_lock<std::mutex>& lock, const Work& work) {
    busy_ = true;
    lock.unlock();
    std::string trouble;
    try {
      work();
    } catch (const std::exception& error) {
      trouble = error.what();
      device_->close();
    }
    lock.lock();
    busy_ = false;
    open_ = trouble.empty();
    if (!open_) {
      trouble_ = trouble;
      off_at_.clear();  // opening switches all of them off
    }
    changed_.notify_all();
    return open_;
  }

  void keep() {
    std::unique_lock lock(mutex_);
    while (!(stopping_ && (off_at_.empty() || !open_))) {
      const auto now = steady_clock::now();
      const auto next = std::min_element(off_at_.begin(), off_at_.end(),
                                         [](const auto& a, const auto& b) { return a.second < b.second; });
      if (busy_) {
        changed_.wait(lock, [this] { return !busy_; });
      } else if (!open_ || (next == off_at_.end() && !stopping_ && now >= look_at_)) {
        look_after(lock);
      } else if (next != off_at_.end() && next->second <= now) {
        const int output = next->first;
        off_at_.erase(next);
        use(lock, [&] { device_->set(output, false); });
      } else {
        const auto until =
            next == off_at_.end() ? look_at_ : next->second;  // which a shot may change meanwhile
        changed_.wait_until(lock, until);
      }
    }
    if (open_) device_->close();
  }

  void look_after(std::unique_lock<std::mutex>& lock) {
    const bool was_open = open_;
    use(lock, [&] {
      if (!was_open) {
        device_->open();
      } else if (!device_->alive()) {
        throw Error("the connection is lost");
      }
    });
    look_at_ = steady_clock::now() + kLookAfter;
    // One that has just been lost is tried at once.
    if (!open_ && !was_open) changed_.wait_until(lock, look_at_, [this] { return stopping_; });
  }

  const std::unique_ptr<OutputDevice> device_;
  const std::map<std::string, int> bins_;
  const std::chrono::milliseconds pulse_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  bool busy_ = false;  // somebody uses the device
  bool open_ = false;
  std::string trouble_ = "not connected yet";       // why it is not open, or was not the last time
  std::map<int, steady_clock::time_point> off_at_;  // of the outputs that are on
  steady_clock::time_point look_at_ = steady_clock::now();
  std::thread thread_;  // last: it uses all of the above
};

}  // namespace

std::unique_ptr<Ejector> make_pulse_ejector(std::unique_ptr<OutputDevice> device,
                                            std::map<std::string, int> bins,
                                            std::chrono::milliseconds pulse) {
  return std::make_unique<PulseEjector>(std::move(device), std::move(bins), pulse);
}

}  // namespace pila
