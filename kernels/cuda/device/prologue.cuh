// How kernels read the numbers of a factor: as they are stored, or through a prologue. Which of the two is
// a template argument, so that who has no prologue pays nothing for it.
#pragma once

#include <cstdint>

#include "kernels/args/types.h"
#include "kernels/cuda/device/activation.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/kernel_table.h"

namespace pila::kernels::cuda {

struct AsStored {
  static constexpr bool kKeepsZero = true;  // what is read as zero needs no reading

  template <int kLanes>
  struct Channels {
    template <class T>
    __device__ float read(T x, int) const {
      return widen(x);
    }
    template <class T>
    __device__ Two read_two(T x, T next, int) const {
      return {widen(x), widen(next)};
    }
  };
  template <int kLanes>
  __device__ Channels<kLanes> channels(std::int64_t) const {
    return {};
  }
};

// activation((x - mean) * scale + offset) in float32, rounded to x's type.
struct Normalised {
  static constexpr bool kKeepsZero = false;

  const float* scaling;  // [3, count]: means, scales, offsets
  std::int64_t count;    // of channels
  Activation activation;

  Normalised(const Prologue& prologue, std::int64_t channel_count)
      : scaling(static_cast<const float*>(prologue.scaling)),
        count(channel_count),
        activation(prologue.activation) {}

  // What is done to kLanes neighbouring channels.
  template <int kLanes>
  struct Channels {
    float mean[kLanes], scale[kLanes], offset[kLanes];
    Activation activation;

    // Before it is rounded.
    __device__ float normalised(float x, int lane) const {
      return activate(activation, fmaf(x - mean[lane], scale[lane], offset[lane]));
    }
    template <class T>
    __device__ float read(T x, int lane) const {
      return widen(narrow<T>(normalised(widen(x), lane)));
    }
    template <class T>
    __device__ Two read_two(T x, T next, int lane) const {
      const Two both = {normalised(widen(x), lane), normalised(widen(next), lane + 1)};
      if constexpr (sizeof(T) == 2) {
        return widen_two<T>(narrow_two<T>(both.first, both.second));
      } else {
        return both;
      }
    }
    // All of them, as T holds them.
    template <class T>
    __device__ void read_in_place(T (&x)[kLanes]) const {
      for (int lane = 0; lane < kLanes; lane += 2) {
        const float first = normalised(widen(x[lane]), lane);
        const float second = normalised(widen(x[lane + 1]), lane + 1);
        if constexpr (sizeof(T) == 2) {
          const unsigned bits = narrow_two<T>(first, second);
          x[lane].bits = static_cast<std::uint16_t>(bits);
          x[lane + 1].bits = static_cast<std::uint16_t>(bits >> 16);
        } else {
          x[lane] = first;
          x[lane + 1] = second;
        }
      }
    }
  };

  // From one channel on; where there are several, their count and all channels' are multiples of four.
  template <int kLanes>
  __device__ Channels<kLanes> channels(std::int64_t first) const {
    Channels<kLanes> result;
    load(scaling + first, result.mean);
    load(scaling + count + first, result.scale);
    load(scaling + 2 * count + first, result.offset);
    result.activation = activation;
    return result;
  }

 private:
  template <int kLanes>
  __device__ static void load(const float* from, float (&to)[kLanes]) {
    if constexpr (kLanes == 1) {
      to[0] = *from;
    } else {
      for (int i = 0; i < kLanes; i += 4) {
        const Pack<float> four = load_pack(from + i, 0);
        for (int lane = 0; lane < 4; ++lane) to[i + lane] = four.lane[lane];
      }
    }
  }
};

// Returns visit(how the prologue reads factors of so many channels).
template <class Visit>
Status with_reading(const Prologue& prologue, std::int64_t channels, const Visit& visit) {
  if (prologue.scaling == nullptr) return visit(AsStored());
  return visit(Normalised(prologue, channels));
}

}  // namespace pila::kernels::cuda
