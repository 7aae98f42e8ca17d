// The fused kernels on all of MobileNetV2, one after the other as in the network, with prepared weights: time
// and share of the machine's fused multiply-adds, layer by layer.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <ctime>
#include <functional>
#include <string>
#include <vector>

#include "bench/kernels/machine_peak.h"
#include "bench/shapes/mobilenet_v2.h"
#include "engine/core/context.h"
#include "engine/core/tensor.h"
#include "kernels/cpu/cpu.h"

namespace pila::bench {
namespace {

// Of one thread its processor time counts, whoever else uses the machine; several have to wait for each
// other.
double seconds(int threads) {
  if (threads > 1) {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
  }
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

struct Step {
  std::string name;
  double macs = 0;
  std::function<void()> run;
  std::vector<double> times = {};
};

class Network {
 public:
  Network(const Context& ctx, double width, std::int64_t size, std::int64_t batch)
      : ctx_(ctx), batch_(batch) {
    const auto layers = mobilenet_v2_layers(width, size);
    x_ = zeros(static_cast<std::int64_t>(largest(layers)) * batch);
    y_ = zeros(static_cast<std::int64_t>(largest(layers)) * batch);
    for (std::size_t i = 0; i < layers.size(); ++i) {
      const LayerShape& layer = layers[i];
      switch (layer.kind) {
        case LayerKind::convolution:
          add_stem(layer);
          break;
        case LayerKind::pointwise:
          if (layer.name == "head") {
            add_head(layer);
            break;
          }
          add_block(&layer, layers[i + 1], layers[i + 2]);
          i += 2;
          break;
        case LayerKind::depthwise:
          add_block(nullptr, layer, layers[i + 1]);
          ++i;
          break;
        case LayerKind::dense:
          add_top(layer);
          break;
      }
    }
    workspace_ = memory(workspace_size_);
  }

  Network(const Network&) = delete;
  Network& operator=(const Network&) = delete;

  std::vector<Step>& steps() { return steps_; }

 private:
  static double largest(const std::vector<LayerShape>& layers) {
    double size = 0;
    for (const auto& layer : layers) size = std::max(size, layer.activations());
    return size;
  }

  Tensor zeros(std::int64_t count) { return Tensor::full(ctx_, {{count}, DType::f32}, 0); }
  void* memory(std::size_t bytes) {
    kept_.push_back(zeros(static_cast<std::int64_t>(bytes / sizeof(float) + 1)));
    return kept_.back().data();
  }
  const void* weights(double count) {
    kept_.push_back(Tensor::full(ctx_, {{static_cast<std::int64_t>(count)}, DType::f32}, 0.01));
    return kept_.back().data();
  }

  kernels::ConvShape shape_of(const LayerShape& layer) const {
    kernels::ConvShape shape;
    shape.batch = batch_;
    shape.in_h = shape.in_w = layer.in_size;
    shape.in_c = layer.in_channels;
    shape.out_h = shape.out_w = layer.out_size;
    shape.out_c = layer.out_channels;
    shape.window.kernel_h = shape.window.kernel_w = layer.kernel;
    shape.window.stride_h = shape.window.stride_w = layer.stride;
    shape.window.pad_top = shape.window.pad_left = layer.stride == 2 && layer.in_size % 2 == 0 ? 0 : 1;
    return shape;
  }

  template <class Args>
  void add(const std::string& name, double flops, const Args& args) {
    const auto* kernel = kernels::entry_of(ctx_.kernels(), &args).select(args);
    kernels::Launch launch{&ctx_.stream()};
    auto workspace = kernel->workspace;
    if (kernel->prepare.run != nullptr) {
      void* to = memory(kernel->prepare.size(args, ctx_.stream()));
      kernel->prepare.run(args, to, launch);
      launch.prepared = to;
      workspace = kernel->prepare.workspace;
    }
    if (workspace != nullptr) workspace_size_ = std::max(workspace_size_, workspace(args, ctx_.stream()));
    steps_.push_back({name + " " + kernel->name, static_cast<double>(batch_) * flops / 2,
                      [this, kernel, args, launch]() mutable {
                        launch.workspace = workspace_;
                        kernel->run(args, launch);
                      }});
  }

  void add_stem(const LayerShape& layer) {
    kernels::ImageConvForward args;
    args.shape = shape_of(layer);
    args.x = static_cast<const std::uint8_t*>(weights(static_cast<double>(batch_) * layer.activations()));
    args.w = weights(layer.weights());
    args.y = x_.data();
    args.epilogue = {weights(static_cast<double>(layer.out_channels)), nullptr, kernels::Activation::relu6};
    add(layer.name, layer.flops(), args);
  }

  void add_block(const LayerShape* expand, const LayerShape& depthwise, const LayerShape& project) {
    kernels::InvertedResidual args;
    args.in_c = expand == nullptr ? depthwise.in_channels : expand->in_channels;
    args.out_c = project.out_channels;
    args.depthwise = shape_of(depthwise);
    args.x = x_.data();
    const auto wide = static_cast<double>(depthwise.in_channels);
    if (expand != nullptr)
      args.expand = {weights(expand->weights()), weights(wide), kernels::Activation::relu6};
    args.depthwise_w = weights(depthwise.weights());
    args.depthwise_bias = weights(wide);
    args.depthwise_activation = kernels::Activation::relu6;
    args.project = {weights(project.weights()), weights(static_cast<double>(args.out_c))};
    if (depthwise.stride == 1 && args.in_c == args.out_c) args.residual = x_.data();
    args.y = y_.data();
    add(depthwise.name.substr(0, depthwise.name.find('.')),
        depthwise.flops() + project.flops() + (expand == nullptr ? 0 : expand->flops()), args);
    std::swap(x_, y_);
  }

  void add_head(const LayerShape& layer) {
    kernels::PooledMatmul args;
    args.batch = batch_;
    args.rows = layer.out_size * layer.out_size;
    args.n = layer.out_channels;
    args.k = layer.in_channels;
    args.a = x_.data();
    args.b = weights(layer.weights());
    args.bias = weights(static_cast<double>(args.n));
    args.activation = kernels::Activation::relu6;
    args.c = y_.data();
    add(layer.name, layer.flops(), args);
    std::swap(x_, y_);
  }

  void add_top(const LayerShape& layer) {
    kernels::Matmul args;
    args.m = batch_;
    args.n = layer.out_channels;
    args.k = layer.in_channels;
    args.a = x_.data();
    args.b = weights(layer.weights());
    args.c = y_.data();
    args.epilogue.bias = weights(static_cast<double>(args.n));
    add(layer.name, layer.flops(), args);
  }

  const Context& ctx_;
  const std::int64_t batch_;
  Tensor x_, y_;
  void* workspace_ = nullptr;  // one for all steps, as plans have it
  std::size_t workspace_size_ = 0;
  std::vector<Tensor> kept_;
  std::vector<Step> steps_;
};

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2),
                   values.end());
  return values[values.size() / 2];
}

