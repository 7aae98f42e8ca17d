// Gradients of convolutions by any window, grouped or depthwise: for the image, what every reader of a pixel
// sends back; for the weights, sums over pixels that are cut into parts and put together in their order.

#include <algorithm>
#include <type_traits>

#include "kernels/args/conv.h"
#include "kernels/cuda/device/add_parts.cuh"
#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/prologue.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// Calls visit(tap, pixel of y) for the windows that pixel (h, w) of an image lies under.
template <class Visit>
__device__ void for_readers(const ConvShape& shape, std::int64_t image, std::int64_t h, std::int64_t w,
                            const Visit& visit) {
  const Window& window = shape.window;
  for (int kh = 0; kh < window.kernel_h; ++kh) {
    const std::int64_t down = h + window.pad_top - kh * window.dilation_h, oh = down / window.stride_h;
    if (down < 0 || down % window.stride_h != 0 || oh >= shape.out_h) continue;
    for (int kw = 0; kw < window.kernel_w; ++kw) {
      const std::int64_t across = w + window.pad_left - kw * window.dilation_w, ow = across / window.stride_w;
      if (across < 0 || across % window.stride_w != 0 || ow >= shape.out_w) continue;
      visit(kh * window.kernel_w + kw, (image * shape.out_h + oh) * shape.out_w + ow);
    }
  }
}

// The pixel of x that a tap of the window at a pixel of y covers; -1 outside of the image.
__device__ inline std::int64_t covered(const ConvShape& shape, int tap, std::int64_t pixel) {
  const Window& window = shape.window;
  const std::int64_t ow = pixel % shape.out_w, oh = pixel / shape.out_w % shape.out_h;
  const std::int64_t h = oh * window.stride_h - window.pad_top + tap / window.kernel_w * window.dilation_h;
  const std::int64_t w = ow * window.stride_w - window.pad_left + tap % window.kernel_w * window.dilation_w;
  if (h < 0 || h >= shape.in_h || w < 0 || w >= shape.in_w) return -1;
  return (pixel / (shape.out_w * shape.out_h) * shape.in_h + h) * shape.in_w + w;
}

// ---- for the image

template <class T>
struct ImageGradient {
  ConvBackwardData args;

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const T* dy = static_cast<const T*>(args.dy);
    const T* w = static_cast<const T*>(args.w);
    const std::int64_t channel = i % shape.in_c, pixel = i / shape.in_c;
    const std::int64_t in_c = shape.in_c / shape.groups, out_c = shape.out_c / shape.groups;
    const std::int64_t group = channel / in_c;
    float sum = 0;
    for_readers(shape, pixel / (shape.in_w * shape.in_h), pixel / shape.in_w % shape.in_h, pixel % shape.in_w,
                [&](int tap, std::int64_t reader) {
                  const T* gradient = dy + reader * shape.out_c + group * out_c;
                  const T* weights = w + (tap * in_c + channel % in_c) * shape.out_c + group * out_c;
                  for (std::int64_t c = 0; c < out_c; ++c)
                    sum = fmaf(widen(gradient[c]), widen(weights[c]), sum);
                });
    static_cast<T*>(args.dx)[i] = narrow<T>(sum);
  }
};

// kLanes neighbouring channels; more than one where each has one channel of y.
template <class T, int kLanes>
struct DepthwiseImageGradient {
  DepthwiseBackwardData args;

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const std::int64_t packs = shape.in_c / kLanes, pack = i % packs, pixel = i / packs;
    const std::int64_t multiplier = shape.out_c / shape.in_c;
    float sums[kLanes] = {};
    for_readers(shape, pixel / (shape.in_w * shape.in_h), pixel / shape.in_w % shape.in_h, pixel % shape.in_w,
                [&](int tap, std::int64_t reader) {
                  for (std::int64_t m = 0; m < multiplier; ++m) {
                    const auto gradient = numbers(args.dy, reader * packs + pack, multiplier, m);
                    const auto weights = numbers(args.w, tap * packs + pack, multiplier, m);
                    for (int lane = 0; lane < kLanes; ++lane) {
                      sums[lane] = fmaf(widen(gradient.lane[lane]), widen(weights.lane[lane]), sums[lane]);
                    }
                  }
                });
    Numbers result;
    for (int lane = 0; lane < kLanes; ++lane) result.lane[lane] = narrow<T>(sums[lane]);
    *accessible(static_cast<Numbers*>(args.dx) + i) = result;
  }

 private:
  struct alignas(kLanes * sizeof(T)) Numbers {
    T lane[kLanes];
  };
  __device__ static Numbers numbers(const void* from, std::int64_t pack, std::int64_t multiplier,
                                    std::int64_t m) {
    return *accessible(static_cast<const Numbers*>(from) + pack * multiplier + m);
  }
};

