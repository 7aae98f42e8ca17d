// Convolutions, and their gradient by the input, as products over the pixels under a window, read where they
// lie.
#include <cstdint>
#include <numeric>

#include "kernels/cpu/conv.h"
#include "kernels/cpu/conv_window.h"
#include "kernels/cpu/gemm_rows.h"

namespace pila::kernels::cpu {
namespace {

const float* floats(const void* data) { return static_cast<const float*>(data); }

RowProblem problem_of(const WindowGrid& grid, std::int64_t groups, std::int64_t columns) {
  RowProblem problem;
  problem.m = grid.places();
  problem.n = columns;
  problem.taps = grid.taps();
  problem.depth = grid.depth;
  problem.groups = groups;
  return problem;
}

// ---- forward
// --------------------------------------------------------------------------------------------------

WindowGrid forward_grid(const ConvForward& args) {
  const ConvShape& s = args.shape;
  WindowGrid grid;
  grid.source = floats(args.x);
  grid.batch = s.batch;
  grid.h = {.source = s.in_h,
            .grid = s.out_h,
            .step = s.window.stride_h,
            .first = -s.window.pad_top,
            .delta = s.window.dilation_h,
            .taps = s.window.kernel_h,
            .target = s.out_h};
  grid.w = {.source = s.in_w,
            .grid = s.out_w,
            .step = s.window.stride_w,
            .first = -s.window.pad_left,
            .delta = s.window.dilation_w,
            .taps = s.window.kernel_w,
            .target = s.out_w};
  grid.source_c = s.in_c;
  grid.target_c = s.out_c;
  grid.depth = s.in_c / s.groups;
  // With few channels, as in an image, a whole row of the window makes one tap.
  if (s.groups == 1 && s.window.dilation_w == 1 && s.in_c < 8) {
    grid.depth *= grid.w.taps;
    grid.pixels_w = grid.w.taps;
    grid.w.taps = 1;
  }
  return grid;
}

struct Forward {
  Forward(const ConvForward& args, bool prepared, int threads, void* memory)
      : grid(forward_grid(args)), scratch(memory), rows(grid, scratch, threads), product(make_problem(args)) {
    packed = scratch.take<float>(prepared ? 0 : product.packed_size());
  }

  RowProblem make_problem(const ConvForward& args) const {
    RowProblem problem = problem_of(grid, args.shape.groups, args.shape.out_c / args.shape.groups);
    problem.c = static_cast<float*>(args.y);
    problem.epilogue = args.epilogue;
    return problem;
  }

  void pack(const ConvForward& args, float* to, ThreadPool& pool) {
    const ConvShape& s = args.shape;
    const std::int64_t k = grid.taps() * grid.depth, each = s.out_c / s.groups;
    product.pack(to, pool, [&](std::int64_t group, std::int64_t column, int columns, int width, float* out) {
      tile_kernels().pack(floats(args.w) + group * each + column, s.out_c, k, columns, width, out, width);
    });
  }

  WindowGrid grid;
  Scratch scratch;
  WindowRows rows;
  RowProduct product;
  float* packed;
};

std::size_t forward_workspace(const ConvForward& args, const Stream& stream, bool prepared) {
  return Forward(args, prepared, pool_of(stream).threads(), nullptr).scratch.bytes();
}

std::size_t forward_workspace(const ConvForward& args, const Stream& stream) {
  return forward_workspace(args, stream, false);
}

std::size_t forward_prepared_workspace(const ConvForward& args, const Stream& stream) {
  return forward_workspace(args, stream, true);
}

std::size_t forward_prepared_size(const ConvForward& args, const Stream& stream) {
  const Forward forward(args, true, pool_of(stream).threads(), nullptr);
  return static_cast<std::size_t>(forward.product.packed_size()) * sizeof(float);
}

Status prepare_forward(const ConvForward& args, void* to, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  Forward(args, true, pool.threads(), nullptr).pack(args, static_cast<float*>(to), pool);
  return nullptr;
}

Status run_forward(const ConvForward& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  const bool prepared = launch.prepared != nullptr;
  Forward forward(args, prepared, pool.threads(), launch.workspace);
  if (prepared) {
    forward.product.use(floats(launch.prepared));
  } else {
    forward.pack(args, forward.packed, pool);
  }
  forward.product.run(pool, forward.rows);
  return nullptr;
}

bool is_float(const ConvForward& args) { return args.type == DType::f32 && args.rounding == Precision::f32; }

}  // namespace

Kernel<ConvForward> conv_forward_kernel() {
  return {"conv_forward_f32_tiles",
          is_float,
          forward_workspace,
          run_forward,
          {forward_prepared_size, prepare_forward, forward_prepared_workspace}};
}

// ---- gradient by the input
// ------------------------------------------------------------------------------------

namespace {

// The input places of one phase, i = place * stride + phase, read the output through the same few taps of the
// window: numbers first_tap, first_tap + tap_step ...
struct PhaseAxis {
  PhaseAxis(std::int64_t in, std::int64_t out, int kernel, int stride, int dilation, int pad, int phase) {
    int first = 0;
    while (first < kernel && first < stride && (phase + pad - first * dilation) % stride != 0) ++first;
    const bool any = first < kernel && (phase + pad - first * dilation) % stride == 0;
    first_tap = first;
    tap_step = stride / std::gcd(stride, dilation);
    window.source = out;
    window.grid = std::max<std::int64_t>(0, ceil_div(in - phase, stride));
    window.first = (phase + pad - first * dilation) / stride;
    window.delta = -static_cast<std::int64_t>(tap_step) * dilation / stride;
    window.taps = any ? ceil_div(kernel - first, tap_step) : 0;
    window.target = in;
    window.target_step = stride;
    window.target_first = phase;
  }

