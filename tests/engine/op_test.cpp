// The door through which every operation goes: checks, messages, allocation, recording.
#include "engine/ops/op.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/ops/ops.h"
#include "kernels/cpu/cpu.h"
#include "tests/engine/recorders.h"

namespace pila {
namespace {

using testing::AllOf;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
using testing::ThrowsMessage;

class OpTest : public testing::Test {
 protected:
  Tensor zeros(const Shape& shape, DType type = DType::f32) const {
    return Tensor::zeros(ctx_, {shape, type});
  }

  const Context ctx_{Device::reference()};
};

// Whatever the operation, the message names it and the shapes.
template <class Call>
void expect_shape_error(const Call& call, const std::string& op, const std::vector<std::string>& parts) {
  try {
    call();
    ADD_FAILURE() << op << " took what it should have refused";
  } catch (const ShapeError& error) {
    EXPECT_THAT(error.what(), StartsWith("[" + op + "] expected "));
    for (const std::string& part : parts) EXPECT_THAT(error.what(), HasSubstr(part));
  }
}

TEST_F(OpTest, ProductsNameWhatDoesNotFit) {
  const Tensor x = zeros({2, 3});
  expect_shape_error(
      [&] {
        ops::matmul(ctx_, x, zeros({4, 5}));
      },
      "matmul", {"float32[2, 3], float32[4, 5]", "inner extent"});
  expect_shape_error([&] { ops::matmul(ctx_, x, zeros({3, 5}), false, true); }, "matmul", {"b^T"});
  expect_shape_error(
      [&] {
        ops::matmul(ctx_, x, zeros({3, 5}), false, false, zeros({4}));
      },
      "matmul", {"bias", "float32[4]"});
  expect_shape_error([&] { ops::matmul(ctx_, x, zeros({3})); }, "matmul", {"float32[3]"});
  expect_shape_error(
      [&] {
        ops::matmul(ctx_, x, zeros({3, 5}, DType::f64));
      },
      "matmul", {"one floating-point type", "float32[2, 3], float64[3, 5]"});
  expect_shape_error(
      [&] {
        ops::dense(ctx_, x, zeros({4, 5}), {});
      },
      "dense", {"float32[2, 3], float32[4, 5]"});
}

TEST_F(OpTest, ConvolutionsNameWhatDoesNotFit) {
  const Tensor x = zeros({1, 8, 8, 4});
  ops::ConvOptions options;
  expect_shape_error(
      [&] {
        ops::conv2d(ctx_, x, zeros({3, 3, 3, 8}), {}, options);
      },
      "conv2d", {"float32[1, 8, 8, 4], float32[3, 3, 3, 8]", "1 group"});
  expect_shape_error(
      [&] {
        ops::conv2d(ctx_, zeros({8, 8, 4}), zeros({3, 3, 4, 8}), {}, options);
      },
      "conv2d", {"NHWC"});
  expect_shape_error(
      [&] {
        ops::conv2d(ctx_, x, zeros({9, 9, 4, 8}), {}, options);
      },
      "conv2d", {"no smaller than the window"});
  expect_shape_error(
      [&] {
        ops::conv2d(ctx_, x, zeros({3, 3, 4, 8}), zeros({4}), options);
      },
      "conv2d", {"a bias of [8]", "float32[4]"});
  options.groups = 2;
  expect_shape_error([&] { ops::conv2d(ctx_, x, zeros({3, 3, 2, 5}), {}, options); }, "conv2d", {"2 groups"});
  expect_shape_error(
      [&] {
        ops::depthwise_conv2d(ctx_, x, zeros({3, 3, 4, 1}), {}, options);
      },
      "depthwise_conv2d", {"1 group", "and 2"});
  options = {.stride = 0};
  expect_shape_error(
      [&] {
        ops::conv2d(ctx_, x, zeros({3, 3, 4, 8}), {}, options);
      },
      "conv2d", {"got 0, 1 and 1"});
  expect_shape_error(
      [&] {
        ops::depthwise_conv2d(ctx_, x, zeros({3, 3, 5, 1}), {}, {});
      },
      "depthwise_conv2d", {"float32[3, 3, 5, 1]"});
}

TEST_F(OpTest, NormalisationsNameWhatDoesNotFit) {
  const Tensor x = zeros({2, 3, 4}), c = zeros({4});
  expect_shape_error([&] { ops::batch_norm_training(ctx_, x, zeros({3}), c, 1e-3); }, "batch_norm_training",
                     {"float32[4]", "float32[2, 3, 4], float32[3], float32[4]"});
  expect_shape_error([&] { ops::batch_norm_inference(ctx_, x, c, c, c, zeros({4}, DType::f64), 1e-3); },
                     "batch_norm_inference", {"float64[4]"});
  expect_shape_error([&] { ops::moving_average(ctx_, c, zeros({5}), 0.9); }, "moving_average",
                     {"float32[4], float32[5]"});
}

TEST_F(OpTest, ElementwiseOperationsNameWhatDoesNotFit) {
  expect_shape_error(
      [&] {
        ops::add(ctx_, zeros({2, 3}), zeros({2, 4}));
      },
      "add", {"broadcast", "float32[2, 3], float32[2, 4]"});
  expect_shape_error([&] { ops::subtract(ctx_, zeros({2}), zeros({3})); }, "subtract",
                     {"float32[2], float32[3]"});
  expect_shape_error([&] { ops::multiply(ctx_, zeros({2}), zeros({2}, DType::f64)); }, "multiply",
                     {"one type", "float64[2]"});
  expect_shape_error([&] { ops::activation(ctx_, zeros({2}, DType::i32), Activation::relu); }, "activation",
                     {"int32[2]"});
  expect_shape_error([&] { ops::affine(ctx_, zeros({2}, DType::u8), 2); }, "affine", {"uint8[2]"});
  expect_shape_error([&] { ops::dropout(ctx_, zeros({2}), 1, 0); }, "dropout", {"[0, 1)"});
  const Context training = ctx_.for_training(0, Tensor::zeros(ctx_, {{}, DType::i64}));
  expect_shape_error([&] { ops::dropout(training, zeros({}), 0.5, 0, true); }, "dropout", {"samples"});
}

TEST_F(OpTest, OtherOperationsNameWhatDoesNotFit) {
  const Tensor x = zeros({1, 5, 5, 2});
  expect_shape_error([&] { ops::zero_pad(ctx_, zeros({2, 2}), 1, 1, 1, 1); }, "zero_pad", {"float32[2, 2]"});
  expect_shape_error([&] { ops::zero_pad(ctx_, x, -1, 0, 0, 0); }, "zero_pad", {"-1, 0, 0, 0"});
  expect_shape_error([&] { ops::crop(ctx_, x, 3, 3, 0, 0); }, "crop", {"[6, 0]", "float32[1, 5, 5, 2]"});
  expect_shape_error([&] { ops::max_pool(ctx_, x, {.window = 6}); }, "max_pool", {"a window of 6"});
  expect_shape_error([&] { ops::max_pool(ctx_, x, {.window = 2, .stride = 0}); }, "max_pool", {"2 and 0"});
  expect_shape_error([&] { ops::max_pool(ctx_, zeros({3}), {}); }, "max_pool", {"NHWC"});
  expect_shape_error([&] { ops::global_average_pool(ctx_, zeros({2, 2})); }, "global_average_pool", {"NHWC"});
  expect_shape_error([&] { ops::reduce_sum(ctx_, x, 2, 4); }, "reduce_sum", {"axes 2 to 4"});
  expect_shape_error([&] { ops::reduce_mean(ctx_, x, 2, 1); }, "reduce_mean", {"axes 2 to 1"});
  expect_shape_error([&] { ops::reshape(ctx_, x, {7}); }, "reshape", {"7 elements", "float32[1, 5, 5, 2]"});
  expect_shape_error([&] { ops::softmax(ctx_, zeros({})); }, "softmax", {"float32[]"});
  const float one[] = {1}, two[] = {1, 2};
  expect_shape_error([&] { ops::image_to_float(ctx_, x, one, one); }, "image_to_float", {"uint8"});
  expect_shape_error(
      [&] {
        ops::image_to_float(ctx_, zeros({1, 2, 2, 3}, DType::u8), two, one);
      },
      "image_to_float", {"1 or 3 scales", "got 2"});
  expect_shape_error([&] { ops::resize_bilinear(ctx_, x, 0, 4); }, "resize_bilinear", {"[0, 4]"});
}

TEST_F(OpTest, CrossEntropyNamesWhatDoesNotFit) {
  const Tensor logits = zeros({2, 3}), labels = zeros({2}, DType::i32);
  expect_shape_error([&] { ops::sparse_cross_entropy(ctx_, logits, zeros({2}, DType::i64)); },
                     "sparse_cross_entropy", {"int32[n]", "int64[2]"});
  expect_shape_error([&] { ops::sparse_cross_entropy(ctx_, logits, zeros({3}, DType::i32)); },
                     "sparse_cross_entropy", {"int32[3]"});
  expect_shape_error([&] { ops::sparse_cross_entropy(ctx_, logits, labels, 0, zeros({2})); },
                     "sparse_cross_entropy", {"class weights", "float32[2]"});
  expect_shape_error([&] { ops::sparse_cross_entropy(ctx_, logits, labels, 1.5); }, "sparse_cross_entropy",
                     {"smoothing"});
}

TEST_F(OpTest, RefusesUndefinedInputs) {
  EXPECT_THAT([&] { ops::softmax(ctx_, Tensor()); },
              ThrowsMessage<UsageError>(HasSubstr("[softmax] expected a tensor as input 0")));
}

TEST_F(OpTest, RefusesInputsOfAnotherDevice) {
  const Context other{Device::cpu(1)};
  EXPECT_THAT(
      [&] {
        ops::add(ctx_, zeros({2}), Tensor::zeros(other, {{2}, DType::f32}));
      },
      ThrowsMessage<DeviceError>(
          HasSubstr("[add] expected inputs on device reference, got input 1 on another, cpu")));
}

TEST_F(OpTest, RefusesSymbolicInputsOutsideOfTracing) {
  EXPECT_THAT(
      [&] {
        ops::softmax(ctx_, Tensor::symbolic({{2}, DType::f32}));
      },
      ThrowsMessage<UsageError>(AllOf(HasSubstr("[softmax]"), HasSubstr("float32[2], is symbolic"))));
}

TEST_F(OpTest, SaysWhichKernelTheDeviceLacks) {
  const kernels::KernelTable nothing;
  const Context bare(std::make_shared<Device>("bare", kernels::cpu::create_device_api(), nothing, 1));
  const Tensor x = Tensor::empty(bare, {{2, 3}, DType::bf16});
  EXPECT_THAT([&] { ops::softmax(bare, x); },
              ThrowsMessage<Error>(HasSubstr("[softmax] device bare has no kernel for bfloat16[2, 3]")));
  EXPECT_EQ(bare.device()->allocator().statistics().bytes_in_use, 64u) << "only x is left";
}

TEST_F(OpTest, ReportsAKernelThatFailedAndGivesItsScratchMemory) {
  static const void* scratch = nullptr;
  kernels::KernelTable table;
  table.softmax_forward.add(
      {"broken", [](const kernels::SoftmaxForward&) { return true; },
       [](const kernels::SoftmaxForward&, const kernels::Stream&) -> std::size_t { return 1000; },
       [](const kernels::SoftmaxForward&, const kernels::Launch& launch) -> kernels::Status {
         scratch = launch.workspace;
         return "the moon is full";
       }});
  const Context broken(std::make_shared<Device>("broken", kernels::cpu::create_device_api(), table, 1));
  const Tensor x = Tensor::empty(broken, {{2}, DType::f32});
  EXPECT_THAT([&] { ops::softmax(broken, x); },
              ThrowsMessage<DeviceError>(HasSubstr("[softmax] kernel broken failed: the moon is full")));
  EXPECT_NE(scratch, nullptr);
  EXPECT_EQ(broken.device()->allocator().statistics().bytes_in_use, 64u);
}

TEST_F(OpTest, PassesEmptyBatchesThrough) {
  EXPECT_EQ(ops::softmax(ctx_, zeros({0, 3})).shape(), (Shape{0, 3}));
  EXPECT_EQ(ops::conv2d(ctx_, zeros({0, 4, 4, 2}), zeros({3, 3, 2, 5}), {}, {}).shape(), (Shape{0, 2, 2, 5}));
  EXPECT_THAT(
      [&] {
        ops::mean(ctx_, zeros({0, 3}));
      },
      ThrowsMessage<ShapeError>(HasSubstr("[reduce_mean] expected inputs with elements, got float32[0, 3]")));
}

TEST_F(OpTest, IsRecordedWithInputsAndOutputs) {
  test::ListingRecorder recorder;
  const Context recorded = ctx_.with_recorder(&recorder);
  const Tensor a = zeros({2}), b = zeros({2});
  const Tensor y = ops::add(recorded, a, b);
  ops::moving_average(recorded, a, b, 0.5);
  ASSERT_THAT(recorder.names(), ElementsAre("add", "moving_average"));
  EXPECT_EQ(recorder.entries[0].inputs[1].id(), b.id());
  EXPECT_EQ(recorder.entries[0].outputs[0].id(), y.id());
  EXPECT_TRUE(recorder.entries[1].outputs.empty());
  EXPECT_TRUE(recorder.entries[1].op->writes(0));
  EXPECT_FALSE(recorder.entries[1].op->writes(1));
  EXPECT_FALSE(recorder.entries[0].op->writes(0));
}

}  // namespace
}  // namespace pila