Status run_data(const ConvBackwardData& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  return with_number(args.type, [&](auto number) {
    return for_each(on, shape.batch * shape.in_h * shape.in_w * shape.in_c,
                    ImageGradient<decltype(number)>{args});
  });
}

template <class T>
bool takes_packs(const ConvShape& shape, const void* a, const void* b, const void* c) {
  return shape.out_c == shape.in_c && shape.in_c % Pack<T>::kLanes == 0 && is_pack_aligned(a) &&
         is_pack_aligned(b) && is_pack_aligned(c);
}

Status run_depthwise_data(const DepthwiseBackwardData& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const std::int64_t numbers = shape.batch * shape.in_h * shape.in_w * shape.in_c;
    if (takes_packs<T>(shape, args.dy, args.w, args.dx)) {
      return for_each(on, numbers / Pack<T>::kLanes, DepthwiseImageGradient<T, Pack<T>::kLanes>{args});
    }
    return for_each(on, numbers, DepthwiseImageGradient<T, 1>{args});
  });
}

// ---- for the weights

// How y's pixels are cut, so that there are threads enough where there are few weights.
struct Parts {
  Parts(const ConvShape& shape, std::int64_t threads_of_part) {
    constexpr std::int64_t kThreads = 1 << 17, kLeastPixels = 64;
    pixels = shape.batch * shape.out_h * shape.out_w;
    const std::int64_t wanted = kThreads / std::max<std::int64_t>(threads_of_part, 1);
    count = std::max<std::int64_t>(1, std::min(wanted, pixels / kLeastPixels));
    pixels_of_each = (pixels + count - 1) / count;
  }
  std::int64_t count, pixels, pixels_of_each;

  __device__ std::int64_t begin(std::int64_t part) const { return part * pixels_of_each; }
  __device__ std::int64_t end(std::int64_t part) const {
    return begin(part) + pixels_of_each < pixels ? begin(part) + pixels_of_each : pixels;
  }
};

std::int64_t taps_of(const ConvShape& shape) { return shape.window.kernel_h * shape.window.kernel_w; }

// A part of one weight's sum.
template <class T>
struct WeightGradient {
  ConvBackwardFilter args;
  Parts parts;
  std::int64_t weights;
  float* partial;  // [parts, weights]

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const std::int64_t part = i / weights, weight = i % weights;
    const std::int64_t in_c = shape.in_c / shape.groups, out_c = shape.out_c / shape.groups;
    const std::int64_t to = weight % shape.out_c, row = weight / shape.out_c;
    const std::int64_t from = to / out_c * in_c + row % in_c;
    const auto tap = static_cast<int>(row / in_c);
    float sum = 0;
    for (std::int64_t pixel = parts.begin(part); pixel < parts.end(part); ++pixel) {
      const std::int64_t source = covered(shape, tap, pixel);
      if (source < 0) continue;
      sum = fmaf(widen(static_cast<const T*>(args.x)[source * shape.in_c + from]),
                 widen(static_cast<const T*>(args.dy)[pixel * shape.out_c + to]), sum);
    }
    partial[i] = sum;
  }
};

