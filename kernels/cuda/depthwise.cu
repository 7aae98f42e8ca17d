// Depthwise convolution of NHWC images. It does little with each number, so that memory is its limit: a
// thread reads 16 bytes of neighbouring channels at a time and walks down the image, so that each of its rows
// is read once, while the columns that neighbouring threads share come from the cache.

#include <algorithm>
#include <type_traits>

#include "kernels/args/conv.h"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/prologue.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// Windows of 3 x 3. Numbers of threads and places fit into 32 bits, whose divisions are cheap.
template <class T, int kStride, class Reading>
class Column3x3 {
 public:
  Column3x3(const DepthwiseForward& args, const Reading& reading, std::int64_t rows_of_strip)
      : x_(static_cast<const T*>(args.x)),
        w_(static_cast<const T*>(args.w)),
        reading_(reading),
        finish_(args.y, args.shape.out_c, args.epilogue),
        in_h_(static_cast<int>(args.shape.in_h)),
        in_w_(static_cast<int>(args.shape.in_w)),
        out_h_(static_cast<int>(args.shape.out_h)),
        out_w_(static_cast<int>(args.shape.out_w)),
        packs_(static_cast<int>(args.shape.in_c / kLanes)),
        pad_top_(args.shape.window.pad_top),
        pad_left_(args.shape.window.pad_left),
        rows_of_strip_(static_cast<int>(rows_of_strip)),
        strips_(static_cast<int>(ceil_div(args.shape.out_h, rows_of_strip))) {}

  // One pack of channels of one column of one strip of an image's rows.
  __device__ void operator()(std::int64_t piece) const {
    auto rest = static_cast<unsigned>(piece);
    const int pack = static_cast<int>(rest % packs_);
    rest /= packs_;
    const int column = static_cast<int>(rest % out_w_);
    rest /= out_w_;
    const int strip = static_cast<int>(rest % strips_), image = static_cast<int>(rest / strips_);
    const int begin = strip * rows_of_strip_;
    const int end = begin + rows_of_strip_ < out_h_ ? begin + rows_of_strip_ : out_h_;

    float w[3][3][kLanes];
    for (int k = 0; k < 9; ++k) widen_pack(load_pack(w_, k * packs_ + pack), w[k / 3][k % 3]);

    // Every row of x is read once, one ahead of its use, and goes into the sums of all rows of y that it has
    // a part in; those above the strip, of which only the last rows pass by, are dropped.
    const int first = begin * kStride - pad_top_, rows = (end - begin - 1) * kStride + 3;
    float sums[3][kLanes] = {};  // of this row of y and, at stride 1, of the next two
    Packs next = fetch(image, first, column, pack);
    for (int i = 0; i < rows; ++i) {
      float x[3][kLanes];
      read(next, first + i, column, pack, x);
      if (i + 1 < rows) next = fetch(image, first + i + 1, column, pack);
      if (kStride == 2 && i % 2 == 1) {
        add(x, w[1], sums[0]);
        continue;
      }
      add(x, w[2], sums[0]);
      if (i >= 2) {
        const std::int64_t row = static_cast<std::int64_t>(image) * out_h_ + begin + (i - 2) / kStride;
        finish_.store_sums(row * out_w_ + column, pack * kLanes, sums[0]);
      }
      if (kStride == 1) {
        add(x, w[1], sums[1]);
        add(x, w[0], sums[2]);
        move(sums[1], sums[0]);
        move(sums[2], sums[1]);
        clear(sums[2]);
      } else {
        clear(sums[0]);
        add(x, w[0], sums[0]);
      }
    }
  }

 private:
  static constexpr int kLanes = Pack<T>::kLanes;

  // What a window covers of one row.
  struct Packs {
    Pack<T> numbers[3];
  };

  __device__ int left_of(int column) const { return column * kStride - pad_left_; }
  __device__ bool is_inside(int h, int w) const { return h >= 0 && h < in_h_ && w >= 0 && w < in_w_; }

  // Zeros outside of the image.
  __device__ Packs fetch(int image, int h, int column, int pack) const {
    const std::int64_t row = (static_cast<std::int64_t>(image) * in_h_ + h) * in_w_;
    Packs packs{};
    for (int k = 0; k < 3; ++k) {
      const int w = left_of(column) + k;
      if (is_inside(h, w)) packs.numbers[k] = load_pack(x_, (row + w) * packs_ + pack);
    }
    return packs;
  }

  // What is done to four channels comes from the cache for every row: there are no registers to keep it in.
  __device__ void read(const Packs& packs, int h, int column, int pack, float (&x)[3][kLanes]) const {
    for (int four = 0; four < kLanes; four += 4) {
      const auto channels = reading_.template channels<4>(pack * kLanes + four);
      for (int k = 0; k < 3; ++k) {
        const bool inside = Reading::kKeepsZero || is_inside(h, left_of(column) + k);
        const T* from = packs.numbers[k].lane + four;
        for (int i = 0; i < 4; i += 2) {
          const Two two = channels.read_two(from[i], from[i + 1], i);
          x[k][four + i] = inside ? two.first : 0;
          x[k][four + i + 1] = inside ? two.second : 0;
        }
      }
    }
  }

