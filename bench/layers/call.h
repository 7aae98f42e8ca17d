// Something that computes one task again and again on the same operands.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace pila::bench {

class Call {
 public:
  virtual ~Call() = default;
  virtual std::string name() const = 0;  // the kernel or engine, for people
  virtual void run() = 0;                // queues it on the device's stream; throws Error
  // Runs once more, and leaves the result where and as Operands has it: libraries may run on layouts of their
  // own, or add to what is there.
  virtual void deliver() { run(); }
};

// Several, one after the other.
class Chain : public Call {
 public:
  explicit Chain(std::vector<std::unique_ptr<Call>> calls) : calls_(std::move(calls)) {}
  std::string name() const override {
    std::string all;
    for (const auto& call : calls_) all += (all.empty() ? "" : ", ") + call->name();
    return all;
  }
  void run() override {
    for (const auto& call : calls_) call->run();
  }
  void deliver() override {
    for (const auto& call : calls_) call->deliver();
  }

 private:
  std::vector<std::unique_ptr<Call>> calls_;
};

}  // namespace pila::bench
