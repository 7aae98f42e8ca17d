// Each kernel on MobileNetV2's shapes, beside what the machine can do at best.
#include <benchmark/benchmark.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "bench/kernels/machine_peak.h"
#include "bench/layers/task.h"
#include "engine/core/context.h"
#include "engine/core/launch.h"
#include "kernels/cpu/cpu.h"

namespace pila::bench {
namespace {

struct Setting {
  Context ctx;
  MachinePeak peak;
  std::int64_t batch;
  int threads;
};

Tensor buffer(const Setting& setting, double count) {
  return Tensor::full(setting.ctx, {{static_cast<std::int64_t>(count)}, DType::f32}, 0.5);
}

// Times one kernel call over and over. flops, floats: operations, and numbers read or written, of one call.
template <class Args>
void measure(benchmark::State& state, const Setting& setting, const Args& args, double flops, double floats) {
  for (auto _ : state) launch(setting.ctx, "bench", args, {});
  using benchmark::Counter;
  const double gigabytes = floats * sizeof(float) / 1e9;
  state.counters["GFLOP/s"] = Counter(flops / 1e9, Counter::kIsIterationInvariantRate);
  state.counters["GB/s"] = Counter(gigabytes, Counter::kIsIterationInvariantRate);
  // Hundredths of the measured roofs; small layers live in caches, and may go beyond memory's.
  state.counters["FMA_%"] = Counter(flops / 1e7 / setting.peak.gflops, Counter::kIsIterationInvariantRate);
  state.counters["copy_%"] =
      Counter(100 * gigabytes / setting.peak.gigabytes_per_s, Counter::kIsIterationInvariantRate);
}

template <class Work>
void add_benchmark(const Setting& setting, const std::string& title, const Work& work) {
  auto* added = benchmark::RegisterBenchmark(title.c_str(), work)->Unit(benchmark::kMicrosecond);
  // Of one thread its processor time counts, whoever else uses the machine; several have to wait for each
  // other.
  if (setting.threads > 1) added->UseRealTime();
}

// Forward, data gradient and filter gradient of a layer that is a window's sum.
template <class Forward, class BackwardData, class BackwardFilter>
void register_convolution(const std::string& title, const Setting& setting, const LayerShape& layer) {
  const auto batch = static_cast<double>(setting.batch);
  const auto x =
      buffer(setting, batch * static_cast<double>(layer.in_size * layer.in_size * layer.in_channels));
  const auto y =
      buffer(setting, batch * static_cast<double>(layer.out_size * layer.out_size * layer.out_channels));
  const auto w = buffer(setting, layer.weights());
  const double flops = batch * layer.flops(), floats = batch * layer.activations() + layer.weights();
  const auto shape = conv_shape(layer, setting.batch, Padding::keras);
  const auto add = [&](const char* direction, const auto& args) {
    add_benchmark(setting, title + direction, [=](benchmark::State& state) {
      const auto keep = std::tuple(x, y, w);
      measure(state, setting, args, flops, floats);
    });
  };
  add("/forward", Forward{.shape = shape, .x = x.data(), .w = w.data(), .y = y.data(), .epilogue = {}});
  add("/data_gradient", BackwardData{.shape = shape, .dy = y.data(), .w = w.data(), .dx = x.data()});
  add("/filter_gradient", BackwardFilter{.shape = shape, .x = x.data(), .dy = y.data(), .dw = w.data()});
}

void register_product(const std::string& title, const Setting& setting, const LayerShape& layer) {
  const std::int64_t rows = setting.batch * layer.out_size * layer.out_size;
  const auto x = buffer(setting, static_cast<double>(rows * layer.in_channels));
  const auto y = buffer(setting, static_cast<double>(rows * layer.out_channels));
  const auto w = buffer(setting, layer.weights());
  const double flops = static_cast<double>(setting.batch) * layer.flops();
  const double floats = static_cast<double>(setting.batch) * layer.activations() + layer.weights();
  const auto add = [&](const char* direction, const kernels::Matmul& args) {
    add_benchmark(setting, title + direction, [=](benchmark::State& state) {
      const auto keep = std::tuple(x, y, w);
      measure(state, setting, args, flops, floats);
    });
  };
  kernels::Matmul forward{.m = rows, .n = layer.out_channels, .k = layer.in_channels, .epilogue = {}};
  forward.a = x.data(), forward.b = w.data(), forward.c = y.data();
  add("/forward", forward);
  kernels::Matmul data{.m = rows, .n = layer.in_channels, .k = layer.out_channels, .epilogue = {}};
  data.transpose_b = true;
  data.a = y.data(), data.b = w.data(), data.c = x.data();
  add("/data_gradient", data);
  kernels::Matmul filter{.m = layer.in_channels, .n = layer.out_channels, .k = rows, .epilogue = {}};
  filter.transpose_a = true;
  filter.a = x.data(), filter.b = y.data(), filter.c = w.data();
  add("/filter_gradient", filter);
}

// Batch normalisation with ReLU6, as behind a depthwise convolution: it is bound by memory.
void register_normalisation(const std::string& title, const Setting& setting, const LayerShape& layer) {
  const std::int64_t rows = setting.batch * layer.out_size * layer.out_size, channels = layer.out_channels;
  const auto x = buffer(setting, static_cast<double>(rows * channels));
  const auto y = buffer(setting, static_cast<double>(rows * channels));
  const auto dx = buffer(setting, static_cast<double>(rows * channels));
  const auto c = buffer(setting, static_cast<double>(channels)),
             d = buffer(setting, static_cast<double>(channels));
  const auto e = buffer(setting, static_cast<double>(channels)),
             f = buffer(setting, static_cast<double>(channels));
  const double numbers = static_cast<double>(rows * channels);
  const auto keep = std::tuple(x, y, dx, c, d, e, f);
  const auto add = [&](const char* direction, const auto& args, double passes) {
    add_benchmark(setting, title + direction, [=](benchmark::State& state) {
      const auto kept = keep;
      measure(state, setting, args, 0, passes * numbers);
    });
  };
  kernels::BatchNormTraining training{.rows = rows, .channels = channels};
  training.activation = kernels::Activation::relu6;
  training.x = x.data(), training.gamma = c.data(), training.beta = d.data(), training.y = y.data();
  training.mean = e.data(), training.variance = f.data();
  add("/norm_training", training, 3);  // x for the statistics, x again, y
  kernels::BatchNormInference inference{.rows = rows, .channels = channels};
  inference.activation = kernels::Activation::relu6;
  inference.x = x.data(), inference.gamma = c.data(), inference.beta = d.data(), inference.y = y.data();
  inference.mean = e.data(), inference.variance = f.data();
  add("/norm_inference", inference, 2);
  const auto g = buffer(setting, static_cast<double>(channels)),
             h = buffer(setting, static_cast<double>(channels));
  kernels::BatchNormBackward backward{.rows = rows, .channels = channels};
  backward.activation = kernels::Activation::relu6;
  backward.x = x.data(), backward.gamma = c.data(), backward.beta = d.data(), backward.mean = e.data();
  backward.variance = f.data(), backward.dy = y.data(), backward.dx = dx.data();
  backward.dgamma = g.data(), backward.dbeta = h.data();
  add_benchmark(setting, title + "/norm_gradient", [=](benchmark::State& state) {
    const auto kept = std::tuple(keep, g, h);
    measure(state, setting, backward, 0, 5 * numbers);  // x and dy for the sums, both again, dx
  });
}

// Layers of one shape are measured once.
void register_network(const Setting& setting, double width, std::int64_t size) {
  std::set<std::tuple<int, std::int64_t, std::int64_t, std::int64_t, int>> seen;
  for (const auto& layer : mobilenet_v2_layers(width, size)) {
    const auto key = std::tuple(static_cast<int>(layer.kind), layer.in_size, layer.in_channels,
                                layer.out_channels, layer.stride);
    if (!seen.insert(key).second) continue;
    char title[96];
    std::snprintf(title, sizeof title, "n%d/%s/%dx%dx%d-%d", static_cast<int>(setting.batch),
                  layer.name.c_str(), static_cast<int>(layer.in_size), static_cast<int>(layer.in_size),
                  static_cast<int>(layer.in_channels), static_cast<int>(layer.out_channels));
    switch (layer.kind) {
      case LayerKind::convolution:
        register_convolution<kernels::ConvForward, kernels::ConvBackwardData, kernels::ConvBackwardFilter>(
            title, setting, layer);
        break;
      case LayerKind::depthwise:
        register_convolution<kernels::DepthwiseForward, kernels::DepthwiseBackwardData,
                             kernels::DepthwiseBackwardFilter>(title, setting, layer);
        register_normalisation(title, setting, layer);
        break;
      case LayerKind::pointwise:
      case LayerKind::dense:
        register_product(title, setting, layer);
        break;
    }
  }
}

int integer_from(const char* variable, int fallback) {
  const char* text = std::getenv(variable);
  return text != nullptr && std::atoi(text) > 0 ? std::atoi(text) : fallback;
}

}  // namespace
}  // namespace pila::bench

// PILA_BENCH_THREADS and PILA_BENCH_BATCH beside Google Benchmark's own options.
int main(int argc, char** argv) {
  using namespace pila;
  const int threads = bench::integer_from("PILA_BENCH_THREADS", 1);
  const int batch = bench::integer_from("PILA_BENCH_BATCH", 8);
  const bench::Setting setting{Context(Device::cpu(threads)), bench::measure_machine_peak(threads), batch,
                               threads};
  char peak[128];
  std::snprintf(peak, sizeof peak, "%.1f GFLOP/s of fused multiply-adds, %.1f GB/s of copying",
                setting.peak.gflops, setting.peak.gigabytes_per_s);
  benchmark::AddCustomContext("measured peak", peak);
  benchmark::AddCustomContext("instruction set", kernels::cpu::instruction_set());
  benchmark::AddCustomContext("threads", std::to_string(threads));
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  bench::register_network(setting, 1.0, 224);
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
