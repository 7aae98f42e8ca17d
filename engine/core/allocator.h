// A cache of device memory: freed blocks are kept and handed out again, since a training step asks for the
// same sizes every time. A block may be handed out while queued work still uses it: what is queued behind
// that on the device's stream waits for it. Who uses another stream waits for that one before giving back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "kernels/device_api.h"

namespace pila {

struct AllocatorStatistics {
  std::uint64_t requests = 0;            // calls of allocate()
  std::uint64_t device_allocations = 0;  // requests that the cache could not serve
  std::size_t bytes_in_use = 0;          // whole blocks, not only the bytes asked for
  std::size_t bytes_cached = 0;          // free, kept for later
  std::size_t peak_bytes_in_use = 0;
};

// Safe to use from several threads.
class Allocator {
 public:
  explicit Allocator(kernels::DeviceApi& api) : api_(api) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  struct Block {
    void* memory = nullptr;
    std::size_t bytes = 0;  // at least what was asked for
  };

  // Throws DeviceError with the bytes asked for, in use and free when the device has no memory left, after
  // giving the cache back to it. Zero bytes is an empty block.
  Block allocate(std::size_t bytes);
  void release(Block block) noexcept;

  void empty_cache() noexcept;
  AllocatorStatistics statistics() const;

 private:
  void give_back_cache() noexcept;

  kernels::DeviceApi& api_;
  mutable std::mutex mutex_;
  std::multimap<std::size_t, void*> free_;  // by size
  AllocatorStatistics statistics_;
};

}  // namespace pila
