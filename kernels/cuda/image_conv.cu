// The first convolution, straight from pixels: a thread makes a pack of channels of one pixel. The weights
// lie in shared memory as float32; a window's pixels are read as bytes, which its threads share.

#include "kernels/args/image.h"

#include <algorithm>

#include "kernels/cuda/device/finish.cuh"
#include "kernels/cuda/device/launch.cuh"
#include "kernels/cuda/device/number.cuh"
#include "kernels/cuda/device/pack.cuh"
#include "kernels/cuda/device/types.cuh"
#include "kernels/cuda/families.h"

namespace pila::kernels::cuda {
namespace {

constexpr int kThreads = 256;

// kLanes channels a thread.
template <class T, int kLanes>
__global__ void __launch_bounds__(kThreads) image_conv(ImageConvForward args, Finish<T> finish) {
  const ConvShape& shape = args.shape;
  const Window& window = shape.window;
  const auto channels = static_cast<int>(shape.in_c), out = static_cast<int>(shape.out_c);
  auto* weights = shared_memory<float>();
  for (int i = static_cast<int>(threadIdx.x); i < window.kernel_h * window.kernel_w * channels * out;
       i += kThreads) {
    weights[i] = widen(static_cast<const T*>(args.w)[i]);
  }
  __syncthreads();

  const std::int64_t pieces = shape.batch * shape.out_h * shape.out_w * (out / kLanes);
  const std::int64_t threads = static_cast<std::int64_t>(gridDim.x) * kThreads;
  for (std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < pieces;
       i += threads) {
    const int first = static_cast<int>(i % (out / kLanes)) * kLanes;
    const std::int64_t pixel = i / (out / kLanes);
    const std::int64_t ow = pixel % shape.out_w, oh = pixel / shape.out_w % shape.out_h;
    const std::int64_t image = pixel / (shape.out_w * shape.out_h);
    float sums[kLanes] = {};
    for (int kh = 0; kh < window.kernel_h; ++kh) {
      const std::int64_t h = oh * window.stride_h - window.pad_top + kh * window.dilation_h;
      if (h < 0 || h >= shape.in_h) continue;
      for (int kw = 0; kw < window.kernel_w; ++kw) {
        const std::int64_t w = ow * window.stride_w - window.pad_left + kw * window.dilation_w;
        if (w < 0 || w >= shape.in_w) continue;
        const std::uint8_t* x = args.x + ((image * shape.in_h + h) * shape.in_w + w) * channels;
        for (int c = 0; c < channels; ++c) {
          const float number = fmaf(static_cast<float>(x[c]), args.scale[c], args.offset[c]);
          const float* row = weights + ((kh * window.kernel_w + kw) * channels + c) * out + first;
          for (int lane = 0; lane < kLanes; ++lane) sums[lane] = fmaf(number, row[lane], sums[lane]);
        }
      }
    }
    if constexpr (kLanes == Pack<T>::kLanes) {
      finish.store_sums(pixel, first, sums);
    } else {
      for (int lane = 0; lane < kLanes; ++lane) finish.store(pixel, first + lane, sums[lane]);
    }
  }
}

std::size_t shared_bytes(const ImageConvForward& args) {
  const ConvShape& shape = args.shape;
  return static_cast<std::size_t>(shape.window.kernel_h * shape.window.kernel_w * shape.in_c * shape.out_c) *
         sizeof(float);
}

template <class T>
Status run_as(const ImageConvForward& args, const Launch& on) {
  constexpr std::int64_t kMostBlocks = 4096;  // each loads the weights once
  const ConvShape& shape = args.shape;
  const std::int64_t pixels = shape.batch * shape.out_h * shape.out_w;
  if (pixels == 0 || shape.out_c == 0) return nullptr;
  const bool packs = shape.out_c % Pack<T>::kLanes == 0 && is_pack_aligned(args.y) &&
                     is_pack_aligned(args.epilogue.bias) && is_pack_aligned(args.epilogue.residual);
  const std::int64_t pieces = pixels * (packs ? shape.out_c / Pack<T>::kLanes : shape.out_c);
  const std::int64_t blocks = std::min((pieces + kThreads - 1) / kThreads, kMostBlocks);
  const Grid grid{dim3(static_cast<unsigned>(blocks)), dim3(kThreads), shared_bytes(args)};
  const Finish<T> finish(args.y, shape.out_c, args.epilogue);
  return packs ? launch(image_conv<T, Pack<T>::kLanes>, grid, on, args, finish)
               : launch(image_conv<T, 1>, grid, on, args, finish);
}

bool supports(const ImageConvForward& args) {
  constexpr std::size_t kSharedBytes = 48 << 10;
  return is_number(args.type) && args.rounding == Precision::f32 && args.shape.groups == 1 &&
         args.shape.in_c <= kMaxImageChannels && shared_bytes(args) <= kSharedBytes;
}

Status run(const ImageConvForward& args, const Launch& on) {
  return with_number(args.type, [&](auto number) { return run_as<decltype(number)>(args, on); });
}

}  // namespace

void add_image_conv_kernels(KernelTable& table) {
  table.image_conv_forward.add({"image_conv", supports, nullptr, run});
}

}  // namespace pila::kernels::cuda
