// What CUDA's errors mean, in the words of messages. Nothing here calls the driver.
#pragma once

#include <cuda_runtime_api.h>

#include <mutex>
#include <string>
#include <string_view>

namespace pila::kernels::cuda {

// Throws std::runtime_error unless the call went well; the message names the call.
void check(cudaError_t error, const char* call);

// Whether an error stays: every later call in the process returns it, whatever that call is about.
bool is_sticky(cudaError_t error);

// Why there is no GPU to use, given what cudaGetDeviceCount returned (success: none is there) and the
// versions of CUDA that driver and program have; the driver's is 0 where there is none.
std::string why_no_gpu(cudaError_t error, int driver, int runtime);

// "13.0" of 13000.
std::string version_text(int version);

// Remembers the first error that stays. What comes after it is no news, and hides what happened.
class FirstFault {
 public:
  // As check(); throws without looking at `error` where an earlier one stays, and says which.
  void check(cudaError_t error, std::string_view call);

 private:
  std::mutex mutex_;
  std::string message_;
};

}  // namespace pila::kernels::cuda
