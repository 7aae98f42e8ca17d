// Ranks as threads of one process.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/core/error.h"
#include "engine/parallel/communicator.h"

namespace pila::test {

// What the threads share. When one ends with an exception, the others' calls throw too.
class Meeting {
 public:
  explicit Meeting(int size) : parts_(static_cast<std::size_t>(size)) {}
  int size() const { return static_cast<int>(parts_.size()); }

  std::vector<std::byte> gather(int rank, std::span<const std::byte> mine) {
    parts_[static_cast<std::size_t>(rank)].assign(mine.begin(), mine.end());
    wait();
    std::vector<std::byte> all;
    for (const auto& part : parts_) all.insert(all.end(), part.begin(), part.end());
    wait();
    return all;
  }

  void break_up() {
    const std::lock_guard lock(mutex_);
    broken_ = true;
    changed_.notify_all();
  }

 private:
  void wait() {
    std::unique_lock lock(mutex_);
    const int round = round_;
    if (++arrived_ == size()) {
      arrived_ = 0;
      ++round_;
      changed_.notify_all();
    }
    changed_.wait(lock, [&] { return round_ != round || broken_; });
    if (round_ == round) throw Error("another rank has ended");
  }

  std::vector<std::vector<std::byte>> parts_;
  std::mutex mutex_;
  std::condition_variable changed_;
  int arrived_ = 0, round_ = 0;
  bool broken_ = false;
};

class ThreadRank : public Communicator {
 public:
  ThreadRank(Meeting& meeting, int rank) : meeting_(meeting), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_.size(); }
  std::vector<std::byte> gather(std::span<const std::byte> mine) override {
    return meeting_.gather(rank_, mine);
  }

  void sum(std::span<float> values) override {
    const std::vector<float> all = gather_values(std::span<const float>(values));
    for (std::size_t i = 0; i < values.size(); ++i) {
      double total = 0;
      for (std::size_t place = i; place < all.size(); place += values.size()) total += all[place];
      values[i] = static_cast<float>(total);
    }
  }
  void broadcast(std::span<std::byte> bytes) override {
    const std::vector<std::byte> all = gather(bytes);
    std::memcpy(bytes.data(), all.data(), bytes.size());
  }
  std::optional<std::string> meet(const std::string&, std::chrono::milliseconds) override { return {}; }
  [[noreturn]] void abort(int) override { throw Error("aborted"); }

 private:
  Meeting& meeting_;
  int rank_;
};

// Calls body(communicator) on each of `size` ranks, and throws what the first of them threw.
inline void on_ranks(int size, const std::function<void(Communicator&)>& body) {
  Meeting meeting(size);
  std::vector<std::exception_ptr> thrown(static_cast<std::size_t>(size));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRank communicator(meeting, rank);
      try {
        body(communicator);
      } catch (...) {
        thrown[static_cast<std::size_t>(rank)] = std::current_exception();
        meeting.break_up();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : thrown) {
    if (error) std::rethrow_exception(error);
  }
}

}  // namespace pila::test
