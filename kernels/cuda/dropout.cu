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

// Four neighbours, which share a block of random words; of the first and the last four, those that are there.
template <class T>
struct DropFour {
  Drop<T> drop;
  __device__ void operator()(std::int64_t four) const {
    const std::int64_t block = drop.args.first / 4 + four;
    const Philox4 random = drop.block(block);
    for (int word = 0; word < 4; ++word) {
      const std::int64_t i = block * 4 + word - drop.args.first;
      if (i >= 0 && i < drop.args.count) drop.keep_or_drop(i, drop.keeps(random.word[word]));
    }
  }
};

// One element of a group that shares a draw.
template <class T>
struct DropOfGroup {
  Drop<T> drop;
  __device__ void operator()(std::int64_t i) const {
    const std::int64_t draw = drop.args.first + i / drop.args.group;
    drop.keep_or_drop(i, drop.keeps(drop.block(draw / 4).word[draw % 4]));
  }
};

Status run(const Dropout& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const Drop<T> drop{args, static_cast<float>(1 / (1 - args.rate))};
    return args.group == 1 ? for_each(on, (args.first % 4 + args.count + 3) / 4, DropFour<T>{drop})
                           : for_each(on, args.count, DropOfGroup<T>{drop});
  });
}

}  // namespace

void add_dropout_kernels(KernelTable& table) {
  table.dropout.add({"dropout", is_of_numbers<Dropout>, nullptr, run});
}

}  // namespace pila::kernels::cuda
