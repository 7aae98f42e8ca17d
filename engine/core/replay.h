// Work that is done over and over on the same tensors, such as a step of training.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "engine/core/allocator.h"
#include "engine/core/context.h"

namespace pila {

// A device that captures gets the work operation by operation the first time, writes it down the second, and
// has all of it at once from then on. Other devices get it operation by operation every time.
class Replay {
 public:
  // Queues operations and returns what they made. It may not wait for the device, and what it decides may not
  // depend on what tensors hold.
  using Work = std::function<std::vector<Tensor>()>;

  explicit Replay(const Context& ctx);
  ~Replay();
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  // Does the work, the same in every call: it reads and writes tensors that stay where they are. What it made
  // is overwritten by the next call. Throws what the work throws.
  const std::vector<Tensor>& run(const Work& work);
  // Does other work once, in the memory that is kept for the same.
  const std::vector<Tensor>& run_other(const Work& work);

 private:
  void run_now(const Work& work);

  Context ctx_;
  Allocator::Reserve reserve_;
  std::vector<Tensor> made_, replayed_;  // by the last work that was done at once; by the captured one
  std::unique_ptr<kernels::CapturedWork> captured_;
  bool warm_ = false;  // a kernel's first run may do what cannot be captured, such as loading its code
};

}  // namespace pila