// The same for kLanes neighbouring channels.
template <class T, int kLanes, class Reading>
struct DepthwiseWeightGradient {
  DepthwiseBackwardFilter args;
  Reading reading;
  Parts parts;
  std::int64_t packs;  // of the weights
  float* partial;

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const std::int64_t part = i / packs, pack = i % packs, width = shape.out_c / kLanes;
    const std::int64_t to = pack % width, multiplier = shape.out_c / shape.in_c;
    const auto tap = static_cast<int>(pack / width);
    const auto channels = reading.template channels<kLanes>(to / multiplier * kLanes);
    float sums[kLanes] = {};
    for (std::int64_t pixel = parts.begin(part); pixel < parts.end(part); ++pixel) {
      const std::int64_t source = covered(shape, tap, pixel);
      if (source < 0) continue;
      const auto x = numbers(args.x, (source * shape.in_c) / kLanes + to / multiplier);
      const auto dy = numbers(args.dy, pixel * width + to);
      for (int lane = 0; lane < kLanes; ++lane) {
        sums[lane] = fmaf(channels.read(x.lane[lane], lane), widen(dy.lane[lane]), sums[lane]);
      }
    }
    for (int lane = 0; lane < kLanes; ++lane) partial[i * kLanes + lane] = sums[lane];
  }

 private:
  struct alignas(kLanes * sizeof(T)) Numbers {
    T lane[kLanes];
  };
  __device__ static Numbers numbers(const void* from, std::int64_t pack) {
    return *accessible(static_cast<const Numbers*>(from) + pack);
  }
};

template <class T>
Status add_up(const Parts& parts, std::int64_t weights, const float* partial, void* dw, const Launch& on) {
  return run_add_parts(weights, parts.count, partial, Finish<T>(dw, weights, {}), on);
}

std::int64_t weights_of(const ConvBackwardFilter& args) {
  return taps_of(args.shape) * (args.shape.in_c / args.shape.groups) * args.shape.out_c;
}
std::int64_t weights_of(const DepthwiseBackwardFilter& args) {
  return taps_of(args.shape) * args.shape.out_c;
}

Status run_filter(const ConvBackwardFilter& args, const Launch& on) {
  const std::int64_t weights = weights_of(args);
  if (weights == 0) return nullptr;
  const Parts parts(args.shape, weights);
  auto* partial = static_cast<float*>(on.workspace);
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const Status status =
        for_each(on, parts.count * weights, WeightGradient<T>{args, parts, weights, partial});
    return status != nullptr ? status : add_up<T>(parts, weights, partial, args.dw, on);
  });
}

template <class T, int kLanes>
Status run_depthwise_lanes(const DepthwiseBackwardFilter& args, const Parts& parts, std::int64_t weights,
                           float* partial, const Launch& on) {
  const std::int64_t packs = weights / kLanes;
  return with_reading(args.prologue, args.shape.in_c, [&](const auto& reading) {
    using Gradient = DepthwiseWeightGradient<T, kLanes, std::decay_t<decltype(reading)>>;
    return for_each(on, parts.count * packs, Gradient{args, reading, parts, packs, partial});
  });
}

Status run_depthwise_filter(const DepthwiseBackwardFilter& args, const Launch& on) {
  const std::int64_t weights = weights_of(args);
  if (weights == 0) return nullptr;
  const Parts parts(args.shape, weights);
  auto* partial = static_cast<float*>(on.workspace);
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    const bool packs = takes_packs<T>(args.shape, args.x, args.dy, args.prologue.scaling);
    const Status status = packs ? run_depthwise_lanes<T, Pack<T>::kLanes>(args, parts, weights, partial, on)
                                : run_depthwise_lanes<T, 1>(args, parts, weights, partial, on);
    return status != nullptr ? status : add_up<T>(parts, weights, partial, args.dw, on);
  });
}

template <class Args>
std::size_t filter_workspace(const Args& args, const Stream&) {
  const std::int64_t weights = weights_of(args);
  return static_cast<std::size_t>(Parts(args.shape, weights).count * weights) * sizeof(float);
}

template <class Args>
bool supports_plain(const Args& args) {
  return is_number(args.type) && may_stay(args.type, args.rounding);
}

}  // namespace

void add_conv_backward_kernels(KernelTable& table) {
  table.conv_backward_data.add({"conv_backward_data", supports_plain<ConvBackwardData>, nullptr, run_data});
  table.conv_backward_filter.add({"conv_backward_filter", supports_plain<ConvBackwardFilter>,
                                  filter_workspace<ConvBackwardFilter>, run_filter});
  table.depthwise_backward_data.add(
      {"depthwise_backward_data", is_of_numbers<DepthwiseBackwardData>, nullptr, run_depthwise_data});
  table.depthwise_backward_filter.add({"depthwise_backward_filter", is_of_numbers<DepthwiseBackwardFilter>,
                                       filter_workspace<DepthwiseBackwardFilter>, run_depthwise_filter});
}

}  // namespace pila::kernels::cuda
