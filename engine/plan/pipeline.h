// Runs of a plan, one after the other, whose copies and computations overlap.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "engine/plan/plan.h"

namespace pila {

// While a run computes, the next one's input is on its way to the device, the outputs of the one before are
// on their way back, and the caller is free. Where a device's work is done at once, so is a run.
class Pipeline {
 public:
  // For plans of one input whose outputs are float32; parts: as SessionPlace has them. Throws what sessions
  // throw, DeviceError without memory on the host.
  Pipeline(const Context& ctx, const std::shared_ptr<const Plan>& plan, std::int64_t parts = 1);
  ~Pipeline();

  // Whether all lanes are taken: collect() comes before another submit().
  bool full() const { return under_way_ == lanes_.size(); }
  // Copies the input's values and queues a run on them. Throws ShapeError for another number of bytes,
  // UsageError where it is full.
  void submit(std::span<const std::byte> input);

  struct Result {
    std::vector<std::vector<float>> outputs;  // in the plan's order
    double milliseconds = 0;                  // on the device, with both copies
  };
  // Waits for the oldest run that was submitted. Throws UsageError where there is none.
  Result collect();

 private:
  class HostMemory;
  class Lane;

  std::vector<std::unique_ptr<Lane>> lanes_;
  std::size_t next_ = 0, under_way_ = 0;
};

}  // namespace pila
