// Processes that compute together, one training among them.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace pila {

class Context;
class Tensor;

// A way to sum tensors over ranks where they lie: see Communicator::sum_tensors_by().
class TensorSum {
 public:
  virtual ~TensorSum() = default;
  virtual void sum(const Context& ctx, const Tensor& values) = 0;
};

// One process is a rank, counted from 0. What is not said to be for one rank alone is called by all of them,
// in the same order, and waits until all have come. Used by one thread at a time.
class Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;
  bool first() const { return rank() == 0; }
  bool alone() const { return size() == 1; }

  // Each number becomes its sum over all ranks, added in float64 in the order of ranks and rounded once:
  // every rank gets the same bits, in every run with as many ranks. All spans have one length.
  virtual void sum(std::span<float> values) = 0;
  // The same in place, of a tensor of float32 on ctx's device: by way of the host's memory, or by the way
  // that all ranks have chosen.
  void sum(const Context& ctx, const Tensor& values);
  void sum_tensors_by(std::unique_ptr<TensorSum> way) { tensor_sum_ = std::move(way); }
  // All ranks' bytes, in the order of ranks; each may give another number of them.
  virtual std::vector<std::byte> gather(std::span<const std::byte> mine) = 0;
  // The first rank's bytes come to all. All spans have one length.
  virtual void broadcast(std::span<std::byte> bytes) = 0;

  // The first rank's words, where all ranks call this within that time; they may be inside of another call
  // meanwhile. So a rank that is about to end tells an end of all from an end of its own. Called once; where
  // nothing comes back, abort() is all that is left.
  virtual std::optional<std::string> meet(const std::string& words, std::chrono::milliseconds patience) = 0;
  // Of one rank alone: ends all processes at once.
  [[noreturn]] virtual void abort(int exit_code) = 0;

  // The same for values of a trivially copyable type.
  template <class T>
  std::vector<T> gather_values(std::span<const T> mine) {
    const std::vector<std::byte> bytes = gather(std::as_bytes(mine));
    std::vector<T> values(bytes.size() / sizeof(T));
    std::copy(bytes.begin(), bytes.end(), reinterpret_cast<std::byte*>(values.data()));
    return values;
  }
  template <class T>
  T first_ones(T value) {  // the first rank's value
    broadcast(std::as_writable_bytes(std::span(&value, 1)));
    return value;
  }
  std::string first_ones(std::string text);
  bool any(bool flag);  // whether it is set on some rank

 private:
  std::unique_ptr<TensorSum> tensor_sum_;
};

// A process by itself.
class SingleProcess : public Communicator {
 public:
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void sum(std::span<float>) override {}
  std::vector<std::byte> gather(std::span<const std::byte> mine) override {
    return {mine.begin(), mine.end()};
  }
  void broadcast(std::span<std::byte>) override {}
  std::optional<std::string> meet(const std::string& words, std::chrono::milliseconds) override {
    return words;
  }
  [[noreturn]] void abort(int exit_code) override;
};

// Each number becomes its sum over all ranks, added in their order. For few numbers.
void sum_over_ranks(Communicator& ranks, std::span<double> values);

// The part of [0, total) that falls to one of `size` ranks: contiguous, in their order, of sizes that differ
// by one at most; empty where there are fewer than ranks.
struct Share {
  std::int64_t begin = 0, end = 0;
  std::int64_t count() const { return end - begin; }
};
Share share_of(std::int64_t total, int rank, int size);
Share share_of(std::int64_t total, const Communicator& ranks);

// The first rank does the work while the others wait. What it throws is thrown on all, as UsageError,
// FileError or Error.
void on_first(Communicator& ranks, const std::function<void()>& work);

// How many of the ranks before this one are on its machine.
int number_on_machine(Communicator& ranks);

// How many threads a rank should have so that all ranks on a machine together have one for each core that
// they may run on: its cores, where it shares them with no other rank (as Slurm and mpirun may bind them),
// else its part of them; 1 at least.
int threads_for(Communicator& ranks);

}  // namespace pila
