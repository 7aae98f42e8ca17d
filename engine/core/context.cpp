#include "engine/core/context.h"

#include <utility>

#include "engine/core/error.h"
#include "engine/ops/op.h"
#include "engine/parallel/communicator.h"

namespace pila {
namespace {

// Without state.
Communicator& this_process() {
  static SingleProcess process;
  return process;
}

}  // namespace

Context::Context(std::shared_ptr<Device> device) : device_(std::move(device)), ranks_(&this_process()) {
  if (!device_) throw UsageError("[context] expected a device, got none");
}

bool Context::tracing() const { return recorder_ != nullptr && recorder_->tracing(); }

Context Context::with_recorder(Recorder* recorder) const {
  Context copy = *this;
  copy.recorder_ = recorder;
  return copy;
}

Context Context::with_collector(CallCollector* collector) const {
  Context copy = *this;
  copy.collector_ = collector;
  return copy;
}

Context Context::inference() const {
  Context copy = *this;
  copy.training_ = false;
  return copy;
}

Context Context::for_training(std::uint64_t seed, Tensor step) const {
  if (!step || step.type() != DType::i64 || step.shape().elements() != 1) {
    throw ShapeError("[context] expected a step of int64[], got " +
                     (step ? step.spec().to_string() : "an undefined tensor"));
  }
  Context copy = *this;
  copy.training_ = true;
  copy.seed_ = seed;
  copy.step_ = std::move(step);
  return copy;
}

Context Context::with_ranks(Communicator& ranks) const {
  Context copy = *this;
  copy.ranks_ = &ranks;
  return copy;
}

Context Context::with_share(const BatchShare& share) const {
  Context copy = *this;
  copy.share_ = share;
  return copy;
}

Context Context::with_products(Precision precision) const {
  Context copy = *this;
  copy.products_ = precision;
  return copy;
}

Context Context::with_recomputation(bool recomputes) const {
  Context copy = *this;
  copy.recomputes_ = recomputes;
  return copy;
}

Context Context::repetition() const {
  Context copy = *this;
  copy.repeats_ = true;
  return copy;
}

}  // namespace pila
