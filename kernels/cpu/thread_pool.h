// A fixed crew of threads that splits index ranges. Waiting threads spin briefly, then sleep.
#pragma once

#include <cstdint>
#include <memory>

#include "kernels/device_api.h"

namespace pila::kernels::cpu {

class ThreadPool {
 public:
  // `threads` workers, the calling thread among them; 0 for all cores.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int threads() const;

  // Calls body(index, worker) once for each index in [0, count), worker in [0, threads()), and returns when
  // all are done. Which worker takes an index is unspecified, so results must not depend on it. Bodies do not
  // throw and do not call run() on the same pool. Calls from several threads take turns, unless there is but
  // one worker: then each caller does its own work at once.
  template <class Body>
  void run(std::int64_t count, const Body& body) {
    run_erased(count, &body, [](const void* context, std::int64_t index, int worker) {
      (*static_cast<const Body*>(context))(index, worker);
    });
  }

 private:
  using Erased = void (*)(const void* context, std::int64_t index, int worker);
  void run_erased(std::int64_t count, const void* context, Erased body);

  struct State;
  std::unique_ptr<State> state_;
};

// The CPU's stream: work is done at once by its pool.
class CpuStream : public Stream {
 public:
  explicit CpuStream(int threads) : pool(threads) {}
  int threads() const override { return pool.threads(); }
  ThreadPool pool;
};

// The pool behind a CPU stream.
inline ThreadPool& pool_of(const Stream& stream) {
  return const_cast<CpuStream&>(static_cast<const CpuStream&>(stream)).pool;
}

}  // namespace pila::kernels::cpu
