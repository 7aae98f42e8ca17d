#include "tests/simt/multiprocessor.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "kernels/random.h"
#include "tests/simt/fiber.h"
#include "tests/simt/memory.h"

namespace pila::simt {

thread_local Index3 thread_index, block_index;
thread_local Extent3 block_extent, grid_extent;

namespace {

struct Copy {
  void* to;
  const void* from;
  std::size_t valid;
};

void deliver(const Copy& copy) {
  std::memcpy(copy.to, copy.from, copy.valid);
  std::memset(static_cast<char*>(copy.to) + copy.valid, 0, 16 - copy.valid);
}

// Takes a thread that broke a rule out of its kernel.
struct GridEnds {};

struct Thread {
  Fiber fiber;
  Index3 index;
  std::vector<Copy> copies;             // under way
  std::vector<std::size_t> group_ends;  // in `copies`
};

// Lanes that wait for each other.
struct Meeting {
  const char* name;
  unsigned mask, arrived;
};

struct Warp {
  unsigned absent = 0;  // lanes that have ended, or never were
  std::vector<Meeting> meetings;
  std::array<void*, kWarp> deposits{};
};

// The threads that can go on, by number.
class ReadySet {
 public:
  void add(unsigned thread) { words_[thread / 64] |= std::uint64_t{1} << thread % 64; }
  void add_warp(unsigned first, unsigned mask) { words_[first / 64] |= std::uint64_t{mask} << first % 64; }
  void remove(unsigned thread) { words_[thread / 64] &= ~(std::uint64_t{1} << thread % 64); }
  void clear() { words_ = {}; }

  // kMostThreads where there is none.
  unsigned first_from(unsigned begin) const {
    std::uint64_t hidden = (std::uint64_t{1} << begin % 64) - 1;
    for (unsigned word = begin / 64; word < words_.size(); ++word, hidden = 0) {
      const std::uint64_t bits = words_[word] & ~hidden;
      if (bits != 0) return word * 64 + static_cast<unsigned>(__builtin_ctzll(bits));
    }
    return kMostThreads;
  }
  unsigned last() const {
    for (auto word = static_cast<unsigned>(words_.size()); word-- > 0;) {
      if (words_[word] != 0) return word * 64 + 63 - static_cast<unsigned>(__builtin_clzll(words_[word]));
    }
    return kMostThreads;
  }

 private:
  std::array<std::uint64_t, kMostThreads / 64> words_{};
};

struct SharedMemory {
  static constexpr std::align_val_t kAlignment{128};
  explicit SharedMemory(std::size_t size)
      : bytes(size), data(static_cast<char*>(::operator new(size, kAlignment))) {}
  ~SharedMemory() { ::operator delete(data, kAlignment); }
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;

  const std::size_t bytes;
  char* const data;
};

std::string to_string(const Index3& index) {
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) +
         ")";
}

class Multiprocessor {
 public:
  Multiprocessor() : stacks_(kMostThreads) {}

  std::string run(const GridShape& shape, const Schedule& schedule, const std::function<void()>& kernel) {
    if (std::string refusal = refusal_of(shape); !refusal.empty()) return refusal;
    SharedMemory shared(shape.shared_bytes);
    shared_ = &shared;
    schedule_ = schedule;
    draws_ = 0;
    kernel_ = &kernel;
    block_extent = shape.threads;
    grid_extent = shape.blocks;
    fault_.clear();
    const std::uint64_t blocks = shape.blocks.count();
    for (const std::uint64_t block : block_order(blocks)) {
      block_index = {static_cast<unsigned>(block % shape.blocks.x),
                     static_cast<unsigned>(block / shape.blocks.x % shape.blocks.y),
                     static_cast<unsigned>(block / shape.blocks.x / shape.blocks.y)};
      run_block(static_cast<unsigned>(shape.threads.count()));
      if (!fault_.empty()) break;
    }
    shared_ = nullptr;
    return fault_;
  }

  // ---- on emulated threads

  [[noreturn]] void fault(const std::string& text) {
    fault_ = text + ", in thread " + to_string(thread_index) + " of block " + to_string(block_index);
    throw GridEnds();
  }

  char* shared_data() const { return shared_->data; }
  std::size_t shared_bytes() const { return shared_->bytes; }

  void block_barrier(int line) {
    if (waiting_ > 0 && line != barrier_line_) {
      fault("divergent barrier: lines " + std::to_string(barrier_line_) + " and " + std::to_string(line));
    }
    barrier_line_ = line;
    if (++waiting_ < count_) return pause();
    waiting_ = 0;
    make_all_ready();
  }

