#include "kernels/cuda/fault.h"

#include <stdexcept>

namespace pila::kernels::cuda {
namespace {

std::string message_of(cudaError_t error, std::string_view call) {
  std::string message =
      "[cuda] " + std::string(call) + ": " + cudaGetErrorString(error) + " (" + cudaGetErrorName(error) + ")";
  if (is_sticky(error)) {
    message += ", in work that was queued before; CUDA_LAUNCH_BLOCKING=1 tells which";
  }
  return message;
}

}  // namespace

void check(cudaError_t error, const char* call) {
  if (error != cudaSuccess) throw std::runtime_error(message_of(error, call));
}

bool is_sticky(cudaError_t error) {
  switch (error) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorLaunchFailure:
    case cudaErrorECCUncorrectable:
      return true;
    default:
      return false;
  }
}

std::string why_no_gpu(cudaError_t error, int driver, int runtime) {
  if (driver == 0) return "no NVIDIA driver is installed";
  if (error == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver is too old: it is for CUDA " + version_text(driver) + ", and " +
           version_text(runtime) + " is needed";
  }
  if (error == cudaErrorNoDevice || error == cudaSuccess) return "there is no NVIDIA GPU";
  return message_of(error, "cudaGetDeviceCount");
}

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

void FirstFault::check(cudaError_t error, std::string_view call) {
  const std::lock_guard lock(mutex_);
  if (!message_.empty()) {
    throw std::runtime_error("[cuda] " + std::string(call) + ": the GPU cannot be used any more since " +
                             message_);
  }
  if (error == cudaSuccess) return;
  const std::string message = message_of(error, call);
  if (is_sticky(error)) message_ = message;
  throw std::runtime_error(message);
}

}  // namespace pila::kernels::cuda
