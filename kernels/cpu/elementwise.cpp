#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/cpu/elementwise.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>

#include "kernels/args/elementwise.h"
#include "kernels/cpu/broadcast.h"
#include "kernels/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace pila::kernels::cpu::HWY_NAMESPACE {

struct AddOp {
  HWY_INLINE FloatVector operator()(FloatVector a, FloatVector b) const { return hn::Add(a, b); }
};
struct SubtractOp {
  HWY_INLINE FloatVector operator()(FloatVector a, FloatVector b) const { return hn::Sub(a, b); }
};
struct MultiplyOp {
  HWY_INLINE FloatVector operator()(FloatVector a, FloatVector b) const { return hn::Mul(a, b); }
};

// An operand of a row: consecutive numbers, or one number all along.
struct Consecutive {
  const float* from;
  HWY_INLINE FloatVector operator()(FloatTag d, std::size_t i) const { return hn::LoadU(d, from + i); }
  HWY_INLINE FloatVector operator()(FloatTag d, std::size_t i, std::size_t count) const {
    return load_partial(d, from + i, count);
  }
};
struct Repeated {
  const float* from;
  HWY_INLINE FloatVector operator()(FloatTag d, std::size_t) const { return hn::Set(d, *from); }
  HWY_INLINE FloatVector operator()(FloatTag d, std::size_t, std::size_t) const { return hn::Set(d, *from); }
};

template <class Op, class A, class B>
HWY_INLINE void combine_row(Op op, A a, B b, float* y, std::size_t count) {
  const FloatTag d;
  constexpr std::size_t lanes = kFloatLanes;
  std::size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    const auto first = op(a(d, i), b(d, i));
    const auto second = op(a(d, i + lanes), b(d, i + lanes));
    hn::StoreU(first, d, y + i);
    hn::StoreU(second, d, y + i + lanes);
  }
  if (i + lanes <= count) {
    hn::StoreU(op(a(d, i), b(d, i)), d, y + i);
    i += lanes;
  }
  if (i < count) store_partial(op(a(d, i, count - i), b(d, i, count - i)), d, y + i, count - i);
}

// Elements [begin, end) of y, row by row; the range may begin and end within a row.
template <class A, class B, class Op>
HWY_INLINE void combine_range(const Broadcast& shape, Op op, const float* a, const float* b, float* y,
                              std::int64_t begin, std::int64_t end) {
  const int outer = shape.rank - 1;
  const std::int64_t row = shape.row();
  const std::int64_t a_step = shape.a_strides[outer], b_step = shape.b_strides[outer];
  std::int64_t index[kMaxRank] = {};
  std::int64_t rest = begin / row, within = begin % row;
  for (int axis = outer - 1; axis >= 0; --axis) {
    index[axis] = rest % shape.shape[axis];
    rest /= shape.shape[axis];
    a += index[axis] * shape.a_strides[axis];
    b += index[axis] * shape.b_strides[axis];
  }
  for (;;) {
    const std::int64_t count = std::min(row - within, end - begin);
    combine_row(op, A{a + within * a_step}, B{b + within * b_step}, y + begin,
                static_cast<std::size_t>(count));
    begin += count;
    if (begin >= end) return;
    within = 0;
    for (int axis = outer - 1; axis >= 0; --axis) {
      a += shape.a_strides[axis];
      b += shape.b_strides[axis];
      if (++index[axis] < shape.shape[axis]) break;
      a -= shape.shape[axis] * shape.a_strides[axis];
      b -= shape.shape[axis] * shape.b_strides[axis];
      index[axis] = 0;
    }
  }
}

template <class Op>
HWY_INLINE void combine_kind(const Broadcast& shape, Op op, const float* a, const float* b, float* y,
                             std::int64_t begin, std::int64_t end) {
  const bool a_repeats = shape.a_strides[shape.rank - 1] == 0;
  const bool b_repeats = shape.b_strides[shape.rank - 1] == 0;
  if (a_repeats && b_repeats) {
    combine_range<Repeated, Repeated>(shape, op, a, b, y, begin, end);
  } else if (a_repeats) {
    combine_range<Repeated, Consecutive>(shape, op, a, b, y, begin, end);
  } else if (b_repeats) {
    combine_range<Consecutive, Repeated>(shape, op, a, b, y, begin, end);
  } else {
    combine_range<Consecutive, Consecutive>(shape, op, a, b, y, begin, end);
  }
}

void combine(const Broadcast& shape, BinaryKind kind, const float* a, const float* b, float* y,
             std::int64_t begin, std::int64_t end) {
  switch (kind) {
    case BinaryKind::add:
      return combine_kind(shape, AddOp{}, a, b, y, begin, end);
    case BinaryKind::subtract:
      return combine_kind(shape, SubtractOp{}, a, b, y, begin, end);
    case BinaryKind::multiply:
      return combine_kind(shape, MultiplyOp{}, a, b, y, begin, end);
  }
}

