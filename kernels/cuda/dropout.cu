// Dropout by the counters that every device draws from: the same elements are dropped everywhere.

#include "kernels/args/elementwise.h"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"
#include "kernels/random.h"

namespace pila::kernels::cuda {
namespace {

template <class T>
struct Drop {
  Dropout args;
  float factor;

  __device__ void keep_or_drop(std::int64_t i, bool kept) const {
    const T* x = static_cast<const T*>(args.x);
    static_cast<T*>(args.y)[i] = narrow<T>(kept ? widen(x[i]) * factor : 0.0f);
  }
  __device__ bool keeps(std::uint32_t word) const { return static_cast<double>(uniform(word)) >= args.rate; }
  __device__ Philox4 block(std::int64_t i) const {
    return random_block(args.seed, *args.step, args.place, static_cast<std::uint32_t>(i));
  }
};

// Four neighbours, which share a block of random words.
template <class T>
struct DropFour {
  Drop<T> drop;
  __device__ void operator()(std::int64_t four) const {
    const Philox4 random = drop.block(four);
    for (int i = 0; i < 4 && four * 4 + i < drop.args.count; ++i) {
      drop.keep_or_drop(four * 4 + i, drop.keeps(random.word[i]));
    }
  }
};

// One element of a group that shares a draw.
template <class T>
struct DropOfGroup {
  Drop<T> drop;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t group = i / drop.args.group;
    drop.keep_or_drop(i, drop.keeps(drop.block(group / 4).word[group % 4]));
  }
};

Status run(const Dropout& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const Drop<T> drop{args, static_cast<float>(1 / (1 - args.rate))};
    return args.group == 1 ? for_each(on, (args.count + 3) / 4, DropFour<T>{drop})
                           : for_each(on, args.count, DropOfGroup<T>{drop});
  });
}

}  // namespace

void add_dropout_kernels(KernelTable& table) {
  table.dropout.add({"dropout", is_of_numbers<Dropout>, nullptr, run});
}

}  // namespace pila::kernels::cuda
