// Everything that an operation needs beside its inputs, passed explicitly.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/core/device.h"
#include "engine/core/tensor.h"

namespace pila {

class CallCollector;
class Communicator;
class Recorder;

// Which samples of a batch that several ranks share lie here: those from `first` on, of `total`. No total:
// the batch is whole.
struct BatchShare {
  std::int64_t first = 0, total = 0;
};

// A small value; copies with one thing changed are made by the with_...() calls.
class Context {
 public:
  // Inference, no recorder.
  explicit Context(std::shared_ptr<Device> device);

  const std::shared_ptr<Device>& device() const { return device_; }
  const kernels::KernelTable& kernels() const { return device_->kernels(); }
  kernels::Stream& stream() const { return device_->stream(); }

  // Whether dropout drops and trainable batch normalisation takes batch statistics.
  bool training() const { return training_; }
  // Who is told of every operation; null for nobody.
  Recorder* recorder() const { return recorder_; }
  // Whether operations are only written down, not run.
  bool tracing() const;
  // Who takes the kernels that operations would run; null: they are run.
  CallCollector* collector() const { return collector_; }
  // What random numbers are keyed by: a seed, and the step number as an int64 tensor on the device (undefined
  // unless training).
  std::uint64_t seed() const { return seed_; }
  const Tensor& step() const { return step_; }
  // The processes that compute together; by itself, this one alone.
  Communicator& ranks() const { return *ranks_; }
  // How products of float32 are computed: float32 or tf32.
  Precision products() const { return products_; }
  // How they share the batch at hand. Dropout drops what it would drop of the whole batch, and trainable
  // batch normalisation takes the whole batch's statistics.
  const BatchShare& share() const { return share_; }
  // Whether blocks of a network are computed again on the way back instead of kept (see recomputed()).
  bool recomputes() const { return recomputes_; }
  // Whether this is such a repetition: moving averages, say, have moved before.
  bool repeats() const { return repeats_; }

  Context with_recorder(Recorder* recorder) const;
  Context with_collector(CallCollector* collector) const;
  Context no_grad() const { return with_recorder(nullptr); }
  Context inference() const;
  Context for_training(std::uint64_t seed, Tensor step) const;  // throws ShapeError unless step is int64[]
  Context with_ranks(Communicator& ranks) const;                // which must outlive the context
  Context with_share(const BatchShare& share) const;
  Context with_products(Precision precision) const;
  Context with_recomputation(bool recomputes) const;
  Context repetition() const;

 private:
  std::shared_ptr<Device> device_;
  Recorder* recorder_ = nullptr;
  CallCollector* collector_ = nullptr;
  bool training_ = false;
  std::uint64_t seed_ = 0;
  Tensor step_;
  Communicator* ranks_;
  BatchShare share_;
  Precision products_ = Precision::f32;
  bool recomputes_ = false, repeats_ = false;
};

}  // namespace pila