  Deposits meet(unsigned mask, const char* name, void* deposit) {
    Warp& warp = warps_[number_ / kWarp];
    const unsigned self = 1u << lane();
    if ((mask & self) == 0) fault(std::string(name) + " by a lane that is not in its mask");
    if ((mask & warp.absent) != 0) fault(std::string(name) + " with missing lanes: some have ended");
    auto meeting = std::find_if(warp.meetings.begin(), warp.meetings.end(),
                                [&](const Meeting& other) { return (other.mask & mask) != 0; });
    if (meeting == warp.meetings.end()) {
      meeting = warp.meetings.insert(meeting, {name, mask, 0});
    } else if (meeting->mask != mask || std::strcmp(meeting->name, name) != 0) {
      fault(std::string(name) + " with missing lanes: some are in " + meeting->name);
    }
    meeting->arrived |= self;
    warp.deposits[lane()] = deposit;
    if (meeting->arrived == mask) {
      warp.meetings.erase(meeting);
      return warp.deposits.data();
    }
    pause();
    return nullptr;
  }

  void depart(unsigned mask) { ready_.add_warp(number_ - lane(), mask); }

  unsigned lane() const { return number_ % kWarp; }

  void copy_async(const Copy& copy) {
    if (schedule_.late_copies) {
      running().copies.push_back(copy);
    } else {
      deliver(copy);
    }
  }

  void commit_copies() { running().group_ends.push_back(running().copies.size()); }

  void wait_for_copies(std::size_t groups) {
    auto& ends = running().group_ends;
    auto& copies = running().copies;
    if (ends.size() <= groups) return;
    const std::size_t done = ends.size() - groups, end = ends[done - 1];
    std::for_each_n(copies.begin(), end, deliver);
    copies.erase(copies.begin(), copies.begin() + static_cast<std::ptrdiff_t>(end));
    ends.erase(ends.begin(), ends.begin() + static_cast<std::ptrdiff_t>(done));
    for (std::size_t& group_end : ends) group_end -= end;
  }

 private:
  static std::string refusal_of(const GridShape& shape) {
    if (shape.threads.count() == 0 || shape.threads.count() > kMostThreads) {
      return "launch refused: " + std::to_string(shape.threads.count()) + " threads in a block";
    }
    if (shape.blocks.count() == 0 || shape.blocks.y > 65535 || shape.blocks.z > 65535) {
      return "launch refused: a grid of " + to_string({shape.blocks.x, shape.blocks.y, shape.blocks.z}) +
             " blocks";
    }
    if (shape.shared_bytes > kMostSharedBytes) {
      return "launch refused: " + std::to_string(shape.shared_bytes) + " bytes of shared memory";
    }
    return {};
  }

  std::uint32_t draw() {
    const std::uint64_t i = draws_++;
    if (i % 4 == 0) {
      drawn_ = kernels::random_block(schedule_.seed, static_cast<std::int64_t>(i / 4), 0, 0);
    }
    return drawn_.word[i % 4];
  }

  std::vector<std::uint64_t> block_order(std::uint64_t blocks) {
    std::vector<std::uint64_t> order(blocks);
    for (std::uint64_t i = 0; i < blocks; ++i) order[i] = i;
    if (schedule_.order == Schedule::Order::descending) std::reverse(order.begin(), order.end());
    if (schedule_.order == Schedule::Order::shuffled) {
      for (std::uint64_t i = blocks; i > 1; --i) std::swap(order[i - 1], order[draw() % i]);
    }
    return order;
  }

  void run_block(unsigned threads) {
    std::memset(shared_->data, schedule_.shared_fill, shared_->bytes);
    count_ = threads;
    ended_ = waiting_ = 0;
    for (unsigned warp = 0; warp * kWarp < threads; ++warp) {
      const unsigned lanes = std::min(kWarp, threads - warp * kWarp);
      warps_[warp].absent = lanes == kWarp ? 0 : kWholeWarp << lanes;
      warps_[warp].meetings.clear();
    }
    for (unsigned i = 0; i < threads; ++i) {
      Thread& thread = threads_[i];
      thread.index = {i % block_extent.x, i / block_extent.x % block_extent.y,
                      i / block_extent.x / block_extent.y};
      thread.copies.clear();
      thread.group_ends.clear();
      if (i >= started_) stacks_.start(thread.fiber, i, fiber_main);
    }
    make_all_ready();
    started_ = std::max(started_, threads);
    number_ = next();
    thread_index = running().index;
    Fiber::switch_between(outside_, running().fiber);
    if (!fault_.empty()) started_ = 0;  // fibers stand where they happened to be
  }

  // Runs the kernel as this fiber's thread, in one block after the other.
  static void fiber_main();
  void run_threads() {
    Fiber::arrive(running().fiber);
    for (;;) {
      bool ends = false;
      try {
        (*kernel_)();
        if (!running().copies.empty()) fault("a thread ended before its asynchronous copies");
        warps_[number_ / kWarp].absent |= 1u << lane();
        ends = ++ended_ == count_;
        if (!ends) pause();
      } catch (const GridEnds&) {
        ends = true;
      }
      if (ends) Fiber::switch_between(running().fiber, outside_);
    }
  }

