// From pixels to numbers.

#include "kernels/args/image.h"

#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

template <class T>
struct ScalePixel {
  ImageToFloat args;
  __device__ void operator()(std::int64_t i) const {
    const int channel = static_cast<int>(i % args.channels);
    const auto pixel = static_cast<float>(args.x[i]);
    static_cast<T*>(args.y)[i] = narrow<T>(fmaf(pixel, args.scale[channel], args.offset[channel]));
  }
};

Status run_to_float(const ImageToFloat& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    return for_each(on, args.pixels * args.channels, ScalePixel<decltype(number)>{args});
  });
}

// The two neighbours that an output position lies between, and how far it is on the way to the second.
struct Neighbours {
  std::int64_t first, second;
  float fraction;
};

__device__ inline std::int64_t within(std::int64_t i, std::int64_t size) {
  return i < 0 ? 0 : i < size ? i : size - 1;
}

// Positions are computed in float64: float32 would be off by a hundredth of a pixel in wide images.
__device__ inline Neighbours neighbours_of(std::int64_t position, std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double centre = (static_cast<double>(position) + 0.5) * scale - 0.5;
  const double below = floor(centre);
  const auto first = static_cast<std::int64_t>(below);
  return {within(first, in), within(first + 1, in), static_cast<float>(centre - below)};
}

__device__ inline float read(const std::uint8_t* x, std::int64_t i) { return static_cast<float>(x[i]); }
__device__ inline float read(const float* x, std::int64_t i) { return x[i]; }

template <class From, class To>
struct ResizePixel {
  ResizeBilinear args;
  __device__ void operator()(std::int64_t i) const {
    const From* x = static_cast<const From*>(args.x);
    const Neighbours columns = neighbours_of(i % args.out_w, args.in_w, args.out_w);
    const Neighbours rows = neighbours_of(i / args.out_w % args.out_h, args.in_h, args.out_h);
    const std::int64_t image = i / (args.out_w * args.out_h) * args.in_h;
    const auto row = [&](std::int64_t h, int channel) {
      const std::int64_t first = ((image + h) * args.in_w + columns.first) * args.channels + channel;
      const std::int64_t second = ((image + h) * args.in_w + columns.second) * args.channels + channel;
      const float left = read(x, first);
      return fmaf(read(x, second) - left, columns.fraction, left);
    };
    for (int channel = 0; channel < args.channels; ++channel) {
      const float top = row(rows.first, channel);
      static_cast<To*>(args.y)[i * args.channels + channel] =
          narrow<To>(fmaf(row(rows.second, channel) - top, rows.fraction, top));
    }
  }
};

bool can_resize(const ResizeBilinear& args) {
  const bool nothing = args.batch == 0 || args.out_h == 0 || args.out_w == 0;
  return (args.from == DType::u8 || args.from == DType::f32) && is_number(args.to) &&
         (nothing || (args.in_h > 0 && args.in_w > 0));
}

Status run_resize(const ResizeBilinear& args, const Launch& on) {
  const std::int64_t pixels = args.batch * args.out_h * args.out_w;
  return with_number(args.to, [&](auto number) {
    using To = decltype(number);
    return args.from == DType::u8 ? for_each(on, pixels, ResizePixel<std::uint8_t, To>{args})
                                  : for_each(on, pixels, ResizePixel<float, To>{args});
  });
}

}  // namespace

void add_image_kernels(KernelTable& table) {
  table.image_to_float.add(
      {"image_to_float",
       [](const ImageToFloat& args) { return is_number(args.type) && args.channels <= kMaxImageChannels; },
       nullptr, run_to_float});
  table.resize_bilinear.add({"resize_bilinear", can_resize, nullptr, run_resize});
}

}  // namespace pila::kernels::cuda
