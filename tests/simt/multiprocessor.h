// Runs a grid of blocks, whose threads are fibers of the calling thread, and finds what they do wrong.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "tests/simt/schedule.h"

namespace pila::simt {

struct Index3 {
  unsigned x = 0, y = 0, z = 0;
};

struct Extent3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr Extent3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  constexpr std::uint64_t count() const { return std::uint64_t{x} * y * z; }
};

struct GridShape {
  Extent3 blocks, threads;  // how many, and how many in each
  std::size_t shared_bytes = 0;
};

constexpr unsigned kWarp = 32, kWholeWarp = 0xFFFFFFFFu, kMostThreads = 1024;
constexpr std::size_t kMostSharedBytes = 99 << 10;  // of the smallest GPU that is compiled for

// Calls kernel() as every thread of the grid, one block after the other. Returns what the first thread that
// broke a rule did, and leaves the grid there; empty when none did.
std::string run_grid(const GridShape& shape, const Schedule& schedule, const std::function<void()>& kernel);

// ---- for the functions that device code calls, on the thread that runs

extern thread_local Index3 thread_index, block_index;
extern thread_local Extent3 block_extent, grid_extent;

// Ends the grid. To be called by emulated threads only.
[[noreturn]] void fault(const std::string& text);

// The block's shared memory, of shared_bytes.
void* shared_memory();

// Waits until all threads of the block wait in the same line of source.
void block_barrier(int line);

// What the lanes of a warp that meet give each other.
using Deposits = void* const*;  // [kWarp]; those of other lanes mean nothing

// Waits until all lanes of the mask meet under one name. The last of them gets their deposits, may read and
// write what they point to, and must call depart(); for the others the result is null, and the work is done.
Deposits meet(unsigned mask, const char* name, void* deposit);
void depart(unsigned mask);

unsigned lane_id();

// That thread's cp.async: `valid` of 16 bytes are copied, the others become zero.
void copy_async(void* shared, const void* global, std::size_t valid);
void commit_copies();
// Until at most that many of the latest groups are still under way.
void wait_for_copies(std::size_t groups);

// An access of the given size to an address that must be a multiple of it.
void check_shared_access(const void* address, std::size_t bytes);
void check_global_access(const void* address, std::size_t bytes);
// One that may be to either memory.
void check_access(const void* address, std::size_t bytes);

}  // namespace pila::simt
