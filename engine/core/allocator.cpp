#include "engine/core/allocator.h"

#include <algorithm>
#include <limits>
#include <string>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::size_t kAlignment = 64;
constexpr std::size_t kLargest = std::numeric_limits<std::size_t>::max() / 4;

// Blocks come in multiples of 64 bytes, and above 1 KiB in eight sizes to each power of two: requests that
// differ by little (a last, smaller batch; an image a few pixels wider) then share blocks, at a cost of at
// most an eighth.
std::size_t block_size(std::size_t bytes) {
  std::size_t step = kAlignment;
  while (bytes > 16 * step) step *= 2;
  return (bytes + step - 1) / step * step;
}

// A cached block may exceed a request by a quarter: more would let small tensors sit on the large blocks
// that the next layer asks for, less would miss neighbouring sizes. Within a page nothing is lost.
std::size_t largest_fit(std::size_t bytes) { return bytes + std::max<std::size_t>(bytes / 4, 4096); }

}  // namespace

Allocator::~Allocator() { give_back_cache(); }

Allocator::Block Allocator::take(FreeBlocks& blocks, std::size_t bytes) {
  const auto found = blocks.lower_bound(bytes);
  if (found == blocks.end() || found->first > largest_fit(bytes)) return {};
  const Block block{found->second, found->first};
  blocks.erase(found);
  return block;
}

Allocator::Reserve* Allocator::open_reserve() const {
  return reserve_ != nullptr && reserved_for_ == std::this_thread::get_id() ? reserve_ : nullptr;
}

Allocator::Block Allocator::allocate(std::size_t bytes) {
  const std::lock_guard lock(mutex_);
  ++statistics_.requests;
  if (bytes == 0) return {};

  Block block;
  if (bytes <= kLargest) {
    const std::size_t size = block_size(bytes);
    if (Reserve* reserve = open_reserve()) {
      block = take(reserve->free_, size);
      if (block.memory != nullptr) return block;
    }
    block = take(free_, size);
    if (block.memory != nullptr) {
      statistics_.bytes_cached -= block.bytes;
    } else {
      ++statistics_.device_allocations;
      block = {api_.allocate(size), size};
      if (block.memory == nullptr && !free_.empty()) {
        give_back_cache();
        block.memory = api_.allocate(size);
      }
    }
  }
  if (block.memory == nullptr) {
    const kernels::DeviceMemory memory = api_.memory();
    throw DeviceError("[allocator] out of memory: expected room for " + std::to_string(bytes) +
                      " bytes beside the " + std::to_string(statistics_.bytes_in_use) + " in use" +
                      (memory.total == 0 ? ""
                                         : "; of the device's " + std::to_string(memory.total) + " bytes " +
                                               std::to_string(memory.free) + " are free"));
  }
  statistics_.bytes_in_use += block.bytes;
  statistics_.peak_bytes_in_use = std::max(statistics_.peak_bytes_in_use, statistics_.bytes_in_use);
  return block;
}

void Allocator::release(Block block) noexcept {
  if (block.memory == nullptr) return;
  const std::lock_guard lock(mutex_);
  if (Reserve* reserve = open_reserve()) {
    try {
      reserve->free_.emplace(block.bytes, block.memory);
      return;
    } catch (...) {  // no host memory for the entry
    }
  }
  cache(block);
}

void Allocator::cache(Block block) noexcept {
  statistics_.bytes_in_use -= block.bytes;
  try {
    free_.emplace(block.bytes, block.memory);
    statistics_.bytes_cached += block.bytes;
  } catch (...) {  // no host memory for the cache's own entry
    api_.release(block.memory);
  }
}

Allocator::Reserve::~Reserve() {
  const std::lock_guard lock(allocator_.mutex_);
  for (const auto& [bytes, memory] : free_) allocator_.cache({memory, bytes});
}

Allocator::Reserve::Scope::Scope(Reserve& reserve) : allocator_(reserve.allocator_) {
  const std::lock_guard lock(allocator_.mutex_);
  if (allocator_.reserve_ != nullptr) throw UsageError("[allocator] expected one open reserve, got a second");
  allocator_.reserve_ = &reserve;
  allocator_.reserved_for_ = std::this_thread::get_id();
}

Allocator::Reserve::Scope::~Scope() {
  const std::lock_guard lock(allocator_.mutex_);
  allocator_.reserve_ = nullptr;
}

void Allocator::empty_cache() noexcept {
  const std::lock_guard lock(mutex_);
  give_back_cache();
}

void Allocator::give_back_cache() noexcept {
  for (const auto& [bytes, memory] : free_) api_.release(memory);
  free_.clear();
  statistics_.bytes_cached = 0;
}

AllocatorStatistics Allocator::statistics() const {
  const std::lock_guard lock(mutex_);
  return statistics_;
}

}  // namespace pila
