// Borders of zeros and largest values.

#include "kernels/args/pool.h"

#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

struct Place {
  std::int64_t image, h, w, unit;
};

__device__ inline Place place_of(std::int64_t i, std::int64_t height, std::int64_t width,
                                 std::int64_t units) {
  const std::int64_t pixel = i / units, row = pixel / width;
  return {row / height, row % height, pixel % width, i % units};
}

__host__ __device__ inline std::int64_t framed_height(const Borders& borders) {
  return borders.top + borders.in_h + borders.bottom;
}
__host__ __device__ inline std::int64_t framed_width(const Borders& borders) {
  return borders.left + borders.in_w + borders.right;
}

// Moves units of any type, a whole number of which make a pixel, and whose zero has no bits set. `borders`
// has the units as its channels.
template <class Unit>
struct PadUnit {
  Borders borders;
  const Unit* x;
  Unit* y;

  __device__ void operator()(std::int64_t i) const {
    const Place at = place_of(i, framed_height(borders), framed_width(borders), borders.channels);
    const std::int64_t h = at.h - borders.top, w = at.w - borders.left;
    const bool inside = h >= 0 && h < borders.in_h && w >= 0 && w < borders.in_w;
    const std::int64_t pixel = (at.image * borders.in_h + h) * borders.in_w + w;
    *accessible(y + i) = inside ? *accessible(x + pixel * borders.channels + at.unit) : Unit{};
  }
};

template <class Unit>
struct CropUnit {
  Borders borders;
  const Unit* x;
  Unit* y;

  __device__ void operator()(std::int64_t i) const {
    const Place at = place_of(i, borders.in_h, borders.in_w, borders.channels);
    const std::int64_t row = at.image * framed_height(borders) + borders.top + at.h;
    const std::int64_t pixel = row * framed_width(borders) + borders.left + at.w;
    *accessible(y + i) = *accessible(x + pixel * borders.channels + at.unit);
  }
};

// Calls run(a unit, borders in such units) with the widest unit that pixels are made of.
template <class Args, class Run>
Status with_units(const Args& args, const Run& run) {
  Borders borders = args.borders;
  const auto bytes = borders.channels * static_cast<std::int64_t>(size_of(args.type));
  const auto in_units_of = [&](auto unit) {
    borders.channels = bytes / static_cast<std::int64_t>(sizeof unit);
    return run(unit, borders);
  };
  const bool aligned = is_pack_aligned(args.x) && is_pack_aligned(args.y);
  if (aligned && bytes % 16 == 0) return in_units_of(Pack<std::uint32_t>());
  if (size_of(args.type) == 8) return in_units_of(std::uint64_t());
  if (size_of(args.type) == 4) return in_units_of(std::uint32_t());
  if (size_of(args.type) == 2) return in_units_of(std::uint16_t());
  return in_units_of(std::uint8_t());
}

Status run_pad(const Pad& args, const Launch& on) {
  return with_units(args, [&](auto unit, const Borders& borders) {
    using Unit = decltype(unit);
    const std::int64_t pixels = borders.batch * framed_height(borders) * framed_width(borders);
    return for_each(on, pixels * borders.channels,
                    PadUnit<Unit>{borders, static_cast<const Unit*>(args.x), static_cast<Unit*>(args.y)});
  });
}

Status run_crop(const Crop& args, const Launch& on) {
  return with_units(args, [&](auto unit, const Borders& borders) {
    using Unit = decltype(unit);
    return for_each(on, borders.batch * borders.in_h * borders.in_w * borders.channels,
                    CropUnit<Unit>{borders, static_cast<const Unit*>(args.x), static_cast<Unit*>(args.y)});
  });
}

// The first largest number of a channel under a window, and its pixel within x. A NaN is larger than every
// number; a window outside of the image has -infinity.
struct Largest {
  float value = -INFINITY;
  std::int64_t pixel = -1;

  template <class T>
  __device__ void find(const ConvShape& shape, const T* x, const Place& at) {
    const Window& window = shape.window;
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const std::int64_t h = at.h * window.stride_h - window.pad_top + kh * window.dilation_h;
      if (h < 0 || h >= shape.in_h) continue;
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const std::int64_t w = at.w * window.stride_w - window.pad_left + kw * window.dilation_w;
        if (w < 0 || w >= shape.in_w) continue;
        const std::int64_t source = (at.image * shape.in_h + h) * shape.in_w + w;
        const float candidate = widen(x[source * shape.in_c + at.unit]);
        if (pixel < 0 || candidate > value || (candidate != candidate && value == value)) {
          value = candidate;
          pixel = source;
        }
      }
    }
  }
};

template <class T>
struct PoolNumber {
  MaxPoolForward args;

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    Largest largest;
    largest.find(shape, static_cast<const T*>(args.x), place_of(i, shape.out_h, shape.out_w, shape.out_c));
    static_cast<T*>(args.y)[i] = narrow<T>(largest.value);
  }
};

// One number of dx: the gradients of the windows whose largest number it was.
template <class T>
struct PoolGradient {
  MaxPoolBackward args;

  __device__ void operator()(std::int64_t i) const {
    const ConvShape& shape = args.shape;
    const Window& window = shape.window;
    const Place at = place_of(i, shape.in_h, shape.in_w, shape.in_c);
    const std::int64_t own = (at.image * shape.in_h + at.h) * shape.in_w + at.w;
    float sum = 0;
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const std::int64_t down = at.h + window.pad_top - kh * window.dilation_h;
        const std::int64_t across = at.w + window.pad_left - kw * window.dilation_w;
        if (down < 0 || across < 0 || down % window.stride_h != 0 || across % window.stride_w != 0) continue;
        const Place reader{at.image, down / window.stride_h, across / window.stride_w, at.unit};
        if (reader.h >= shape.out_h || reader.w >= shape.out_w) continue;
        Largest largest;
        largest.find(shape, static_cast<const T*>(args.x), reader);
        if (largest.pixel != own) continue;
        const std::int64_t pixel = (reader.image * shape.out_h + reader.h) * shape.out_w + reader.w;
        sum += widen(static_cast<const T*>(args.dy)[pixel * shape.out_c + at.unit]);
      }
    }
    static_cast<T*>(args.dx)[i] = narrow<T>(sum);
  }
};

Status run_max_pool(const MaxPoolForward& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  return with_number(args.type, [&](auto number) {
    return for_each(on, shape.batch * shape.out_h * shape.out_w * shape.out_c,
                    PoolNumber<decltype(number)>{args});
  });
}

Status run_max_pool_backward(const MaxPoolBackward& args, const Launch& on) {
  const ConvShape& shape = args.shape;
  return with_number(args.type, [&](auto number) {
    return for_each(on, shape.batch * shape.in_h * shape.in_w * shape.in_c,
                    PoolGradient<decltype(number)>{args});
  });
}

template <class Args>
bool any(const Args&) {
  return true;
}

}  // namespace

void add_pool_kernels(KernelTable& table) {
  table.pad.add({"pad", any<Pad>, nullptr, run_pad});
  table.crop.add({"crop", any<Crop>, nullptr, run_crop});
  table.max_pool_forward.add({"max_pool", is_of_numbers<MaxPoolForward>, nullptr, run_max_pool});
  table.max_pool_backward.add(
      {"max_pool_backward", is_of_numbers<MaxPoolBackward>, nullptr, run_max_pool_backward});
}

}  // namespace pila::kernels::cuda
