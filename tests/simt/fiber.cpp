#include "tests/simt/fiber.h"

#include <sys/mman.h>

#include <cstdint>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves what a called function must preserve on the running stack, and takes it from the other one.
extern "C" void pila_simt_switch(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
  .text
  .globl pila_simt_switch
  .type pila_simt_switch, @function
pila_simt_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size pila_simt_switch, . - pila_simt_switch
)");
namespace {
constexpr std::size_t kSavedWords = 8;  // with the return addresses of the first call and of its caller
constexpr std::size_t kEntryWord = 6;
}  // namespace
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl pila_simt_switch
  .type pila_simt_switch, %function
pila_simt_switch:
  stp x29, x30, [sp, #-160]!
  stp x19, x20, [sp, #16]
  stp x21, x22, [sp, #32]
  stp x23, x24, [sp, #48]
  stp x25, x26, [sp, #64]
  stp x27, x28, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x2, sp
  str x2, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #16]
  ldp x21, x22, [sp, #32]
  ldp x23, x24, [sp, #48]
  ldp x25, x26, [sp, #64]
  ldp x27, x28, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  ldp x29, x30, [sp], #160
  ret
  .size pila_simt_switch, . - pila_simt_switch
)");
namespace {
constexpr std::size_t kSavedWords = 20;
constexpr std::size_t kEntryWord = 1;
}  // namespace
#else
#error "fibers are written for x86-64 and AArch64"
#endif

namespace pila::simt {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStackBytes = 256 << 10;  // its frames have room around every variable
#else
constexpr std::size_t kStackBytes = 64 << 10;
#endif
constexpr std::size_t kPage = 64 << 10;  // of any processor

thread_local Fiber* left_fiber = nullptr;

}  // namespace

void Fiber::start(char* stack, std::size_t bytes, void (*entry)()) {
#if defined(__SANITIZE_ADDRESS__)
  ASAN_UNPOISON_MEMORY_REGION(stack, bytes);  // whoever was here before may not have returned
#endif
  auto* words = reinterpret_cast<std::uintptr_t*>(stack + bytes) - kSavedWords;
  for (std::size_t i = 0; i < kSavedWords; ++i) words[i] = 0;
  words[kEntryWord] = reinterpret_cast<std::uintptr_t>(entry);
  stack_pointer_ = words;
  stack_ = stack;
  stack_bytes_ = bytes;
  fake_stack_ = nullptr;
}

void Fiber::switch_between(Fiber& from, Fiber& to) {
  left_fiber = &from;
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_start_switch_fiber(&from.fake_stack_, to.stack_, to.stack_bytes_);
#endif
  pila_simt_switch(&from.stack_pointer_, to.stack_pointer_);
  arrive(from);
}

void Fiber::arrive([[maybe_unused]] Fiber& fiber) {
#if defined(__SANITIZE_ADDRESS__)
  __sanitizer_finish_switch_fiber(fiber.fake_stack_, &left_fiber->stack_, &left_fiber->stack_bytes_);
#endif
}

Stacks::Stacks(std::size_t count) : bytes_(count * (kStackBytes + kPage)) {
  void* memory = mmap(nullptr, bytes_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw std::bad_alloc();
  memory_ = static_cast<char*>(memory);
  for (std::size_t i = 0; i < count; ++i) {
    mprotect(memory_ + i * (kStackBytes + kPage) + kPage, kStackBytes, PROT_READ | PROT_WRITE);
  }
}

Stacks::~Stacks() { munmap(memory_, bytes_); }

void Stacks::start(Fiber& fiber, std::size_t index, void (*entry)()) const {
  // Stacks that begin a power of two apart would share the same few places of a cache.
  const std::size_t shift = index % 64 * 128;
  fiber.start(memory_ + index * (kStackBytes + kPage) + kPage, kStackBytes - shift, entry);
}

}  // namespace pila::simt
