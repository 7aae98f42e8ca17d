// Times every way to cut a network's products on a GPU.
#include <algorithm>
#include <cstdio>
#include <string>

#include "apps/core/command.h"
#include "apps/core/output.h"
#include "bench/layers/operands.h"
#include "bench/layers/turns.h"
#include "bench/profile/profile.h"
#include "engine/core/error.h"
#include "engine/core/launch.h"
#include "kernels/cuda/tune.h"

namespace pila::bench {
namespace {

using kernels::Matmul;
using kernels::cuda::CutChoices;
using kernels::cuda::ProductCut;

class CutCall : public Call {
 public:
  CutCall(const Context& ctx, const Matmul& args, const ProductCut& cut) : ctx_(ctx), args_(args), cut_(cut) {
    const auto bytes = static_cast<std::int64_t>(kernels::cuda::workspace_of(args, cut));
    if (bytes > 0) workspace_ = Tensor::empty(ctx, {{bytes}, DType::u8});
  }
  std::string name() const override { return kernels::cuda::extent_of(cut_.tile).name; }
  void run() override {
    const auto status = kernels::cuda::run_cut(
        args_, cut_, {.stream = &ctx_.stream(), .workspace = workspace_ ? workspace_.data() : nullptr});
    if (status != nullptr) throw_kernel_failed("tune", name().c_str(), status);
  }

 private:
  const Context ctx_;
  const Matmul args_;
  const ProductCut cut_;
  Tensor workspace_;
};

std::string row_of(const CutChoices& choices, const ProductCut& cut) {
  const auto& [kind, size, in_use, cuts] = choices;
  std::string row = "{{" + std::to_string(kind.architecture) + ", " + std::to_string(kind.bytes);
  row += std::string(", ") + (kind.transpose_a ? "true" : "false") + ", " +
         (kind.transpose_b ? "true" : "false");
  row += "}, {" + std::to_string(size.m) + ", " + std::to_string(size.n) + ", " + std::to_string(size.k);
  return row + "}, ProductTile::" + kernels::cuda::extent_of(cut.tile).name + ", " +
         std::to_string(cut.parts) + "},";
}

// A row for the table where another cut is faster than what is in use; else nothing.
std::string tuned(const Context& ctx, const Matmul& args, int rounds) {
  constexpr double kSeconds = 2e-3, kGain = 1.03;  // of a turn; what is less may be noise
  const CutChoices choices = kernels::cuda::cut_choices(args, ctx.stream());
  std::vector<ProductCut> cuts = choices.cuts;
  if (cuts.empty()) return {};
  cuts.insert(cuts.begin(), choices.in_use);
  std::vector<std::unique_ptr<Call>> calls;
  std::vector<Call*> all;
  for (const ProductCut& cut : cuts) {
    calls.push_back(std::make_unique<CutCall>(ctx, args, cut));
    all.push_back(calls.back().get());
  }
  const auto times = time_in_turns(ctx, all, rounds, kSeconds);
  const auto best = static_cast<std::size_t>(std::ranges::min_element(times) - times.begin());
  if (times.front() < kGain * times[best]) return {};
  char gain[64];
  std::snprintf(gain, sizeof gain, "  // %.1f us for %.1f", 1e6 * times[best], 1e6 * times.front());
  return row_of(choices, cuts[best]) + gain;
}

// The pointwise layers' product in one direction.
Matmul product_of(const Problem& problem, const Operands& operands, Precision products) {
  const LayerShape& layer = problem.layer;
  const std::int64_t pixels = problem.batch * layer.out_size * layer.out_size;
  Matmul args;
  args.type = problem.type;
  args.rounding.to = products;
  args.transpose_a = problem.direction == Direction::filter_gradient;
  args.transpose_b = problem.direction == Direction::data_gradient;
  const bool forward = problem.direction == Direction::forward;
  args.m = args.transpose_a ? layer.in_channels : pixels;
  args.n = args.transpose_b ? layer.in_channels : layer.out_channels;
  args.k = args.transpose_a ? pixels : args.transpose_b ? layer.out_channels : layer.in_channels;
  void *x = operands.x.data(), *w = operands.w.data(), *y = operands.y.data();
  args.a = args.transpose_b ? y : x;
  args.b = args.transpose_a ? y : w;
  args.c = forward ? y : args.transpose_b ? x : w;
  return args;
}

// The network's distinct products, each in a batch and a direction.
std::vector<Problem> products_of(const ProfileOptions& options, DType type) {
  std::vector<Problem> problems;
  const auto network = mobilenet_v2_layers(options.width, options.size);
  for (const Direction direction : directions_of(options)) {
    for (const Task& task : tasks_of(network, direction)) {
      const LayerKind kind = task.parts.front().kind;
      if (task.is_block() || (kind != LayerKind::pointwise && kind != LayerKind::dense)) continue;
      for (const std::int64_t batch : options.batches) {
        problems.push_back({task.parts.front(), direction, batch, type});
      }
    }
  }
  return problems;
}

}  // namespace

void tune_products(const Context& ctx, const ProfileOptions& options,
                   const std::vector<Precision>& precisions) {
  constexpr int kRounds = 7;
  Output file(options.tune_file);
  file.write_line("// " + ctx.device()->description());
  int measured = 0, rows = 0;
  for (const Precision precision : precisions) {
    for (const Problem& problem : products_of(options, storage_of(precision))) {
      if (interrupted()) throw Error("interrupted; nothing is written");
      const auto operands = random_operands(ctx, {problem});
      const Matmul args = product_of(problem, operands.front(), products_in(precision));
      const std::string row = tuned(ctx, args, options.rounds > 0 ? options.rounds : kRounds);
      ++measured;
      if (row.empty()) continue;
      file.write_line(row);
      ++rows;
    }
  }
  file.finish();
  std::printf("%d of %d products are faster otherwise than they are cut now: %s\n", rows, measured,
              options.tune_file.c_str());
}

}  // namespace pila::bench
