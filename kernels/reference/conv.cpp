#include "kernels/args/conv.h"

#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"
#include "kernels/reference/window.h"

namespace pila::kernels::reference {
namespace {

// Channels of one group, and where they begin.
struct Group {
  std::int64_t in_c, out_c, first_in, first_out;
};

Group group_of(const ConvShape& shape, int g) {
  const std::int64_t in_c = shape.in_c / shape.groups, out_c = shape.out_c / shape.groups;
  return {in_c, out_c, g * in_c, g * out_c};
}

template <class T>
void conv_forward(const ConvForward& args) {
  const ConvShape& shape = args.shape;
  const auto* x = static_cast<const T*>(args.x);
  const auto* w = static_cast<const T*>(args.w);
  auto* y = static_cast<T*>(args.y);
  for_pixels(shape.batch, shape.out_h, shape.out_w, [&](auto n, auto oh, auto ow, auto out_pixel) {
    for (int g = 0; g < shape.groups; ++g) {
      const Group group = group_of(shape, g);
      for_tiles(group.out_c, [&](auto begin, auto size) {
        const auto first = group.first_out + begin;
        double sums[kTile] = {};
        for_taps(shape, n, oh, ow, [&](auto tap, auto in_pixel) {
          const T* input = x + in_pixel * shape.in_c + group.first_in;
          const T* weights = w + tap * group.in_c * shape.out_c + first;
          for (std::int64_t ic = 0; ic < group.in_c; ++ic, weights += shape.out_c) {
            const double value = rounded(input[ic], args.rounding);
            for (std::int64_t j = 0; j < size; ++j) sums[j] += value * rounded(weights[j], args.rounding);
          }
        });
        const auto index = out_pixel * shape.out_c + first;
        for (std::int64_t j = 0; j < size; ++j) {
          y[index + j] = finish<T>(args.epilogue, sums[j], first + j, index + j);
        }
      });
    }
  });
}

template <class T>
double dot(const T* a, const T* b, std::int64_t count, Precision rounding) {
  constexpr std::int64_t kLanes = 8;
  double lanes[kLanes] = {};
  std::int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    for (std::int64_t lane = 0; lane < kLanes; ++lane) {
      lanes[lane] += rounded(a[i + lane], rounding) * rounded(b[i + lane], rounding);
    }
  }
  double sum = 0;
  for (const double lane : lanes) sum += lane;
  for (; i < count; ++i) sum += rounded(a[i], rounding) * rounded(b[i], rounding);
  return sum;
}

template <class T>
void conv_backward_data(const ConvBackwardData& args) {
  const ConvShape& shape = args.shape;
  const auto* dy = static_cast<const T*>(args.dy);
  const auto* w = static_cast<const T*>(args.w);
  auto* dx = static_cast<T*>(args.dx);
  for_pixels(shape.batch, shape.in_h, shape.in_w, [&](auto n, auto ih, auto iw, auto in_pixel) {
    for (int g = 0; g < shape.groups; ++g) {
      const Group group = group_of(shape, g);
      for_tiles(group.in_c, [&](auto begin, auto size) {
        double sums[kTile] = {};
        for_readers(shape, n, ih, iw, [&](auto tap, auto out_pixel) {
          const T* gradient = dy + out_pixel * shape.out_c + group.first_out;
          const T* weights = w + (tap * group.in_c + begin) * shape.out_c + group.first_out;
          for (std::int64_t j = 0; j < size; ++j) {
            sums[j] += dot(gradient, weights + j * shape.out_c, group.out_c, args.rounding);
          }
        });
        T* row = dx + in_pixel * shape.in_c + group.first_in + begin;
        for (std::int64_t j = 0; j < size; ++j) row[j] = static_cast<T>(sums[j]);
      });
    }
  });
}

template <class T>
void conv_backward_filter(const ConvBackwardFilter& args) {
  const ConvShape& shape = args.shape;
  const auto* x = static_cast<const T*>(args.x);
  const auto* dy = static_cast<const T*>(args.dy);
  auto* dw = static_cast<T*>(args.dw);
  for (int g = 0; g < shape.groups; ++g) {
    const Group group = group_of(shape, g);
    for (int tap = 0; tap < shape.window.kernel_h * shape.window.kernel_w; ++tap) {
      for (std::int64_t ic = 0; ic < group.in_c; ++ic) {
        for_tiles(group.out_c, [&](auto begin, auto size) {
          const auto first = group.first_out + begin;
          double sums[kTile] = {};
          for_pairs(shape, tap / shape.window.kernel_w, tap % shape.window.kernel_w,
                    [&](auto out_pixel, auto in_pixel) {
                      const double value =
                          rounded(x[in_pixel * shape.in_c + group.first_in + ic], args.rounding);
                      const T* gradient = dy + out_pixel * shape.out_c + first;
                      for (std::int64_t j = 0; j < size; ++j)
                        sums[j] += value * rounded(gradient[j], args.rounding);
                    });
          T* row = dw + (tap * group.in_c + ic) * shape.out_c + first;
          for (std::int64_t j = 0; j < size; ++j) row[j] = static_cast<T>(sums[j]);
        });
      }
    }
  }
}

}  // namespace

void add_conv_kernels(KernelTable& table) {
  table.conv_forward.add(product_kernel<ConvForward, conv_forward<float>, conv_forward<double>>());
  table.conv_backward_data.add(
      float_kernel<ConvBackwardData, conv_backward_data<float>, conv_backward_data<double>>());
  table.conv_backward_filter.add(
      float_kernel<ConvBackwardFilter, conv_backward_filter<float>, conv_backward_filter<double>>());
}

}  // namespace pila::kernels::reference