  __device__ static void widen_pack(const Pack<T>& pack, float (&numbers)[kLanes]) {
    for (int lane = 0; lane < kLanes; ++lane) numbers[lane] = widen(pack.lane[lane]);
  }
  __device__ static void add(const float (&x)[3][kLanes], const float (&w)[3][kLanes],
                             float (&sums)[kLanes]) {
    for (int k = 0; k < 3; ++k) {
      for (int lane = 0; lane < kLanes; ++lane) sums[lane] = fmaf(x[k][lane], w[k][lane], sums[lane]);
    }
  }
  __device__ static void move(const float (&from)[kLanes], float (&to)[kLanes]) {
    for (int lane = 0; lane < kLanes; ++lane) to[lane] = from[lane];
  }
  __device__ static void clear(float (&sums)[kLanes]) {
    for (int lane = 0; lane < kLanes; ++lane) sums[lane] = 0;
  }

  const T* x_;
  const T* w_;
  Reading reading_;
  Finish<T> finish_;
  int in_h_, in_w_, out_h_, out_w_, packs_, pad_top_, pad_left_, rows_of_strip_, strips_;
};

// Strips as high as leaves enough threads: each reads up to two rows that its neighbour reads too.
std::int64_t rows_of_strip(std::int64_t columns, std::int64_t out_h) {
  constexpr std::int64_t kEnoughThreads = 1 << 17, kHighest = 16;
  return std::clamp<std::int64_t>(columns * out_h / kEnoughThreads, 1, std::min(out_h, kHighest));
}

template <class T, int kStride, class Reading>
Status run_columns(const DepthwiseForward& args, const Reading& reading, const Launch& on) {
  const ConvShape& shape = args.shape;
  const std::int64_t columns = shape.batch * shape.out_w * (shape.in_c / Pack<T>::kLanes);
  if (columns == 0 || shape.out_h == 0) return nullptr;
  const std::int64_t rows = rows_of_strip(columns, shape.out_h);
  return for_each<128, 3>(on, columns * ceil_div(shape.out_h, rows),
                          Column3x3<T, kStride, Reading>(args, reading, rows));
}

Status run_3x3(const DepthwiseForward& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    return with_reading(args.prologue, args.shape.in_c, [&](const auto& reading) {
      return args.shape.window.stride_h == 1 ? run_columns<T, 1>(args, reading, on)
                                             : run_columns<T, 2>(args, reading, on);
    });
  });
}

bool supports_3x3(const DepthwiseForward& args) {
  const ConvShape& shape = args.shape;
  const Window& window = shape.window;
  const bool suits = is_number(args.type) && window.kernel_h == 3 && window.kernel_w == 3 &&
                     window.stride_h == window.stride_w && window.stride_h <= 2 && window.dilation_h == 1 &&
                     window.dilation_w == 1 && shape.out_c == shape.in_c;
  if (!suits) return false;
  const auto lanes = static_cast<std::int64_t>(16 / size_of(args.type));
  return shape.in_c % lanes == 0 &&
         shape.batch * shape.out_h * shape.out_w * shape.in_c / lanes < 1LL << 31 &&
         is_pack_aligned(args.x) && is_pack_aligned(args.w) && is_pack_aligned(args.y) &&
         is_pack_aligned(args.prologue.scaling) && is_pack_aligned(args.epilogue.bias) &&
         is_pack_aligned(args.epilogue.residual);
}

// One number of y, by any window.
template <class T, class Reading>
struct DepthwiseNumber {
  DepthwiseForward args;
  Reading reading;
  Finish<T> finish;

  DepthwiseNumber(const DepthwiseForward& forward, const Reading& of_x)
      : args(forward), reading(of_x), finish(forward.y, forward.shape.out_c, forward.epilogue) {}

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const Window& window = shape.window;
    const std::int64_t channel = i % shape.out_c, pixel = i / shape.out_c;
    const std::int64_t ow = pixel % shape.out_w, oh = pixel / shape.out_w % shape.out_h;
    const std::int64_t image = pixel / (shape.out_w * shape.out_h);
    const std::int64_t from = channel / (shape.out_c / shape.in_c);
    const auto channels = reading.template channels<1>(from);
    float sum = 0;
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const std::int64_t h = oh * window.stride_h - window.pad_top + kh * window.dilation_h;
      if (h < 0 || h >= shape.in_h) continue;
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const std::int64_t w = ow * window.stride_w - window.pad_left + kw * window.dilation_w;
        if (w < 0 || w >= shape.in_w) continue;
        const std::int64_t x = ((image * shape.in_h + h) * shape.in_w + w) * shape.in_c + from;
        const std::int64_t tap = kh * window.kernel_w + kw;
        sum = fmaf(channels.read(static_cast<const T*>(args.x)[x], 0),
                   widen(static_cast<const T*>(args.w)[tap * shape.out_c + channel]), sum);
      }
    }
    finish.store(pixel, channel, sum);
  }
};

Status run_any(const DepthwiseForward& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  return with_number(args.type, [&](auto number) {
    return with_reading(args.prologue, shape.in_c, [&](const auto& reading) {
      using Number = DepthwiseNumber<decltype(number), std::decay_t<decltype(reading)>>;
      return for_each(on, shape.batch * shape.out_h * shape.out_w * shape.out_c, Number(args, reading));
    });
  });
}

}  // namespace

void add_depthwise_kernels(KernelTable& table) {
  table.depthwise_forward.add({"depthwise_3x3", supports_3x3, nullptr, run_3x3});
  table.depthwise_forward.add({"depthwise", is_of_numbers<DepthwiseForward>, nullptr, run_any});
}

}  // namespace pila::kernels::cuda
