// Aligned memory that notices when a kernel writes beside it or leaves a part of it unwritten.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#define PILA_FORBID_MEMORY(start, bytes) ASAN_POISON_MEMORY_REGION(start, bytes)
#define PILA_ALLOW_MEMORY(start, bytes) ASAN_UNPOISON_MEMORY_REGION(start, bytes)
#else
#define PILA_FORBID_MEMORY(start, bytes) static_cast<void>(0)
#define PILA_ALLOW_MEMORY(start, bytes) static_cast<void>(0)
#endif

namespace pila::test {

enum class Written { any, all };

// `size` elements at a 64-byte boundary, poisoned with a NaN of every floating-point type (all bits set),
// with canary bytes on both sides. Under AddressSanitizer reading the canaries is caught as well. Kernels may
// be given read-only inputs in it too.
template <class T>
class GuardedBuffer {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  explicit GuardedBuffer(std::size_t size) : size_(size) {
    memory_ = static_cast<unsigned char*>(::operator new(total_bytes(), kAlignment));
    std::fill_n(memory_, kGuard, kCanary);
    std::fill_n(memory_ + kGuard + bytes(), kGuard, kCanary);
    poison();
    PILA_FORBID_MEMORY(memory_, kGuard);
    PILA_FORBID_MEMORY(memory_ + kGuard + bytes(), kGuard);
  }
  GuardedBuffer(const std::vector<T>& values) : GuardedBuffer(values.size()) {
    std::copy(values.begin(), values.end(), data());
  }
  GuardedBuffer(GuardedBuffer&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), size_(std::exchange(other.size_, 0)) {}
  GuardedBuffer& operator=(GuardedBuffer&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(size_, other.size_);
    return *this;
  }
  ~GuardedBuffer() {
    if (memory_ == nullptr) return;
    PILA_ALLOW_MEMORY(memory_, total_bytes());
    ::operator delete(memory_, kAlignment);
  }

  T* data() { return reinterpret_cast<T*>(memory_ + kGuard); }
  const T* data() const { return reinterpret_cast<const T*>(memory_ + kGuard); }
  std::size_t size() const { return size_; }
  T* begin() { return data(); }
  T* end() { return data() + size_; }
  const T* begin() const { return data(); }
  const T* end() const { return data() + size_; }
  T& operator[](std::size_t i) { return data()[i]; }
  const T& operator[](std::size_t i) const { return data()[i]; }
  std::vector<T> values() const { return {begin(), end()}; }

  // Fills the elements with NaN anew.
  void poison() {
    if (size_ != 0) std::memset(static_cast<void*>(data()), kPoison, bytes());
  }

  // Fails when a canary has changed and, with Written::all, when an element still is poison.
  testing::AssertionResult check(Written written = Written::any) const {
    if (const auto offset = changed_canary(memory_); offset != kGuard) {
      return testing::AssertionFailure() << "wrote " << kGuard - offset << " bytes before the buffer";
    }
    if (const auto offset = changed_canary(memory_ + kGuard + bytes()); offset != kGuard) {
      return testing::AssertionFailure() << "wrote into byte " << offset << " behind the buffer's end";
    }
    if (written == Written::all) {
      if constexpr (sizeof(T) == 1) {
        return testing::AssertionFailure() << "single bytes cannot tell poison from data";
      }
      unsigned char poison_bytes[sizeof(T)];
      std::fill_n(poison_bytes, sizeof(T), kPoison);
      for (std::size_t i = 0; i < size_; ++i) {
        if (std::memcmp(data() + i, poison_bytes, sizeof(T)) == 0) {
          return testing::AssertionFailure() << "element " << i << " of " << size_ << " was not written";
        }
      }
    }
    return testing::AssertionSuccess();
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  static constexpr std::size_t kGuard = 256;  // on each side; a multiple of the alignment
  static constexpr unsigned char kCanary = 0xC9, kPoison = 0xFF;

  std::size_t bytes() const { return size_ * sizeof(T); }
  std::size_t total_bytes() const { return bytes() + 2 * kGuard; }

  // The place of the first byte that is no canary; kGuard when all are.
  static std::size_t changed_canary(unsigned char* guard) {
    PILA_ALLOW_MEMORY(guard, kGuard);
    std::size_t i = 0;
    while (i < kGuard && guard[i] == kCanary) ++i;
    PILA_FORBID_MEMORY(guard, kGuard);
    return i;
  }

  unsigned char* memory_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace pila::test
