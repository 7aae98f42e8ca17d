#include "tests/support/sixteen_bits.h"

#include <cstddef>
#include <deque>
#include <vector>

#include "kernels/args/half.h"
#include "kernels/reference/reference.h"

namespace pila::test {
namespace {

using namespace kernels;

bool has_16_bits(DType type) { return type == DType::f16 || type == DType::bf16; }

// The tensors of an operation as float32, beside those in 16 bits.
class Widened {
 public:
  explicit Widened(DType type) : type_(type) {}

  void read(const void*& from, std::int64_t count) {
    if (from == nullptr) return;
    std::vector<float>& wide = buffers_.emplace_back(static_cast<std::size_t>(count));
    for (std::size_t i = 0; i < wide.size(); ++i) {
      wide[i] = type_ == DType::f16 ? to_float(static_cast<const Float16*>(from)[i])
                                    : to_float(static_cast<const BFloat16*>(from)[i]);
    }
    from = wide.data();
  }
  void write(void*& to, std::int64_t count) {
    y_ = to;
    to = buffers_.emplace_back(static_cast<std::size_t>(count)).data();
  }
  void finish() const {  // write() came last
    const std::vector<float>& wide = buffers_.back();
    for (std::size_t i = 0; i < wide.size(); ++i) {
      if (type_ == DType::f16) {
        static_cast<Float16*>(y_)[i] = to_float16(wide[i]);
      } else {
        static_cast<BFloat16*>(y_)[i] = to_bfloat16(wide[i]);
      }
    }
  }

 private:
  const DType type_;
  std::deque<std::vector<float>> buffers_;
  void* y_ = nullptr;
};

std::int64_t inputs_of(const ConvShape& s) { return s.batch * s.in_h * s.in_w * s.in_c; }
std::int64_t outputs_of(const ConvShape& s) { return s.batch * s.out_h * s.out_w * s.out_c; }
std::int64_t taps_of(const ConvShape& s) { return std::int64_t{s.window.kernel_h} * s.window.kernel_w; }

void widen(ConvForward& args, Widened& to) {
  const ConvShape& s = args.shape;
  to.read(args.x, inputs_of(s));
  to.read(args.w, taps_of(s) * s.in_c / s.groups * s.out_c);
  to.read(args.epilogue.residual, outputs_of(s));
  to.write(args.y, outputs_of(s));
}

void widen(DepthwiseForward& args, Widened& to) {
  const ConvShape& s = args.shape;
  to.read(args.x, inputs_of(s));
  to.read(args.w, taps_of(s) * s.out_c);
  to.read(args.epilogue.residual, outputs_of(s));
  to.write(args.y, outputs_of(s));
}

void widen(ImageConvForward& args, Widened& to) {
  const ConvShape& s = args.shape;
  to.read(args.w, taps_of(s) * s.in_c * s.out_c);
  to.write(args.y, outputs_of(s));
}

void widen(Matmul& args, Widened& to) {
  to.read(args.a, args.m * args.k);
  to.read(args.b, args.k * args.n);
  to.read(args.epilogue.residual, args.m * args.n);
  to.write(args.c, args.m * args.n);
}

void widen(PooledMatmul& args, Widened& to) {
  to.read(args.a, args.batch * args.rows * args.k);
  to.read(args.b, args.k * args.n);
  to.write(args.c, args.batch * args.n);
}

void widen(InvertedResidual& args, Widened& to) {
  const ConvShape& s = args.depthwise;
  const std::int64_t outputs = s.batch * s.out_h * s.out_w * args.out_c;
  to.read(args.x, s.batch * s.in_h * s.in_w * args.in_c);
  to.read(args.expand.w, args.in_c * s.in_c);
  to.read(args.depthwise_w, taps_of(s) * s.in_c);
  to.read(args.project.w, s.in_c * args.out_c);
  to.read(args.residual, outputs);
  to.write(args.y, outputs);
}

void widen(BatchNormInference& args, Widened& to) {
  to.read(args.x, args.rows * args.channels);
  to.write(args.y, args.rows * args.channels);
}

void widen(ActivationForward& args, Widened& to) {
  to.read(args.x, args.count);
  to.write(args.y, args.count);
}

void widen(Affine& args, Widened& to) {
  to.read(args.x, args.count);
  to.write(args.y, args.count);
}

void widen(Binary& args, Widened& to) {  // without broadcasting
  std::int64_t count = 1;
  for (int axis = 0; axis < args.rank; ++axis) count *= args.shape[axis];
  to.read(args.a, count);
  to.read(args.b, count);
  to.write(args.y, count);
}

void widen(Pad& args, Widened& to) {
  const Borders& b = args.borders;
  to.read(args.x, b.batch * b.in_h * b.in_w * b.channels);
  to.write(args.y, b.batch * (b.top + b.in_h + b.bottom) * (b.left + b.in_w + b.right) * b.channels);
}

void widen(Reduce& args, Widened& to) {
  to.read(args.x, args.outer * args.reduced * args.inner);
  to.write(args.y, args.outer * args.inner);
}

// The reference's kernel for the same arguments in float32.
template <class Args>
const Kernel<Args>* reference_for(Args args) {
  args.type = DType::f32;
  return entry_of(reference::table(), &args).select(args);
}

template <class Args>
void add_widened(Entry<Args>& entry) {
  Kernel<Args> kernel;
  kernel.name = "widened";
  kernel.supports = [](const Args& args) { return has_16_bits(args.type) && reference_for(args) != nullptr; };
  kernel.run = [](const Args& args, const Launch& on) -> Status {
    Args wide = args;
    Widened tensors(args.type);
    widen(wide, tensors);
    wide.type = DType::f32;
    const Kernel<Args>& by = *reference_for(args);
    std::vector<std::byte> workspace(by.workspace == nullptr ? 0 : by.workspace(wide, *on.stream));
    const Status status = by.run(wide, {on.stream, workspace.data()});
    tensors.finish();
    return status;
  };
  entry.add(kernel);
}

}  // namespace

const KernelTable& sixteen_bits_table() {
  static const KernelTable instance = [] {
    KernelTable table = reference::table();
    table.device = "16 bits";
    table.stores_16_bits = true;
    add_widened(table.conv_forward);
    add_widened(table.depthwise_forward);
    add_widened(table.image_conv_forward);
    add_widened(table.matmul);
    add_widened(table.pooled_matmul);
    add_widened(table.inverted_residual);
    add_widened(table.batch_norm_inference);
    add_widened(table.activation_forward);
    add_widened(table.affine);
    add_widened(table.binary);
    add_widened(table.pad);
    add_widened(table.reduce);
    return table;
  }();
  return instance;
}

}  // namespace pila::test
