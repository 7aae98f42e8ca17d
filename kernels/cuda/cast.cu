// From one element type to another, and arrays of one value.

#include "kernels/args/elementwise.h"

#include <cstdint>
#include <limits>
#include <type_traits>

#include "kernels/cuda/device/each.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

// Device code may read these, but not call what gives them.
template <class To>
constexpr To kMost = std::numeric_limits<To>::max();
template <class To>
constexpr To kLeast = std::numeric_limits<To>::min();

// To integers: rounded to nearest even, saturated; NaN becomes 0.
template <class To>
__device__ To to_integer(float value) {
  // The first float that is too large; the least integer is a float itself.
  constexpr float beyond = sizeof(To) == 1 ? 256.0f : sizeof(To) == 4 ? 0x1p31f : 0x1p63f;
  const float rounded = rintf(value);
  if (!(rounded == rounded)) return 0;
  if (rounded >= beyond) return kMost<To>;
  if (rounded <= static_cast<float>(kLeast<To>)) return kLeast<To>;
  return static_cast<To>(rounded);
}

template <class To, class From>
__device__ To convert(From value) {
  if constexpr (std::is_integral_v<To> && std::is_integral_v<From>) {
    return static_cast<To>(value);
  } else if constexpr (std::is_integral_v<To>) {
    return to_integer<To>(widen(value));
  } else if constexpr (std::is_integral_v<From>) {
    return narrow<To>(static_cast<float>(value));
  } else {
    return narrow<To>(widen(value));
  }
}

template <class From, class To>
struct Convert {
  const From* x;
  To* y;
  __device__ void operator()(std::int64_t i) const { y[i] = convert<To>(x[i]); }
};

template <class T>
struct FillWith {
  T value;
  T* y;
  __device__ void operator()(std::int64_t i) const { y[i] = value; }
};

template <class Visit>
Status with_element(DType type, const Visit& visit) {
  switch (type) {
    case DType::u8:
      return visit(std::uint8_t());
    case DType::i32:
      return visit(std::int32_t());
    case DType::i64:
      return visit(std::int64_t());
    default:
      return with_number(type, visit);
  }
}

// Integers of one size become numbers and the other way round; integers of another size never come up.
bool can_cast(const Cast& args) {
  const bool known = args.from != DType::f64 && args.to != DType::f64;
  return known && (is_number(args.from) || is_number(args.to));
}

Status run_cast(const Cast& args, const Launch& on) {
  return with_element(args.from, [&](auto from) {
    return with_element(args.to, [&](auto to) -> Status {
      using From = decltype(from);
      using To = decltype(to);
      if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
        return "a cast between integers";
      } else {
        return for_each(on, args.count,
                        Convert<From, To>{static_cast<const From*>(args.x), static_cast<To*>(args.y)});
      }
    });
  });
}

Status run_fill(const Fill& args, const Launch& on) {
  return with_number(args.type, [&](auto number) {
    using T = decltype(number);
    T value;
    if constexpr (std::is_same_v<T, Float16>) {
      value = to_float16(static_cast<float>(args.value));
    } else if constexpr (std::is_same_v<T, BFloat16>) {
      value = to_bfloat16(static_cast<float>(args.value));
    } else {
      value = static_cast<float>(args.value);
    }
    return for_each(on, args.count, FillWith<T>{value, static_cast<T*>(args.y)});
  });
}

}  // namespace

void add_cast_kernels(KernelTable& table) {
  table.cast.add({"cast", can_cast, nullptr, run_cast});
  table.fill.add({"fill", is_of_numbers<Fill>, nullptr, run_fill});
}

}  // namespace pila::kernels::cuda
