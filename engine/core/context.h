// Everything that an operation needs beside its inputs, passed explicitly.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/core/device.h"
#include "engine/core/tensor.h"

namespace pila {

class CallCollector;
class Recorder;

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

  Context with_recorder(Recorder* recorder) const;
  Context with_collector(CallCollector* collector) const;
  Context no_grad() const { return with_recorder(nullptr); }
  Context inference() const;
  Context for_training(std::uint64_t seed, Tensor step) const;  // throws ShapeError unless step is int64[]

 private:
  std::shared_ptr<Device> device_;
  Recorder* recorder_ = nullptr;
  CallCollector* collector_ = nullptr;
  bool training_ = false;
  std::uint64_t seed_ = 0;
  Tensor step_;
};

}  // namespace pila
