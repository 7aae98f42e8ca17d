#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "bench/kernels/machine_peak.h"
#include "bench/layers/turns.h"
#include "bench/models/calibrate.h"
#include "bench/profile/profile.h"
#include "engine/core/random.h"
#include "engine/plan/cost.h"
#include "layers/planned_model.h"
#include "weights/load_model.h"

namespace pila::bench {
namespace {

constexpr int kPlanRounds = 50;

struct NodeTime {
  std::string op, layer, shape;
  Cost cost;
  double milliseconds = 0;  // median
};

// Of whole runs, one at a time.
double measure_runs(const Context& ctx, const Session& session, int rounds) {
  const auto before = ctx.device()->api().create_event(), after = ctx.device()->api().create_event();
  std::vector<double> times;
  for (int round = 0; round < rounds; ++round) {
    before->record(ctx.stream());
    session.run();
    after->record(ctx.stream());
    times.push_back(after->milliseconds_since(*before));
  }
  return median(times);
}

std::vector<NodeTime> measure(const Session& session, int rounds) {
  const Graph& graph = session.plan().graph();
  std::vector<std::vector<double>> times(graph.nodes().size());
  for (int round = -3; round < rounds; ++round) {  // warms up first
    const std::vector<double> once = session.run_timed();
    for (std::size_t n = 0; round >= 0 && n < once.size(); ++n) times[n].push_back(once[n]);
  }
  std::vector<NodeTime> rows;
  for (std::size_t n = 0; n < times.size(); ++n) {
    const Node& node = graph.nodes()[n];
    const std::size_t parts = session.parts();
    Cost cost = cost_of(graph, node);
    cost.multiply_adds *= static_cast<double>(parts);
    cost.activation_bytes *= parts;
    cost.weight_bytes *= parts;
    const std::string shape = graph.value(node.outputs[0]).spec.shape.to_string();
    rows.push_back({std::string(node.op->name()), node.name,
                    parts == 1 ? shape : std::to_string(parts) + " x " + shape, cost, median(times[n])});
  }
  return rows;
}

// Milliseconds that the multiply-adds take at best.
double floor_of(const Cost& cost, const MachinePeak& peak) {
  return cost.multiply_adds / (peak.gflops / 2) / 1e6;
}

// peak: of the processor; none where a GPU computes.
void print(const std::vector<NodeTime>& rows, double whole, const std::optional<MachinePeak>& peak) {
  double total = 0, floor = 0;
  std::printf("%-18s %-22s %-20s %9s %9s %9s %9s%s\n", "operation", "layer", "output", "ms", "Mmac", "Gmac/s",
              "GB/s", peak ? "  of peak" : "");
  for (const NodeTime& row : rows) {
    const double macs = row.cost.multiply_adds;
    const auto bytes = static_cast<double>(row.cost.activation_bytes + row.cost.weight_bytes);
    std::printf("%-18s %-22s %-20s %9.4f %9.3f %9.1f %9.1f", row.op.c_str(), row.layer.c_str(),
                row.shape.c_str(), row.milliseconds, macs / 1e6, macs / row.milliseconds / 1e6,
                bytes / row.milliseconds / 1e6);
    if (peak) std::printf(" %7.0f%%", 100 * floor_of(row.cost, *peak) / row.milliseconds);
    std::printf("\n");
    total += row.milliseconds;
    if (peak) floor += floor_of(row.cost, *peak);
  }
  std::printf("%-62s %9.4f ms", "all", total);
  if (peak) {
    std::printf(", %.0f%% of the measured peak of %.1f Gmac/s", 100 * floor / total, peak->gflops / 2);
  }
  std::printf("\n%-62s %9.4f ms\n", "a whole run", whole);
}

void print_json(const std::vector<NodeTime>& rows, double whole, const std::optional<MachinePeak>& peak,
                const ProfileOptions& options, const Device& device, Precision precision) {
  nlohmann::json nodes = nlohmann::json::array();
  for (const NodeTime& row : rows) {
    nodes.push_back({{"operation", row.op},
                     {"layer", row.layer},
                     {"output", row.shape},
                     {"milliseconds", row.milliseconds},
                     {"multiply_adds", row.cost.multiply_adds},
                     {"activation_bytes", row.cost.activation_bytes},
                     {"weight_bytes", row.cost.weight_bytes}});
  }
  nlohmann::json all = {{"device", device.description()},
                        {"batch", options.batches.front()},
                        {"precision", to_string(precision)},
                        {"milliseconds", whole},
                        {"nodes", nodes}};
  if (peak) {
    all["threads"] = options.threads.front();
    all["peak_multiply_adds_per_s"] = peak->gflops / 2 * 1e9;
  }
  std::printf("%s\n", all.dump(1).c_str());
}

LoadedModel random_model(const Context& ctx, const ProfileOptions& options) {
  LoadedModel random;
  random.spec.width = options.width;
  random.spec.input_height = random.spec.input_width = options.size;
  random.spec.head = imagenet_head();
  random.preprocessing.height = random.preprocessing.width = options.size;
  random.model = std::make_unique<Model>(ctx, random.spec);
  if (options.precisions == std::vector{Precision::i8}) {
    Random noise(1);
    std::vector<float> image(static_cast<std::size_t>(options.size * options.size * 3));
    for (float& value : image) value = 2 * noise.uniform() - 1;
    random.ranges = calibrate(ctx, *random.model, random.preprocessing,
                              Tensor::from(ctx, {1, options.size, options.size, 3}, image));
  }
  return random;
}

// Grey, in pixels or numbers.
void fill(const Context& ctx, const Tensor& input) {
  const auto count = static_cast<std::size_t>(input.shape().elements());
  if (input.type() == DType::u8) {
    input.assign<std::uint8_t>(ctx, std::vector<std::uint8_t>(count, 128));
  } else {
    input.assign<float>(ctx, std::vector<float>(count, 0.5f));
  }
}

}  // namespace

void profile_plan(const ProfileOptions& options) {
  const int threads = resolved_threads(options.threads.front()),
            rounds = options.rounds > 0 ? options.rounds : kPlanRounds;
  const Context ctx(open_device(options.device, threads));
  std::optional<Precision> precision;
  if (!options.precisions.empty()) precision = options.precisions.front();
  const LoadedModel loaded =
      options.model.empty() ? random_model(ctx, options) : load_model(ctx, options.model);
  PlanOptions plan = plan_options(*ctx.device(), loaded, precision);
  plan.without = options.without;
  PlannedModel planned(ctx, *loaded.model, loaded.preprocessing,
                       options.pixels ? GraphInput::pixels : GraphInput::images, plan);
  const Session& session = planned.session(options.batches.front());
  fill(ctx, session.input());
  std::optional<MachinePeak> peak;
  if (ctx.device()->name() == "cpu") peak = measure_machine_peak(threads);
  const std::vector<NodeTime> rows = measure(session, rounds);
  const double whole = measure_runs(ctx, session, rounds);
  options.json ? print_json(rows, whole, peak, options, *ctx.device(), plan.precision)
               : print(rows, whole, peak);
}

}  // namespace pila::bench
