// Remembers the operations on the way to a loss and walks them back to gradients.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
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
  friend class Tape;
  std::map<std::uint64_t, Tensor> by_id_;
};

// Operations that depend on no watched tensor are not recorded, so a frozen backbone costs no memory.
class Tape : public Recorder {
 public:
  // `behind` is told of every operation too: the builder of a training plan, or the tape of a second
  // derivative. It must outlive this tape's use.
  explicit Tape(Recorder* behind = nullptr) : behind_(behind) {}

  // Asks for the gradient of a floating-point tensor: before it is used, or, where the gradient of an inner
  // tensor is wanted too (Grad-CAM), after it was computed and before it is used. Throws UsageError for
  // others.
  void watch(const Tensor& tensor);
  void record(const std::shared_ptr<const Op>& op, std::span<const Tensor> inputs,
              std::span<const Tensor> outputs) override;
  bool follows(const Tensor& tensor) const override;
  bool tracing() const override { return behind_ != nullptr && behind_->tracing(); }

  // d loss / d watched, for every watched tensor, and forgets the recorded operations, freeing what they
  // saved as it goes; the watched tensors stay watched. `loss` has one element, else ShapeError. Throws
  // UsageError when it does not depend on anything watched, or when a value that the way back needs was
  // overwritten. With ctx's recorder set, the backward pass itself is recorded there; a tape does not record
  // its own, so this tape as ctx's recorder stands for the one behind it.
  Gradients backward(const Context& ctx, const Tensor& loss);
  // The same from the gradient of any output, which has its shape and type, else ShapeError. An output that
  // depends on nothing watched gives no gradients.
  Gradients backward(const Context& ctx, const Tensor& output, const Tensor& output_gradient);
  std::size_t size() const { return nodes_.size(); }

 private:
  struct Node {
    std::shared_ptr<const Op> op;
    std::vector<Tensor> inputs;   // undefined where not saved
    std::vector<Tensor> outputs;  // undefined where not saved
    std::vector<std::uint64_t> input_ids, output_ids;
    std::unique_ptr<bool[]> wanted;  // by input
    std::uint64_t versions = 0;      // of all saved tensors, summed: versions only grow
  };
  void step_back(const Context& ctx, const Node& node, std::map<std::uint64_t, Tensor>& gradients) const;

  Recorder* behind_;
  std::vector<Node> nodes_;
  std::unordered_set<std::uint64_t> watched_;  // asked for
  std::unordered_set<std::uint64_t> reached_;  // watched, or computed from something watched
};

}  // namespace pila