  Thread& running() { return threads_[number_]; }

  void make_all_ready() {
    ready_.clear();
    for (unsigned i = 0; i < count_; ++i) ready_.add(i);
  }

  unsigned next() {
    switch (schedule_.order) {
      case Schedule::Order::ascending:
        return ready_.first_from(0);
      case Schedule::Order::descending:
        return ready_.last();
      case Schedule::Order::shuffled: {
        const unsigned found = ready_.first_from(draw() % count_);
        return found == kMostThreads ? ready_.first_from(0) : found;
      }
    }
    return kMostThreads;
  }

  // Lets another thread run until this one can go on.
  void pause() {
    ready_.remove(number_);
    const unsigned other = next();
    if (other == kMostThreads) fault(what_all_wait_for());
    const unsigned self = number_;
    number_ = other;
    thread_index = running().index;
    Fiber::switch_between(threads_[self].fiber, running().fiber);
  }

  std::string what_all_wait_for() const {
    for (unsigned warp = 0; warp * kWarp < count_; ++warp) {
      for (const Meeting& meeting : warps_[warp].meetings) {
        return std::string(meeting.name) + " with missing lanes: those of warp " + std::to_string(warp) +
               " wait for ever";
      }
    }
    return "divergent barrier: " + std::to_string(waiting_) + " threads wait in line " +
           std::to_string(barrier_line_) + ", " + std::to_string(ended_) + " have ended";
  }

  Stacks stacks_;
  std::array<Thread, kMostThreads> threads_;
  std::array<Warp, kMostThreads / kWarp> warps_;
  Fiber outside_;
  unsigned started_ = 0;  // fibers, which wait for their next block
  ReadySet ready_;
  Schedule schedule_;
  std::uint64_t draws_ = 0;
  kernels::Philox4 drawn_{};
  const std::function<void()>* kernel_ = nullptr;
  SharedMemory* shared_ = nullptr;
  std::string fault_;
  unsigned count_ = 0, number_ = 0;  // threads in the block; the one that runs
  unsigned ended_ = 0, waiting_ = 0;
  int barrier_line_ = 0;
};

Multiprocessor& multiprocessor() {
  thread_local const auto instance = std::make_unique<Multiprocessor>();
  return *instance;
}

void Multiprocessor::fiber_main() { multiprocessor().run_threads(); }

void check_alignment(const void* address, std::size_t bytes) {
  if (reinterpret_cast<std::uintptr_t>(address) % bytes != 0) {
    fault("misaligned access of " + std::to_string(bytes) + " bytes");
  }
}

bool is_shared(const void* address, std::size_t bytes) {
  const auto* from = static_cast<const char*>(address);
  const auto* begin = multiprocessor().shared_data();
  return from >= begin && from + bytes <= begin + multiprocessor().shared_bytes();
}

}  // namespace

std::string run_grid(const GridShape& shape, const Schedule& schedule, const std::function<void()>& kernel) {
  return multiprocessor().run(shape, schedule, kernel);
}

void fault(const std::string& text) { multiprocessor().fault(text); }
void* shared_memory() { return multiprocessor().shared_data(); }
void block_barrier(int line) { multiprocessor().block_barrier(line); }
Deposits meet(unsigned mask, const char* name, void* deposit) {
  return multiprocessor().meet(mask, name, deposit);
}
void depart(unsigned mask) { multiprocessor().depart(mask); }
unsigned lane_id() { return multiprocessor().lane(); }

void copy_async(void* shared, const void* global, std::size_t valid) {
  check_shared_access(shared, 16);
  if (valid > 16) fault("an asynchronous copy of " + std::to_string(valid) + " bytes");
  check_alignment(global, 16);
  if (valid > 0 && !is_device_memory(global, valid)) fault("out of range: global access");
  multiprocessor().copy_async({shared, global, valid});
}
void commit_copies() { multiprocessor().commit_copies(); }
void wait_for_copies(std::size_t groups) { multiprocessor().wait_for_copies(groups); }

void check_shared_access(const void* address, std::size_t bytes) {
  check_alignment(address, bytes);
  if (!is_shared(address, bytes)) fault("out of range: shared access");
}

void check_global_access(const void* address, std::size_t bytes) {
  check_alignment(address, bytes);
  if (!is_device_memory(address, bytes)) fault("out of range: global access");
}

void check_access(const void* address, std::size_t bytes) {
  check_alignment(address, bytes);
  if (!is_shared(address, bytes) && !is_device_memory(address, bytes)) fault("out of range: vector access");
}

}  // namespace pila::simt
