// Sessions and pipelines on a device that captures work: the CUDA kernels in emulation.
#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "engine/plan/pipeline.h"
#include "engine/plan/trace.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"

namespace pila {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

// The kernels' calls, counted.
int calls = 0;
constexpr int kNever = -1;
int failing_call = kNever;
const kernels::Kernel<kernels::Affine>* affine = nullptr;

kernels::Status counted_affine(const kernels::Affine& args, const kernels::Launch& on) {
  return calls++ == failing_call ? "it was told to" : affine->run(args, on);
}

class CaptureTest : public testing::Test {
 protected:
  CaptureTest() {
    calls = 0;
    failing_call = kNever;
    affine = simt::table().affine.begin();
    kernels::Kernel<kernels::Affine> counted = *affine;
    counted.run = counted_affine;
    table_ = simt::table();
    table_.affine = {};
    table_.affine.add(counted);
  }

  // x -> relu(2 x + 1), 3 (2 x + 1).
  std::shared_ptr<const Plan> plan(std::vector<std::string> without = {}) {
    const TensorSpec input{{3}, DType::f32};
    const auto run = [](const Context& ctx, std::span<const Tensor> inputs) {
      const Tensor x = ops::affine(ctx, inputs[0], 2, 1);
      return std::vector{ops::activation(ctx, x, Activation::relu), ops::affine(ctx, x, 3)};
    };
    return Plan::build(ctx_, trace(ctx_, {&input, 1}, run), {.without = std::move(without)});
  }

  void assign(const Session& session, const std::vector<float>& values) {
    session.input().assign(ctx_, std::span<const float>(values));
  }
  std::vector<float> output(const Session& session, std::size_t i) {
    return session.output(i).to_vector<float>(ctx_);
  }

  kernels::KernelTable table_;
  const Context ctx_{std::make_shared<Device>("emulated", simt::create_device_api(), table_, 1)};
};

TEST_F(CaptureTest, ARunIsWhatWasCapturedOnce) {
  const Session session(plan());
  EXPECT_EQ(calls, 4) << "two to warm up, two to be captured";
  for (const float x : {1.0f, -2.0f}) {
    assign(session, {x, 0, -x});
    session.run();
    EXPECT_THAT(output(session, 0), ElementsAre(std::max(2 * x + 1, 0.0f), 1, std::max(1 - 2 * x, 0.0f)));
    EXPECT_THAT(output(session, 1), ElementsAre(6 * x + 3, 3, 3 - 6 * x));
  }
  EXPECT_EQ(calls, 4);
}

TEST_F(CaptureTest, IsLeftOutOnRequest) {
  const Session session(plan({"capture-work"}));
  EXPECT_EQ(calls, 0);
  assign(session, {1, 2, 3});
  session.run();
  EXPECT_EQ(calls, 2);
  EXPECT_THAT(output(session, 0), ElementsAre(3, 5, 7));
}

TEST_F(CaptureTest, TimesKernelByKernel) {
  const Session session(plan());
  EXPECT_EQ(session.run_timed().size(), 3u);
  EXPECT_EQ(calls, 6);
}

TEST_F(CaptureTest, AFailureLeavesTheStreamUsable) {
  const auto built = plan();
  for (const int call : {1, 3}) {  // while it warms up, while it is captured
    calls = 0;
    failing_call = call;
    EXPECT_THAT([&] { Session session(built); }, ThrowsMessage<DeviceError>(HasSubstr("it was told to")));
  }
  failing_call = kNever;
  const Session session(built);
  assign(session, {0, 1, 2});
  session.run();
  EXPECT_THAT(output(session, 1), ElementsAre(3, 9, 15));
}

TEST_F(CaptureTest, PipelinesTakeTwoRunsAndGiveThemBackInOrder) {
  Pipeline pipeline(ctx_, plan());
  for (int round = 0; round < 3; ++round) {
    const auto first = static_cast<float>(round);
    for (const float x : {first, first + 10}) {
      EXPECT_FALSE(pipeline.full());
      pipeline.submit(std::as_bytes(std::span<const float>(std::vector<float>(3, x))));
    }
    EXPECT_TRUE(pipeline.full());
    EXPECT_THROW(pipeline.submit({}), UsageError);
    for (const float x : {first, first + 10}) {
      const Pipeline::Result result = pipeline.collect();
      ASSERT_EQ(result.outputs.size(), 2u);
      EXPECT_EQ(result.outputs[0], std::vector<float>(3, 2 * x + 1));
      EXPECT_EQ(result.outputs[1], std::vector<float>(3, 6 * x + 3));
      EXPECT_GE(result.milliseconds, 0);
    }
  }
  EXPECT_THROW(pipeline.collect(), UsageError);
  EXPECT_THROW(pipeline.submit(std::as_bytes(std::span<const float>(std::vector<float>(2)))), ShapeError);
}

TEST(Pipeline, TakesOneRunAtATimeOnTheProcessor) {
  const Context ctx(Device::cpu(1));
  const TensorSpec input{{2}, DType::f32};
  const auto run = [](const Context& tracing, std::span<const Tensor> inputs) {
    return std::vector{ops::affine(tracing, inputs[0], -1)};
  };
  Pipeline pipeline(ctx, Plan::build(ctx, trace(ctx, {&input, 1}, run)));
  pipeline.submit(std::as_bytes(std::span<const float>(std::vector<float>{1, 2})));
  EXPECT_TRUE(pipeline.full());
  EXPECT_THAT(pipeline.collect().outputs.at(0), ElementsAre(-1, -2));
}

}  // namespace
}  // namespace pila
