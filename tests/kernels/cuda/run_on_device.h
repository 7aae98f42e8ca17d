// Runs an operation's CUDA kernel on the device under test, and the reference's beside it.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include "kernels/args/half.h"
#include "kernels/reference/reference.h"
#include "tests/kernels/cuda/coverage.h"
#include "tests/kernels/cuda/device_under_test.h"
#include "tests/support/compare.h"
#include "tests/support/run_kernel.h"

namespace pila::test {

// Whether the weights are laid out beforehand, as plans do.
enum class Weights { as_they_are, prepared };

// Runs the first kernel of the table that supports the arguments, and expects it to be the one of that name.
// Its pointers are the device's. Returns false where it could not be run.
template <class Args>
bool run_once(const Args& args, const char* name, Weights weights, kernels::Stream& stream) {
  const kernels::Kernel<Args>* kernel = entry_of(*device_under_test().table, &args).select(args);
  if (kernel == nullptr || std::strcmp(kernel->name, name) != 0) {
    ADD_FAILURE() << "selected " << (kernel == nullptr ? "no kernel" : kernel->name) << ", expected " << name;
    return false;
  }
  const auto scratch = [&](const auto& size) {
    const std::size_t bytes = size == nullptr ? 0 : size(args, stream);
    return DeviceBuffer<unsigned char>(std::vector<unsigned char>(bytes, 0xFF));
  };
  kernels::Status status = nullptr;
  if (weights == Weights::prepared) {
    const kernels::Preparation<Args>& prepare = kernel->prepare;
    if (prepare.run == nullptr) {
      ADD_FAILURE() << name << " prepares nothing";
      return false;
    }
    const auto prepared = scratch(prepare.size);
    const auto workspace = scratch(prepare.workspace);
    status = prepare.run(args, prepared.data(), {&stream});
    if (status == nullptr) status = kernel->run(args, {&stream, workspace.data(), prepared.data()});
    device_under_test().api->synchronize(stream);
  } else {
    const auto workspace = scratch(kernel->workspace);
    status = kernel->run(args, {&stream, workspace.data()});
    device_under_test().api->synchronize(stream);
  }
  EXPECT_EQ(status, nullptr) << name << ": " << status;
  return status == nullptr;
}

// The same in every stream, which must all give the same bits. Returns what the kernel wrote to `output`, of
// `count` elements; before each run that is NaN.
template <class T, class Args>
std::vector<T> run_on_device(Args args, const char* name, void* Args::*output, std::size_t count,
                             Weights weights = Weights::as_they_are) {
  count_run(name);
  T nothing;
  std::memset(static_cast<void*>(&nothing), 0xFF, sizeof nothing);
  const std::vector<T> unwritten(count, nothing);
  DeviceBuffer<T> y(unwritten);
  args.*output = y.data();
  std::vector<T> first;
  for (const auto& stream : device_under_test().streams) {
    y.upload(unwritten);
    device_under_test().api->synchronize(device_under_test().stream());
    if (!run_once(args, name, weights, *stream)) return unwritten;
    const std::vector<T> values = y.values();
    if (first.empty()) first = values;
    EXPECT_EQ(count == 0 ? 0 : std::memcmp(values.data(), first.data(), count * sizeof(T)), 0)
        << name << " gives other bits in other schedules";
  }
  return first;
}

// What the reference kernels write to `output`; the arguments' pointers are the host's.
template <class T, class Args>
std::vector<T> run_reference(Args args, void* Args::*output, std::size_t count) {
  std::vector<T> y(count);
  args.*output = y.data();
  run_entry(kernels::reference::table(), args);
  return y;
}

// ---- numbers in any of the floating-point types that kernels store

inline std::vector<unsigned char> to_bytes(kernels::DType type, const std::vector<float>& values) {
  std::vector<unsigned char> bytes(values.size() * size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto put = [&](const auto& number) {
      std::memcpy(bytes.data() + i * sizeof number, &number, sizeof number);
    };
    if (type == kernels::DType::f16) {
      put(kernels::to_float16(values[i]));
    } else if (type == kernels::DType::bf16) {
      put(kernels::to_bfloat16(values[i]));
    } else {
      put(values[i]);
    }
  }
  return bytes;
}

inline std::vector<float> from_bytes(kernels::DType type, const std::vector<unsigned char>& bytes) {
  std::vector<float> values(bytes.size() / size_of(type));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto get = [&](auto number) {
      std::memcpy(&number, bytes.data() + i * sizeof number, sizeof number);
      return number;
    };
    if (type == kernels::DType::f16) {
      values[i] = to_float(get(kernels::Float16()));
    } else if (type == kernels::DType::bf16) {
      values[i] = to_float(get(kernels::BFloat16()));
    } else {
      values[i] = get(0.0f);
    }
  }
  return values;
}

// The values that the type can hold nearest to the given ones.
inline std::vector<float> rounded(kernels::DType type, const std::vector<float>& values) {
  return from_bytes(type, to_bytes(type, values));
}

// Half the distance between neighbouring numbers of size 1 to 2, relative to them: how far off one rounding
// is.
inline double half_unit(kernels::DType type) {
  return type == kernels::DType::f16 ? 0x1p-11 : type == kernels::DType::bf16 ? 0x1p-8 : 0x1p-24;
}

// run_on_device() of a kernel whose output is of that type, as float32.
template <class Args>
std::vector<float> run_typed(const Args& args, const char* name, void* Args::*output, std::size_t count,
                             Weights weights = Weights::as_they_are) {
  const std::size_t bytes = count * size_of(args.type);
  return from_bytes(args.type, run_on_device<unsigned char>(args, name, output, bytes, weights));
}

// One array as the device and as the reference gets it: rounded to the type.
struct TypedInput {
  TypedInput(kernels::DType type, const std::vector<float>& values)
      : host(rounded(type, values)), device(to_bytes(type, values)) {}
  std::vector<float> host;
  DeviceBuffer<unsigned char> device;
};

}  // namespace pila::test
