#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "kernels/cpu/cpu.h"
#include "kernels/reference/reference.h"

namespace pila::kernels {
namespace {

using testing::IsEmpty;

std::vector<std::string> empty_entries(const KernelTable& table) {
  std::vector<std::string> names;
  for_each_entry(table, [&](const char* name, const auto& entry) {
    if (entry.empty()) names.emplace_back(name);
  });
  return names;
}

TEST(KernelTables, HaveNoEmptyEntry) {
  EXPECT_THAT(empty_entries(reference::table()), IsEmpty()) << "in the reference table";
  EXPECT_THAT(empty_entries(cpu::table()), IsEmpty()) << "in the cpu table";
  EXPECT_EQ(empty_entries(KernelTable{}).size(), 42u) << "an empty table should lack every entry";
}

TEST(KernelTables, EveryKernelHasANameAPredicateAndAFunction) {
  for (const auto* table : {&reference::table(), &cpu::table()}) {
    for_each_entry(*table, [&](const char* entry_name, const auto& entry) {
      for (const auto& kernel : entry) {
        ASSERT_NE(kernel.name, nullptr) << table->device << " " << entry_name;
        EXPECT_NE(kernel.supports, nullptr) << table->device << " " << entry_name << " " << kernel.name;
        EXPECT_NE(kernel.run, nullptr) << table->device << " " << entry_name << " " << kernel.name;
      }
    });
  }
}

TEST(KernelTables, TheReferenceClosesEveryEntryOfTheCpu) {
  std::vector<std::string> open;
  for_each_entry(cpu::table(), [&](const char* name, const auto& entry) {
    if (entry.empty() || std::string((entry.end() - 1)->name) != "reference") open.emplace_back(name);
  });
  EXPECT_THAT(open, IsEmpty());
}

template <class Args>
void expect_floats_only(const char* name) {
  const auto& entry = entry_of(reference::table(), static_cast<const Args*>(nullptr));
  for (const auto type :
       {DType::f32, DType::f64, DType::f16, DType::bf16, DType::u8, DType::i32, DType::i64}) {
    Args args;
    args.type = type;
    const bool is_float = type == DType::f32 || type == DType::f64;
    EXPECT_EQ(entry.select(args) != nullptr, is_float) << name << " of type " << static_cast<int>(type);
  }
}

TEST(ReferenceTable, ArithmeticIsForFloat32AndFloat64) {
  expect_floats_only<ConvForward>("conv_forward");
  expect_floats_only<ConvBackwardData>("conv_backward_data");
  expect_floats_only<ConvBackwardFilter>("conv_backward_filter");
  expect_floats_only<DepthwiseForward>("depthwise_forward");
  expect_floats_only<DepthwiseBackwardData>("depthwise_backward_data");
  expect_floats_only<DepthwiseBackwardFilter>("depthwise_backward_filter");
  expect_floats_only<ImageConvForward>("image_conv_forward");
  expect_floats_only<Matmul>("matmul");
  expect_floats_only<PooledMatmul>("pooled_matmul");
  expect_floats_only<InvertedResidual>("inverted_residual");
  expect_floats_only<BatchNormTraining>("batch_norm_training");
  expect_floats_only<BatchNormInference>("batch_norm_inference");
  expect_floats_only<BatchNormBackward>("batch_norm_backward");
  expect_floats_only<MovingAverage>("moving_average");
  expect_floats_only<ActivationForward>("activation_forward");
  expect_floats_only<ActivationBackward>("activation_backward");
  expect_floats_only<Binary>("binary");
  expect_floats_only<Affine>("affine");
  expect_floats_only<Dropout>("dropout");
  expect_floats_only<Reduce>("reduce");
  expect_floats_only<Repeat>("repeat");
  expect_floats_only<MaxPoolForward>("max_pool_forward");
  expect_floats_only<MaxPoolBackward>("max_pool_backward");
  expect_floats_only<SoftmaxForward>("softmax_forward");
  expect_floats_only<SoftmaxBackward>("softmax_backward");
  expect_floats_only<CrossEntropyForward>("cross_entropy_forward");
  expect_floats_only<CrossEntropyBackward>("cross_entropy_backward");
  expect_floats_only<ImageToFloat>("image_to_float");
  expect_floats_only<Augment>("augment");
  expect_floats_only<MixReversed>("mix_reversed");
  expect_floats_only<Adam>("adam");
  expect_floats_only<GradientNorm>("gradient_norm");
  expect_floats_only<WeightAverage>("weight_average");
}

}  // namespace
}  // namespace pila::kernels
