// What is said of CUDA's errors; nothing here needs a GPU.
#include "kernels/cuda/fault.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include "kernels/cuda/gpus.h"

namespace pila::test {
namespace {

using namespace kernels::cuda;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string message_of(FirstFault& fault, cudaError_t error, const char* call) {
  try {
    fault.check(error, call);
  } catch (const std::runtime_error& thrown) {
    return thrown.what();
  }
  return {};
}

TEST(CudaFault, NamesTheCallAndTheError) {
  FirstFault fault;
  EXPECT_EQ(message_of(fault, cudaSuccess, "cudaMalloc"), "");
  EXPECT_THAT(message_of(fault, cudaErrorInvalidValue, "cudaMemcpyAsync"),
              AllOf(HasSubstr("[cuda] cudaMemcpyAsync: "), HasSubstr("(cudaErrorInvalidValue)"),
                    Not(HasSubstr("queued before"))));
  EXPECT_EQ(message_of(fault, cudaSuccess, "cudaMalloc"), "") << "an error that does not stay is forgotten";
}

TEST(CudaFault, ReportsTheFirstErrorThatStaysAndThenOnlyRefersToIt) {
  FirstFault fault;
  EXPECT_THAT(message_of(fault, cudaErrorIllegalAddress, "cudaStreamSynchronize"),
              AllOf(HasSubstr("[cuda] cudaStreamSynchronize: "), HasSubstr("CUDA_LAUNCH_BLOCKING=1")));
  for (const cudaError_t later : {cudaSuccess, cudaErrorIllegalAddress, cudaErrorLaunchFailure}) {
    EXPECT_THAT(message_of(fault, later, "cudaMalloc"),
                AllOf(HasSubstr("[cuda] cudaMalloc: the GPU cannot be used any more since"),
                      HasSubstr("cudaStreamSynchronize"), HasSubstr("(cudaErrorIllegalAddress)"),
                      Not(HasSubstr("cudaErrorLaunchFailure"))));
  }
}

TEST(CudaFault, SaysWhyThereIsNoGpu) {
  EXPECT_EQ(why_no_gpu(cudaErrorInsufficientDriver, 0, 13000), "no NVIDIA driver is installed");
  EXPECT_EQ(why_no_gpu(cudaErrorInsufficientDriver, 11040, 13000),
            "the NVIDIA driver is too old: it is for CUDA 11.4, and 13.0 is needed");
  EXPECT_EQ(why_no_gpu(cudaErrorNoDevice, 13000, 13000), "there is no NVIDIA GPU");
  EXPECT_EQ(why_no_gpu(cudaSuccess, 13000, 13000), "there is no NVIDIA GPU");
  EXPECT_THAT(why_no_gpu(cudaErrorSystemNotReady, 13000, 13000), HasSubstr("(cudaErrorSystemNotReady)"));
}

TEST(CudaFault, SaysWhatAProgramWasBuiltForThatCannotRun) {
  Gpu gpu;
  gpu.name = "Some GPU";
  gpu.major = 6;
  gpu.minor = 1;
  EXPECT_EQ(why_no_code(gpu, cudaSuccess), "");
  EXPECT_THAT(why_no_code(gpu, cudaErrorNoKernelImageForDevice),
              AllOf(HasSubstr("this program has no code for Some GPU (compute capability 6.1"),
                    HasSubstr("it was built for ")));
  EXPECT_THAT(why_no_code(gpu, cudaErrorDevicesUnavailable), Not(HasSubstr("it was built for")));
}

}  // namespace
}  // namespace pila::test
