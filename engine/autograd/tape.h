// Remembers the operations on the way to a loss and walks them back to gradients.
#pragma once

#include <map>
#include <memory>
#include <span>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/ops/op.h"

namespace pila {

// Gradients by tensor.
class Gradients {
 public:
  // The gradient of a watched tensor; undefined when the loss does not depend on it.
  Tensor of(const Tensor& watched) const;
  void set(const Tensor& watched, Tensor gradient);
  // Adds another pass's gradients to these (gradient accumulation).
  void accumulate(const Context& ctx, const Gradients& other);

 private:
  std::unordered_map<std::uint64_t, Tensor> by_id_;
};

// Operations that depend on no watched tensor are not recorded, so a frozen backbone costs no memory.
class Tape : public Recorder {
 public:
  void watch(const Tensor& tensor);  // before it is used
  void record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
              std::span<const Tensor> outputs) override;
  // d loss / d watched, for every watched tensor, and forgets the recorded operations as it goes. `loss` has
  // one element. Throws UsageError when it does not depend on anything watched. With ctx's recorder set, the
  // backward pass itself is recorded there.
  Gradients backward(const Context& ctx, const Tensor& loss);
  // Where the gradient of an inner tensor is wanted too (Grad-CAM), watch it after it was computed.
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    std::shared_ptr<const Op> op;
    std::vector<Tensor> inputs;   // undefined where not saved
    std::vector<Tensor> outputs;  // undefined where not saved
    std::vector<std::uint64_t> input_ids, output_ids;
    std::vector<TensorSpec> output_specs;
  };
  std::vector<Node> nodes_;
  std::unordered_set<std::uint64_t> watched_;  // asked for
  std::unordered_set<std::uint64_t> reached_;  // watched, or computed from something watched
};

}  // namespace pila
