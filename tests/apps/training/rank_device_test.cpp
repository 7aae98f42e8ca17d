// Which device each of several processes takes; here they are threads of one machine, and GPUs are made up.
#include "apps/training/rank_device.h"

#include <gmock/gmock.h>

#include "engine/core/context.h"
#include "engine/core/error.h"
#include "kernels/cpu/cpu.h"
#include "tests/support/thread_ranks.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// A machine with so many GPUs, which are processors by their kernels.
GpuAccess machine_with(int gpus) {
  GpuAccess access;
  access.nccl = PILA_FAKE_NCCL;
  access.open = [gpus](int index) {
    if (index >= gpus) throw DeviceError("[cuda] there are " + std::to_string(gpus) + " GPUs");
    return std::make_shared<Device>("cuda:" + std::to_string(index), kernels::cpu::create_device_api(),
                                    kernels::cpu::table(), 1);
  };
  return access;
}

// The names of all ranks' devices, and what was said meanwhile.
struct Opened {
  std::vector<std::string> names;
  std::string said;
};
Opened open_on(int ranks_in_all, const std::string& name, const GpuAccess& access) {
  Opened opened;
  opened.names.resize(static_cast<std::size_t>(ranks_in_all));
  testing::internal::CaptureStderr();
  test::on_ranks(ranks_in_all, [&](Communicator& ranks) {
    const auto device = open_rank_device(name, 1, ranks, access);
    opened.names[static_cast<std::size_t>(ranks.rank())] = device->name();
    const Context ctx = Context(device).with_ranks(ranks);
    const Tensor ones = Tensor::full(ctx, {{7}, DType::f32}, 1);
    ranks.sum(ctx, ones);
    EXPECT_EQ(ones.to_vector<float>(ctx), std::vector<float>(7, static_cast<float>(ranks_in_all)));
  });
  opened.said = testing::internal::GetCapturedStderr();
  return opened;
}

// What all ranks throw.
std::string refusal(int ranks_in_all, const std::string& name, const GpuAccess& access) {
  std::vector<std::string> messages(static_cast<std::size_t>(ranks_in_all));
  test::on_ranks(ranks_in_all, [&](Communicator& ranks) {
    try {
      open_rank_device(name, 1, ranks, access);
    } catch (const Error& error) {
      messages[static_cast<std::size_t>(ranks.rank())] = error.what();
    }
  });
  EXPECT_THAT(messages, testing::Each(messages[0]));
  return messages[0];
}

TEST(RankDevice, IsTheGpuOfItsNumber) {
  for (const char* name : {"cuda", "auto"}) {
    const Opened opened = open_on(3, name, machine_with(4));
    EXPECT_THAT(opened.names, ElementsAre("cuda:0", "cuda:1", "cuda:2"));
    EXPECT_EQ(opened.said, "");
  }
  EXPECT_THAT(open_on(2, "cpu", machine_with(2)).names, ElementsAre("cpu", "cpu"));
}

TEST(RankDevice, IsTheProcessorForAllWhereOneLacksAGpu) {
  const Opened opened = open_on(3, "auto", machine_with(2));
  EXPECT_THAT(opened.names, ElementsAre("cpu", "cpu", "cpu"));
  EXPECT_EQ(opened.said,
            "computing on the processor: process 2, which takes GPU 2 of its machine: [cuda] there are 2 "
            "GPUs\n");
}

TEST(RankDevice, IsRefusedByAllWhereOneLacksAGpu) {
  EXPECT_THAT(
      refusal(3, "cuda", machine_with(1)),
      AllOf(HasSubstr("--device cuda: process 1, which takes GPU 1 of its machine: [cuda] there are 1"),
            HasSubstr("--device auto")));
  EXPECT_THAT(refusal(2, "cuda:1", machine_with(2)), HasSubstr("a GPU of its own"));
  GpuAccess without_nccl = machine_with(2);
  without_nccl.nccl = "libno_such_nccl.so.2";
  EXPECT_THAT(refusal(2, "cuda", without_nccl), HasSubstr("install libnccl2"));
  EXPECT_THAT(open_on(2, "auto", without_nccl).said, HasSubstr("install libnccl2"));
}

}  // namespace
}  // namespace pila