void scale_and_shift(const float* x, float factor, float offset, float* y, std::size_t count) {
  const FloatTag d;
  const auto factors = hn::Set(d, factor), offsets = hn::Set(d, offset);
  std::size_t i = 0;
  for (; i + kFloatLanes <= count; i += kFloatLanes) {
    hn::StoreU(hn::MulAdd(hn::LoadU(d, x + i), factors, offsets), d, y + i);
  }
  if (i < count) {
    store_partial(hn::MulAdd(load_partial(d, x + i, count - i), factors, offsets), d, y + i, count - i);
  }
}

}  // namespace pila::kernels::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
#include <cmath>
#include <cstring>

#include "kernels/cpu/families.h"
#include "kernels/cpu/pieces.h"

namespace pila::kernels::cpu {
namespace {

HWY_EXPORT(combine);
HWY_EXPORT(scale_and_shift);

bool supports_binary(const Binary& args) {
  if (args.type != DType::f32) return false;
  const Broadcast shape = collapse(args);
  const auto simple = [](std::int64_t stride) { return stride == 0 || stride == 1; };
  return shape.row() <= 1 ||
         (simple(shape.a_strides[shape.rank - 1]) && simple(shape.b_strides[shape.rank - 1]));
}

Status run_binary(const Binary& args, const Launch& launch) {
  const Broadcast shape = collapse(args);
  const auto* a = static_cast<const float*>(args.a);
  const auto* b = static_cast<const float*>(args.b);
  auto* y = static_cast<float*>(args.y);
  const auto function = HWY_DYNAMIC_DISPATCH(combine);
  run_pieces(pool_of(*launch.stream), shape.count(), kPiece,
             [&](std::int64_t begin, std::int64_t end) { function(shape, args.kind, a, b, y, begin, end); });
  return nullptr;
}

// y[o,r,i] = x[o,i] * scale is a product with broadcasting.
Status run_repeat(const Repeat& args, const Launch& launch) {
  const auto scale = static_cast<float>(args.scale);
  Binary product;
  product.kind = BinaryKind::multiply;
  product.rank = 3;
  product.shape[0] = args.outer;
  product.shape[1] = args.repeated;
  product.shape[2] = args.inner;
  product.a_strides[0] = args.inner;
  product.a_strides[2] = 1;
  product.a = args.x;
  product.b = &scale;
  product.y = args.y;
  return run_binary(product, launch);
}

Status run_affine(const Affine& args, const Launch& launch) {
  const auto* x = static_cast<const float*>(args.x);
  auto* y = static_cast<float*>(args.y);
  const auto factor = static_cast<float>(args.factor), offset = static_cast<float>(args.offset);
  const auto function = HWY_DYNAMIC_DISPATCH(scale_and_shift);
  run_pieces(pool_of(*launch.stream), args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
    function(x + begin, factor, offset, y + begin, static_cast<std::size_t>(end - begin));
  });
  return nullptr;
}

// Zero is zero bytes in every type.
bool is_zero(const Fill& args) { return args.value == 0 && !std::signbit(args.value); }

Status run_fill(const Fill& args, const Launch& launch) {
  auto& pool = pool_of(*launch.stream);
  if (is_zero(args)) {
    const auto size = static_cast<std::int64_t>(size_of(args.type));
    auto* y = static_cast<unsigned char*>(args.y);
    run_pieces(pool, args.count, kPiece, [&](std::int64_t begin, std::int64_t end) {
      std::memset(y + begin * size, 0, static_cast<std::size_t>((end - begin) * size));
    });
    return nullptr;
  }
  auto* y = static_cast<float*>(args.y);
  const auto value = static_cast<float>(args.value);
  run_pieces(pool, args.count, kPiece,
             [&](std::int64_t begin, std::int64_t end) { std::fill(y + begin, y + end, value); });
  return nullptr;
}

}  // namespace

void add_elementwise_kernels(KernelTable& table) {
  table.binary.add({"binary_f32", supports_binary, nullptr, run_binary});
  table.repeat.add(
      {"repeat_f32", [](const Repeat& args) { return args.type == DType::f32; }, nullptr, run_repeat});
  table.affine.add(
      {"affine_f32", [](const Affine& args) { return args.type == DType::f32; }, nullptr, run_affine});
  table.fill.add(
      {"fill", [](const Fill& args) { return args.type == DType::f32 || is_zero(args); }, nullptr, run_fill});
}

}  // namespace pila::kernels::cpu
#endif  // HWY_ONCE
