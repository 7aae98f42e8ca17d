#include "engine/core/capture.h"

#include <exception>

namespace pila {

std::unique_ptr<kernels::CapturedWork> capture(kernels::DeviceApi& api, kernels::Stream& stream,
                                               const std::function<void()>& work) {
  api.begin_capture(stream);
  try {
    work();
  } catch (...) {
    const std::exception_ptr error = std::current_exception();
    try {
      api.end_capture(stream);  // else the stream would stay unusable
    } catch (const std::exception&) {
    }
    std::rethrow_exception(error);
  }
  return api.end_capture(stream);
}

}  // namespace pila