void print(const char* name, double macs, double least, double middle, double peak) {
  std::printf("%-36s %8.2f %10.1f %10.1f %7.1f\n", name, macs / 1e6, 1e6 * least, 1e6 * middle,
              100 * macs / least / peak);
}

}  // namespace
}  // namespace pila::bench

int main(int argc, char** argv) {
  using namespace pila;
  CLI::App app{"Times the fused kernels on MobileNetV2's layers"};
  double width = 1;
  std::int64_t size = 224, batch = 1;
  int threads = 1, rounds = 200;
  app.add_option("--width", width);
  app.add_option("--size", size);
  app.add_option("--batch", batch);
  app.add_option("--threads", threads);
  app.add_option("--rounds", rounds);
  CLI11_PARSE(app, argc, argv);

  const Context ctx(Device::cpu(threads));
  const double before = bench::measure_machine_peak(threads).gflops;
  bench::Network network(ctx, width, size, batch);
  std::vector<double> totals;
  for (int round = 0; round < rounds; ++round) {
    double total = 0;
    for (auto& step : network.steps()) {
      const double start = bench::seconds(threads);
      step.run();
      step.times.push_back(bench::seconds(threads) - start);
      total += step.times.back();
    }
    totals.push_back(total);
  }
  const double peak = 1e9 / 2 * std::max(before, bench::measure_machine_peak(threads).gflops);
  std::printf("%.1f GMAC/s at most, %s, %d threads, batch %d\n", peak / 1e9,
              kernels::cpu::instruction_set().c_str(), threads, static_cast<int>(batch));
  std::printf("%-36s %8s %10s %10s %7s\n", "", "MMAC", "least us", "median us", "% peak");
  double macs = 0, least = 0;
  for (const auto& step : network.steps()) {
    const double best = *std::min_element(step.times.begin(), step.times.end());
    bench::print(step.name.c_str(), step.macs, best, bench::median(step.times), peak);
    macs += step.macs;
    least += best;
  }
  bench::print("sum of the least", macs, least, least, peak);
  bench::print("whole rounds", macs, *std::min_element(totals.begin(), totals.end()), bench::median(totals),
               peak);
  return 0;
}
