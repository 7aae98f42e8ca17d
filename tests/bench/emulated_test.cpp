// 16 bits are for GPUs: their layers, in the emulation of one.
#include <gtest/gtest.h>

#include <algorithm>

#include "bench/layers/contest.h"
#include "tests/simt/memory.h"
#include "tests/simt/table.h"

namespace pila::bench {
namespace {

TEST(EmulatedContest, FusedAndUnfusedBlocksAgreeIn16Bits) {
  const Context ctx(std::make_shared<Device>("emulated", simt::create_device_api(), simt::table(), 1));
  Setting setting;
  setting.rounds = 1;
  setting.roof = {1e12, 1e11};
  const auto tasks = tasks_of(mobilenet_v2_layers(0.35, 32), Direction::forward);
  const Task& block = *std::ranges::find(tasks, "b3", &Task::name);
  for (const DType type : {DType::f16, DType::bf16}) {
    setting.type = type;
    const Row row = measure(ctx, block, setting, nullptr);
    ASSERT_TRUE(row.ours && row.unfused);
    EXPECT_NE(row.ours->by, row.unfused->by);
  }
}

}  // namespace
}  // namespace pila::bench
