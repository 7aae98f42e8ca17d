// A cache of device memory: freed blocks are kept and handed out again, since a training step asks for the
// same sizes every time. A block may be handed out while queued work still uses it: what is queued behind
// that on the device's stream waits for it. Who uses another stream waits for that one before giving back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>

#include "kernels/device_api.h"

namespace pila {

struct AllocatorStatistics {
  std::uint64_t requests = 0;            // calls of allocate()
  std::uint64_t device_allocations = 0;  // requests that the cache could not serve
  std::size_t bytes_in_use = 0;          // whole blocks, not only the bytes asked for; and those of reserves
  std::size_t bytes_cached = 0;          // free, kept for later
  std::size_t peak_bytes_in_use = 0;
};

// Safe to use from several threads.
class Allocator {
  using FreeBlocks = std::multimap<std::size_t, void*>;  // by size

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

  // Blocks for work that is done again and again with the same addresses. While it is open, blocks that its
  // thread gives back go into it, and that thread is served from it first: what the work used is then handed
  // out to nobody else. All that was allocated meanwhile has to be given back meanwhile, or to live as long.
  class Reserve {
   public:
    explicit Reserve(Allocator& allocator) : allocator_(allocator) {}
    ~Reserve();  // its blocks go to the cache
    Reserve(const Reserve&) = delete;
    Reserve& operator=(const Reserve&) = delete;

    // Opens it while in scope. One reserve of an allocator is open at a time, else UsageError.
    class Scope {
     public:
      explicit Scope(Reserve& reserve);
      ~Scope();
      Scope(const Scope&) = delete;
      Scope& operator=(const Scope&) = delete;

     private:
      Allocator& allocator_;
    };

   private:
    friend class Allocator;
    Allocator& allocator_;
    FreeBlocks free_;
  };

  void empty_cache() noexcept;
  AllocatorStatistics statistics() const;

 private:
  // The smallest block of these that fits, taken out; none where there is none.
  static Block take(FreeBlocks& blocks, std::size_t bytes);
  // The reserve that the calling thread has open, or null.
  Reserve* open_reserve() const;
  void cache(Block block) noexcept;
  void give_back_cache() noexcept;

  kernels::DeviceApi& api_;
  mutable std::mutex mutex_;
  FreeBlocks free_;
  Reserve* reserve_ = nullptr;  // that is open
  std::thread::id reserved_for_;
  AllocatorStatistics statistics_;
};

}  // namespace pila
