#include "kernels/args/pool.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "kernels/reference/families.h"
#include "kernels/reference/window.h"

namespace pila::kernels::reference {
namespace {

// Calls body(row of the padded image, the same row of the image) with byte offsets, in units of whole rows.
template <class Body>
void for_rows(const Borders& borders, std::size_t element, const Body& body) {
  const auto pixel = static_cast<std::size_t>(borders.channels) * element;
  const auto row = static_cast<std::size_t>(borders.in_w) * pixel;
  const auto padded_row = static_cast<std::size_t>(borders.left + borders.in_w + borders.right) * pixel;
  const auto padded_h = borders.top + borders.in_h + borders.bottom;
  for (std::int64_t n = 0; n < borders.batch; ++n) {
    for (std::int64_t h = 0; h < borders.in_h; ++h) {
      body(static_cast<std::size_t>(n * padded_h + borders.top + h) * padded_row +
               static_cast<std::size_t>(borders.left) * pixel,
           static_cast<std::size_t>(n * borders.in_h + h) * row, row);
    }
  }
}

Status pad(const Pad& args, const Launch&) {
  const Borders& borders = args.borders;
  const auto bytes =
      static_cast<std::size_t>(borders.batch * (borders.top + borders.in_h + borders.bottom) *
                               (borders.left + borders.in_w + borders.right) * borders.channels) *
      size_of(args.type);
  if (bytes == 0) return nullptr;
  auto* y = static_cast<char*>(args.y);
  std::memset(y, 0, bytes);  // a zero of every type
  for_rows(borders, size_of(args.type), [&](auto padded, auto plain, auto row) {
    if (row != 0) std::memcpy(y + padded, static_cast<const char*>(args.x) + plain, row);
  });
  return nullptr;
}

Status crop(const Crop& args, const Launch&) {
  for_rows(args.borders, size_of(args.type), [&](auto padded, auto plain, auto row) {
    if (row != 0) {
      std::memcpy(static_cast<char*>(args.y) + plain, static_cast<const char*>(args.x) + padded, row);
    }
  });
  return nullptr;
}

// The first largest value under a window; a NaN is larger than every number.
template <class T>
struct Largest {
  T value = -std::numeric_limits<T>::infinity();
  std::int64_t pixel = -1;

  void offer(T candidate, std::int64_t at) {
    if (pixel < 0 || candidate > value || (std::isnan(candidate) && !std::isnan(value))) {
      value = candidate;
      pixel = at;
    }
  }
};

// The largest of `size` channels from `begin` on.
template <class T>
void largest_under(const ConvShape& shape, const T* x, std::int64_t n, std::int64_t oh, std::int64_t ow,
                   std::int64_t begin, std::int64_t size, Largest<T>* largest) {
  std::fill_n(largest, size, Largest<T>{});
  for_taps(shape, n, oh, ow, [&](auto, auto pixel) {
    const T* row = x + pixel * shape.in_c + begin;
    for (std::int64_t j = 0; j < size; ++j) largest[j].offer(row[j], pixel);
  });
}

// A window that lies outside the image altogether gives -infinity.
template <class T>
void max_pool_forward(const MaxPoolForward& args) {
  const ConvShape& shape = args.shape;
  const auto* x = static_cast<const T*>(args.x);
  auto* y = static_cast<T*>(args.y);
  for_pixels(shape.batch, shape.out_h, shape.out_w, [&](auto n, auto oh, auto ow, auto pixel) {
    for_tiles(shape.in_c, [&](auto begin, auto size) {
      Largest<T> largest[kTile];
      largest_under(shape, x, n, oh, ow, begin, size, largest);
      T* row = y + pixel * shape.in_c + begin;
      for (std::int64_t j = 0; j < size; ++j) row[j] = largest[j].value;
    });
  });
}

template <class T>
void max_pool_backward(const MaxPoolBackward& args) {
  const ConvShape& shape = args.shape;
  const auto* x = static_cast<const T*>(args.x);
  const auto* dy = static_cast<const T*>(args.dy);
  auto* dx = static_cast<T*>(args.dx);
  for_pixels(shape.batch, shape.in_h, shape.in_w, [&](auto n, auto ih, auto iw, auto pixel) {
    for_tiles(shape.in_c, [&](auto begin, auto size) {
      double sums[kTile] = {};
      for_readers(shape, n, ih, iw, [&](auto, auto reader) {
        Largest<T> largest[kTile];
        largest_under(shape, x, n, reader / shape.out_w % shape.out_h, reader % shape.out_w, begin, size,
                      largest);
        const T* gradient = dy + reader * shape.in_c + begin;
        for (std::int64_t j = 0; j < size; ++j) {
          if (largest[j].pixel == pixel) sums[j] += gradient[j];
        }
      });
      T* row = dx + pixel * shape.in_c + begin;
      for (std::int64_t j = 0; j < size; ++j) row[j] = static_cast<T>(sums[j]);
    });
  });
}

}  // namespace

void add_pool_kernels(KernelTable& table) {
  table.pad.add({"reference", [](const Pad&) { return true; }, nullptr, pad});
  table.crop.add({"reference", [](const Crop&) { return true; }, nullptr, crop});
  table.max_pool_forward.add(
      float_kernel<MaxPoolForward, max_pool_forward<float>, max_pool_forward<double>>());
  table.max_pool_backward.add(
      float_kernel<MaxPoolBackward, max_pool_backward<float>, max_pool_backward<double>>());
}

}  // namespace pila::kernels::reference
