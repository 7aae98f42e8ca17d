#include "kernels/args/image.h"

#include <cmath>

#include "kernels/reference/families.h"

namespace pila::kernels::reference {
namespace {

template <class T>
void image_to_float(const ImageToFloat& args) {
  auto* y = static_cast<T*>(args.y);
  for (std::int64_t i = 0; i < args.pixels; ++i) {
    for (int c = 0; c < args.channels; ++c) {
      const auto at = i * args.channels + c;
      y[at] = static_cast<T>(static_cast<double>(args.x[at]) * args.scale[c] + args.offset[c]);
    }
  }
}

// The two neighbours that an output position lies between, and how far it is on the way to the second.
// Beyond the edge both are the edge's pixel.
struct Neighbours {
  std::int64_t first, second;
  double fraction;
};

Neighbours neighbours_of(std::int64_t position, std::int64_t in, std::int64_t out) {
  const double scale = static_cast<double>(in) / static_cast<double>(out);
  const double centre = (static_cast<double>(position) + 0.5) * scale - 0.5;
  const double below = std::floor(centre);
  const auto first = static_cast<std::int64_t>(below);
  return {std::clamp<std::int64_t>(first, 0, in - 1), std::clamp<std::int64_t>(first + 1, 0, in - 1),
          centre - below};
}

double between(double a, double b, double fraction) { return a + (b - a) * fraction; }

template <class From, class To>
void resize(const ResizeBilinear& args) {
  const auto* x = static_cast<const From*>(args.x);
  auto* y = static_cast<To*>(args.y);
  for (std::int64_t n = 0; n < args.batch; ++n) {
    for (std::int64_t oh = 0; oh < args.out_h; ++oh) {
      const Neighbours rows = neighbours_of(oh, args.in_h, args.out_h);
      for (std::int64_t ow = 0; ow < args.out_w; ++ow) {
        const Neighbours columns = neighbours_of(ow, args.in_w, args.out_w);
        const auto pixel = [&](std::int64_t row, std::int64_t column) {
          return x + ((n * args.in_h + row) * args.in_w + column) * args.channels;
        };
        const From* top_left = pixel(rows.first, columns.first);
        const From* top_right = pixel(rows.first, columns.second);
        const From* bottom_left = pixel(rows.second, columns.first);
        const From* bottom_right = pixel(rows.second, columns.second);
        for (int c = 0; c < args.channels; ++c) {
          const double top = between(top_left[c], top_right[c], columns.fraction);
          const double bottom = between(bottom_left[c], bottom_right[c], columns.fraction);
          *y++ = static_cast<To>(between(top, bottom, rows.fraction));
        }
      }
    }
  }
}

bool can_resize(const ResizeBilinear& args) {
  const bool nothing = args.batch == 0 || args.out_h == 0 || args.out_w == 0;
  return (is_float(args.from) || args.from == DType::u8) && is_float(args.to) &&
         (nothing || (args.in_h > 0 && args.in_w > 0));
}

Status resize_bilinear(const ResizeBilinear& args, const Launch&) {
  const bool wide = args.to == DType::f64;
  switch (args.from) {
    case DType::u8:
      wide ? resize<std::uint8_t, double>(args) : resize<std::uint8_t, float>(args);
      return nullptr;
    case DType::f64:
      wide ? resize<double, double>(args) : resize<double, float>(args);
      return nullptr;
    default:
      wide ? resize<float, double>(args) : resize<float, float>(args);
      return nullptr;
  }
}

}  // namespace

void add_image_kernels(KernelTable& table) {
  auto to_float = float_kernel<ImageToFloat, image_to_float<float>, image_to_float<double>>();
  to_float.supports = [](const ImageToFloat& args) {
    return is_float(args.type) && args.channels <= kMaxImageChannels;
  };
  table.image_to_float.add(to_float);
  table.resize_bilinear.add({"reference", can_resize, nullptr, resize_bilinear});
}

}  // namespace pila::kernels::reference
