// Channels are summed tile by tile for one m of the multiplier at a time: input channel c and output channel
// c * multiplier + m belong together.
#include "kernels/args/conv.h"
#include "kernels/reference/epilogue.h"
#include "kernels/reference/families.h"
#include "kernels/reference/prologue.h"
#include "kernels/reference/window.h"

namespace pila::kernels::reference {
namespace {

std::int64_t multiplier_of(const ConvShape& shape) { return shape.in_c == 0 ? 1 : shape.out_c / shape.in_c; }

template <class T>
void depthwise_forward(const DepthwiseForward& args) {
  const ConvShape& shape = args.shape;
  const auto multiplier = multiplier_of(shape);
  const auto* x = static_cast<const T*>(args.x);
  const auto* w = static_cast<const T*>(args.w);
  auto* y = static_cast<T*>(args.y);
  for_pixels(shape.batch, shape.out_h, shape.out_w, [&](auto n, auto oh, auto ow, auto out_pixel) {
    for_tiles(shape.in_c, [&](auto begin, auto size) {
      for (std::int64_t m = 0; m < multiplier; ++m) {
        const auto first = begin * multiplier + m;
        double sums[kTile] = {};
        for_taps(shape, n, oh, ow, [&](auto tap, auto in_pixel) {
          const T* input = x + in_pixel * shape.in_c + begin;
          const T* weights = w + tap * shape.out_c + first;
          for (std::int64_t j = 0; j < size; ++j) {
            const double value = read(args.prologue, input[j], begin + j, shape.in_c);
            sums[j] += value * weights[j * multiplier];
          }
        });
        for (std::int64_t j = 0; j < size; ++j) {
          const auto channel = first + j * multiplier, index = out_pixel * shape.out_c + channel;
          y[index] = finish<T>(args.epilogue, sums[j], channel, index);
        }
      }
    });
  });
}

template <class T>
void depthwise_backward_data(const DepthwiseBackwardData& args) {
  const ConvShape& shape = args.shape;
  const auto multiplier = multiplier_of(shape);
  const auto* dy = static_cast<const T*>(args.dy);
  const auto* w = static_cast<const T*>(args.w);
  auto* dx = static_cast<T*>(args.dx);
  for_pixels(shape.batch, shape.in_h, shape.in_w, [&](auto n, auto ih, auto iw, auto in_pixel) {
    for_tiles(shape.in_c, [&](auto begin, auto size) {
      double sums[kTile] = {};
      for_readers(shape, n, ih, iw, [&](auto tap, auto out_pixel) {
        for (std::int64_t m = 0; m < multiplier; ++m) {
          const auto first = begin * multiplier + m;
          const T* gradient = dy + out_pixel * shape.out_c + first;
          const T* weights = w + tap * shape.out_c + first;
          for (std::int64_t j = 0; j < size; ++j) {
            sums[j] += static_cast<double>(gradient[j * multiplier]) * weights[j * multiplier];
          }
        }
      });
      T* row = dx + in_pixel * shape.in_c + begin;
      for (std::int64_t j = 0; j < size; ++j) row[j] = static_cast<T>(sums[j]);
    });
  });
}

template <class T>
void depthwise_backward_filter(const DepthwiseBackwardFilter& args) {
  const ConvShape& shape = args.shape;
  const auto multiplier = multiplier_of(shape);
  const auto* x = static_cast<const T*>(args.x);
  const auto* dy = static_cast<const T*>(args.dy);
  auto* dw = static_cast<T*>(args.dw);
  for (int tap = 0; tap < shape.window.kernel_h * shape.window.kernel_w; ++tap) {
    for_tiles(shape.in_c, [&](auto begin, auto size) {
      for (std::int64_t m = 0; m < multiplier; ++m) {
        const auto first = begin * multiplier + m;
        double sums[kTile] = {};
        for_pairs(shape, tap / shape.window.kernel_w, tap % shape.window.kernel_w,
                  [&](auto out_pixel, auto in_pixel) {
                    const T* input = x + in_pixel * shape.in_c + begin;
                    const T* gradient = dy + out_pixel * shape.out_c + first;
                    for (std::int64_t j = 0; j < size; ++j) {
                      const double value = read(args.prologue, input[j], begin + j, shape.in_c);
                      sums[j] += value * gradient[j * multiplier];
                    }
                  });
        T* row = dw + tap * shape.out_c + first;
        for (std::int64_t j = 0; j < size; ++j) row[j * multiplier] = static_cast<T>(sums[j]);
      }
    });
  }
}

}  // namespace

void add_depthwise_kernels(KernelTable& table) {
  table.depthwise_forward.add(
      float_kernel<DepthwiseForward, depthwise_forward<float>, depthwise_forward<double>>());
  table.depthwise_backward_data.add(
      float_kernel<DepthwiseBackwardData, depthwise_backward_data<float>, depthwise_backward_data<double>>());
  table.depthwise_backward_filter.add(float_kernel<DepthwiseBackwardFilter, depthwise_backward_filter<float>,
                                                   depthwise_backward_filter<double>>());
}

}  // namespace pila::kernels::reference
