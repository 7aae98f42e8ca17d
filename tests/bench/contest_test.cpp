// Contests between kernels: what is compared is right, and a wrong opponent is caught.
#include "bench/layers/contest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "bench/layers/own.h"
#include "engine/core/error.h"

namespace pila::bench {
namespace {

Setting setting() {
  Setting setting;
  setting.batch = 2;
  setting.rounds = 1;
  setting.roof = {1e12, 1e11};
  return setting;
}

// One task of each kind, small.
std::vector<Task> tasks(Direction direction) {
  const auto all = tasks_of(mobilenet_v2_layers(0.35, 32), direction);
  std::vector<Task> some;
  for (const char* name : {"stem", "b1", "b2.dw", "b3.dw", "b3.project", "b3", "b4", "head", "top"}) {
    const auto found = std::ranges::find(all, name, &Task::name);
    if (found != all.end()) some.push_back(*found);
  }
  return some;
}

// Our own kernels, as somebody else's; spoilt: with one number that is off.
class Copycat : public Library {
 public:
  explicit Copycat(double off) : ctx_(Device::reference()), off_(off) {}
  std::string name() const override { return "copycat"; }
  std::vector<std::unique_ptr<Call>> calls(const Problem& problem, const Operands& operands) override {
    std::vector<std::unique_ptr<Call>> calls;
    if (problem.layer.kind == LayerKind::dense) return calls;
    calls.push_back(std::make_unique<Spoilt>(own_layer(ctx_, problem, operands),
                                             output_of(operands, problem.direction), off_));
    return calls;
  }

 private:
  class Spoilt : public Call {
   public:
    Spoilt(std::unique_ptr<Call> call, const Tensor& output, double off)
        : call_(std::move(call)), output_(output), off_(off) {}
    std::string name() const override { return "spoilt"; }
    void run() override {
      call_->run();
      output_.data_as<float>()[output_.shape().elements() - 1] += static_cast<float>(off_);
    }

   private:
    std::unique_ptr<Call> call_;
    Tensor output_;
    double off_;
  };

  Context ctx_;
  double off_;
};

class ContestOf : public testing::TestWithParam<Direction> {};
INSTANTIATE_TEST_SUITE_P(Directions, ContestOf,
                         testing::Values(Direction::forward, Direction::data_gradient,
                                         Direction::filter_gradient));

TEST_P(ContestOf, OursAndTheReferenceAgree) {
  const Context ctx(Device::cpu(1));
  Copycat reference(0);
  for (const Task& task : tasks(GetParam())) {
    const Row row = measure(ctx, task, setting(), &reference);
    EXPECT_TRUE(row.ours) << task.name;
    EXPECT_EQ(row.unfused.has_value(), task.is_block()) << task.name;
    EXPECT_EQ(row.theirs.has_value(), task.name != "top") << task.name;
  }
}

// Outputs are of about size 1: a hundredth is far beyond the tolerance of some 1e-5.
TEST_P(ContestOf, AWrongOpponentIsCaught) {
  const Context ctx(Device::cpu(1));
  Copycat wrong(0.01);
  const auto all = tasks(GetParam());
  EXPECT_THROW(measure(ctx, all.front(), setting(), &wrong), Error);
  EXPECT_THROW(measure(ctx, all.at(2), setting(), &wrong), Error);
}

#ifdef PILA_BENCH_ONEDNN
TEST_P(ContestOf, OneDnnAgrees) {
  const Context ctx(Device::cpu(1));
  const auto library = open_onednn(ctx, 1);
  for (const Task& task : tasks(GetParam())) {
    EXPECT_TRUE(measure(ctx, task, setting(), library.get()).theirs) << task.name;
  }
}
#else
TEST(Contest, WithoutOneDnnSaysSo) { EXPECT_THROW(open_onednn(Context(Device::cpu(1)), 1), UsageError); }
#endif

TEST(Contest, CuDnnWantsAGpu) { EXPECT_THROW(open_cudnn(Context(Device::cpu(1)), false), UsageError); }

TEST(Contest, WithoutALibraryOursAloneIsTimed) {
  const Row row = measure(Context(Device::cpu(1)), tasks(Direction::forward).at(1), setting(), nullptr);
  EXPECT_TRUE(row.ours && row.unfused && !row.theirs);
  EXPECT_GT(row.ours->seconds, 0);
}

TEST(Contest, ToleranceGrowsWithSumsAndRounding) {
  const LayerShape layer{"a", LayerKind::pointwise, 1, 100, 1, 10, 1, 1};
  Problem problem{layer};
  const double single = tolerance(problem, 0);
  EXPECT_LT(single, 1e-5);
  EXPECT_GT(tolerance(problem, 0x1p-10), 0x1p-10);
  problem.type = DType::f16;
  EXPECT_NEAR(tolerance(problem, 0), 0x1p-9, 1e-5);  // one unit for each of two results
  problem.direction = Direction::filter_gradient;
  problem.type = DType::f32;
  problem.batch = 1 << 20;
  EXPECT_GT(tolerance(problem, 0), 10 * single);
}

}  // namespace
}  // namespace pila::bench
