// Chunks of rows: the grain of parallel work and of the sums in batch normalisation.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "kernels/cpu/normalise.h"
#include "kernels/cpu/thread_pool.h"

namespace pila::kernels::cpu {

// Cut by shape alone, so that sums do not depend on the number of threads: about 128 KiB each, short enough
// for float32 sums of one chunk, long enough that the sums are small beside the data.
struct RowChunks {
  std::int64_t rows, channels;
  std::int64_t size = std::clamp<std::int64_t>(32768 / std::max<std::int64_t>(channels, 1), 64, 512);

  std::int64_t count() const { return (rows + size - 1) / size; }
  std::int64_t begin(std::int64_t chunk) const { return chunk * size; }
  std::int64_t length(std::int64_t chunk) const { return std::min(size, rows - begin(chunk)); }
};

// Calls body(chunk) for all chunks, the last ones first: a second pass over a tensor finds in the caches what
// the first one read last.
template <class Body>
void run_backwards(ThreadPool& pool, const RowChunks& chunks, const Body& body) {
  const auto count = chunks.count();
  pool.run(count, [&](std::int64_t index, int) { body(count - 1 - index); });
}

// The scaling for given statistics, in `numbers` for [3, channels].
template <class Args>
ChannelScaling scaling_of(const Args& args, float* numbers) {
  const auto* gamma = static_cast<const float*>(args.gamma);
  const auto* variance = static_cast<const float*>(args.variance);
  std::copy_n(static_cast<const float*>(args.mean), args.channels, numbers);
  std::copy_n(static_cast<const float*>(args.beta), args.channels, numbers + 2 * args.channels);
  for (std::int64_t c = 0; c < args.channels; ++c) {
    numbers[args.channels + c] =
        static_cast<float>(gamma[c] / std::sqrt(static_cast<double>(variance[c]) + args.epsilon));
  }
  return ChannelScaling::in(numbers, args.channels);
}

}  // namespace pila::kernels::cpu