  std::int64_t tap(std::int64_t index) const { return first_tap + index * tap_step; }

  int first_tap, tap_step;
  WindowAxis window;
};

struct Phase {
  Phase(const ConvBackwardData& args, int index)
      : h(args.shape.in_h, args.shape.out_h, args.shape.window.kernel_h, args.shape.window.stride_h,
          args.shape.window.dilation_h, args.shape.window.pad_top, index / args.shape.window.stride_w),
        w(args.shape.in_w, args.shape.out_w, args.shape.window.kernel_w, args.shape.window.stride_w,
          args.shape.window.dilation_w, args.shape.window.pad_left, index % args.shape.window.stride_w) {
    grid.source = floats(args.dy);
    grid.batch = args.shape.batch;
    grid.h = h.window;
    grid.w = w.window;
    grid.source_c = args.shape.out_c;
    grid.target_c = args.shape.in_c;
    grid.depth = args.shape.out_c / args.shape.groups;
  }

  static int count(const ConvBackwardData& args) {
    return args.shape.window.stride_h * args.shape.window.stride_w;
  }

  PhaseAxis h, w;
  WindowGrid grid;
};

struct BackwardData {
  BackwardData(const ConvBackwardData& args, int index, int threads, void* memory)
      : phase(args, index), scratch(memory), rows(phase.grid, scratch, threads), product(make_problem(args)) {
    packed = scratch.take<float>(product.packed_size());
  }

  RowProblem make_problem(const ConvBackwardData& args) const {
    RowProblem problem = problem_of(phase.grid, args.shape.groups, args.shape.in_c / args.shape.groups);
    problem.c = static_cast<float*>(args.dx);
    return problem;
  }

  // The weights of the phase's taps, transposed: a row for each output channel.
  void pack(const ConvBackwardData& args, ThreadPool& pool) {
    const ConvShape& s = args.shape;
    const std::int64_t each = s.in_c / s.groups, depth = phase.grid.depth;
    product.pack(packed, pool,
                 [&](std::int64_t group, std::int64_t column, int columns, int width, float* out) {
                   for (std::int64_t h = 0; h < phase.grid.h.taps; ++h) {
                     for (std::int64_t w = 0; w < phase.grid.w.taps; ++w, out += depth * width) {
                       const std::int64_t tap = phase.h.tap(h) * s.window.kernel_w + phase.w.tap(w);
                       const float* from = floats(args.w) + (tap * each + column) * s.out_c + group * depth;
                       tile_kernels().pack_transposed(from, s.out_c, depth, columns, width, out);
                     }
                   }
                 });
  }

  Phase phase;
  Scratch scratch;
  WindowRows rows;
  RowProduct product;
  float* packed;
};

}  // namespace

std::size_t conv_backward_data_workspace(const ConvBackwardData& args, const Stream& stream) {
  std::size_t bytes = 0;
  for (int index = 0; index < Phase::count(args); ++index) {
    bytes = std::max(bytes, BackwardData(args, index, pool_of(stream).threads(), nullptr).scratch.bytes());
  }
  return bytes;
}

Status conv_backward_data(const ConvBackwardData& args, const Launch& launch) {
  ThreadPool& pool = pool_of(*launch.stream);
  for (int index = 0; index < Phase::count(args); ++index) {
    BackwardData backward(args, index, pool.threads(), launch.workspace);
    backward.pack(args, pool);
    backward.product.run(pool, backward.rows);
  }
  return nullptr;
}

}  // namespace pila::kernels::cpu
