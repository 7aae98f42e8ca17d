// A stack for each emulated thread, and the step from one stack to another: a few instructions, so that a
// block of a thousand threads costs little.
#pragma once

#include <cstddef>

namespace pila::simt {

// Runs a function on a stack of its own, whenever another fiber switches to it. Nothing is unwound: a fiber
// that is never switched to again leaves what it had on its stack as it is.
class Fiber {
 public:
  // The thread that calls, on the stack that it has.
  Fiber() = default;
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the next switch to this fiber call entry(), which must not return. stack: 16-byte aligned.
  void start(char* stack, std::size_t bytes, void (*entry)());

  // Leaves `from`, which is running; returns when something switches back to it.
  static void switch_between(Fiber& from, Fiber& to);
  // To be called first in every entry().
  static void arrive(Fiber& fiber);

 private:
  void* stack_pointer_ = nullptr;
  const void* stack_ = nullptr;  // for AddressSanitizer, as is what follows
  std::size_t stack_bytes_ = 0;
  void* fake_stack_ = nullptr;
};

// Memory for `count` stacks, each ending at a page that cannot be touched.
class Stacks {
 public:
  explicit Stacks(std::size_t count);
  ~Stacks();
  Stacks(const Stacks&) = delete;
  Stacks& operator=(const Stacks&) = delete;

  void start(Fiber& fiber, std::size_t index, void (*entry)()) const;

 private:
  std::size_t bytes_;  // of all
  char* memory_;
};

}  // namespace pila::simt
