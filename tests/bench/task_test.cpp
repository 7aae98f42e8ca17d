// What is measured, and the roof above it.
#include "bench/layers/task.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "bench/layers/roofline.h"

namespace pila::bench {
namespace {

using kernels::DType;

double flops_of(const std::vector<Task>& tasks, bool blocks) {
  double sum = 0;
  for (const Task& task : tasks) {
    if (task.is_block() == blocks) sum += task.count * work_of(task, 1, DType::f32).flops;
  }
  return sum;
}

const Task& named(const std::vector<Task>& tasks, const std::string& name) {
  const auto found = std::ranges::find(tasks, name, &Task::name);
  EXPECT_NE(found, tasks.end()) << name;
  return *found;
}

TEST(Tasks, HaveTheNetworksOperations) {
  const auto tasks = tasks_of(mobilenet_v2_layers(1.0, 224), Direction::forward);
  // The paper rounds to 300 million multiply-adds (arXiv 1801.04381, table 4).
  EXPECT_NEAR(flops_of(tasks, false) / 2, 300.8e6, 0.05e6);
  double without_blocks = 0;
  for (const char* name : {"stem", "head", "top"}) {
    without_blocks += work_of(named(tasks, name), 1, DType::f32).flops;
  }
  EXPECT_DOUBLE_EQ(flops_of(tasks, true) + without_blocks, flops_of(tasks, false));
  int blocks = 0;
  for (const Task& task : tasks) blocks += task.is_block() ? task.count : 0;
  EXPECT_EQ(blocks, 17);
}

TEST(Tasks, AreDistinct) {
  const auto tasks = tasks_of(mobilenet_v2_layers(1.0, 224), Direction::forward);
  EXPECT_EQ(named(tasks, "b8.expand").count, 4);
  EXPECT_EQ(named(tasks, "b8.project").count, 3);  // the fourth has more channels
  EXPECT_EQ(named(tasks, "b8").count, 3);
  EXPECT_EQ(shape_text(named(tasks, "b7")), "28x28x32 to 14x14x64");
}

TEST(Tasks, BackwardHaveNoBlocksAndNoGradientOfImages) {
  const auto network = mobilenet_v2_layers(0.35, 96);
  const auto data = tasks_of(network, Direction::data_gradient);
  const auto filter = tasks_of(network, Direction::filter_gradient);
  EXPECT_EQ(data.size() + 1, filter.size());
  EXPECT_EQ(data.front().name, "b1.dw");
  EXPECT_TRUE(std::ranges::none_of(filter, &Task::is_block));
}

TEST(Work, CountsEachOperandOnce) {
  const LayerShape project{"b.project", LayerKind::pointwise, 4, 6, 4, 5, 1, 1, false, true};
  const Work layer = work_of({"b.project", {project}}, 2, DType::f16);
  EXPECT_DOUBLE_EQ(layer.flops, 2.0 * 2 * 16 * 6 * 5);
  const double x = 2 * 16 * 6, y = 2 * 16 * 5, weights = 6 * 5, bias = 5;
  EXPECT_DOUBLE_EQ(layer.bytes, 2 * (x + 2 * y + weights) + 4 * bias);
  const Work gradient = work_of({"b.project", {project}, Direction::data_gradient}, 2, DType::f16);
  EXPECT_DOUBLE_EQ(gradient.bytes, 2 * (x + y + weights));

  const LayerShape expand{"b.expand", LayerKind::pointwise, 4, 5, 4, 6, 1, 1};
  const Work block = work_of({"b", {expand, project}}, 2, DType::f32);
  EXPECT_DOUBLE_EQ(block.bytes, 4 * (2 * y + 2 * weights + 6 + 5))
      << "the wide tensor and the residual are free";
}

TEST(Shapes, PadAsKerasOrSymmetrically) {
  const LayerShape layer{"dw", LayerKind::depthwise, 112, 8, 56, 8, 3, 2};
  EXPECT_EQ(conv_shape(layer, 1, Padding::keras).window.pad_top, 0);
  EXPECT_EQ(conv_shape(layer, 1, Padding::symmetric).window.pad_top, 1);
  const LayerShape same{"dw", LayerKind::depthwise, 56, 8, 56, 8, 3, 1};
  EXPECT_EQ(conv_shape(same, 1, Padding::keras).window.pad_left, 1);
}

TEST(Roofline, IsTheLowerOfTwoRoofs) {
  const Roof roof{100, 10};
  EXPECT_DOUBLE_EQ(floor_seconds({200, 10}, roof), 2);    // bound by arithmetic
  EXPECT_DOUBLE_EQ(floor_seconds({200, 100}, roof), 10);  // by memory
}

// Peaks that NVIDIA publishes: multiprocessors, clock in Hz, dense operations per second.
TEST(Roofline, PeaksAreThePublishedOnes) {
  struct Gpu {
    int major, minor, multiprocessors;
    double clock, half, single;
  };
  for (const Gpu& gpu : {Gpu{8, 0, 108, 1.41e9, 312e12, 19.5e12},       // A100
                         Gpu{8, 7, 16, 1.3e9, 42.5e12, 5.3e12},         // Jetson AGX Orin
                         Gpu{8, 9, 142, 2.49e9, 362e12, 90.5e12},       // L40
                         Gpu{9, 0, 132, 1.83e9, 989.4e12, 61.8e12}}) {  // H100 SXM
    const auto peak = [&](DType type) {
      return 2 * multiply_adds_per_clock(gpu.major, gpu.minor, type) * gpu.multiprocessors * gpu.clock;
    };
    EXPECT_NEAR(peak(DType::f16) / gpu.half, 1, 0.02) << gpu.major << gpu.minor;
    EXPECT_NEAR(peak(DType::f32) / gpu.single, 1, 0.02) << gpu.major << gpu.minor;
    EXPECT_EQ(peak(DType::bf16), peak(DType::f16));
  }
}

}  // namespace
}  // namespace pila::bench
