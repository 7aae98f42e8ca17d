// A device and a precision to compare with Keras, and tensors to and from float64 on the host.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/tensor.h"

namespace pila::test {

struct DeviceUnderTest {
  const char* precision;  // for test names and the table: "f64"
  DType type;
  std::shared_ptr<Device> (*make)();
};

inline const DeviceUnderTest kReferenceInDouble{"f64", DType::f64, [] { return Device::reference(); }};
inline const DeviceUnderTest kCpuInFloat{"f32", DType::f32, [] { return Device::cpu(); }};

inline std::ostream& operator<<(std::ostream& out, const DeviceUnderTest& device) {
  return out << device.precision;
}

inline std::string precision_of(const testing::TestParamInfo<DeviceUnderTest>& info) {
  return info.param.precision;
}

inline Tensor to_device(const Context& ctx, DType type, const Shape& shape,
                        const std::vector<double>& values) {
  if (type == DType::f64) return Tensor::from(ctx, shape, values);
  return Tensor::from(ctx, shape, std::vector<float>(values.begin(), values.end()));
}

inline std::vector<double> to_host(const Context& ctx, const Tensor& tensor) {
  if (tensor.type() == DType::f64) return tensor.to_vector<double>(ctx);
  const std::vector<float> values = tensor.to_vector<float>(ctx);
  return {values.begin(), values.end()};
}

}  // namespace pila::test
