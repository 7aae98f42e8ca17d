// What a kernel does to the numbers of its first factor as it reads them, as the device and as the reference
// get it.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/reference/epilogue.h"
#include "tests/kernels/cuda/run_on_device.h"
#include "tests/support/random_data.h"

namespace pila::test {

class TypedPrologue {
 public:
  // The device's numbers lie `shift` floats behind an address that is aligned.
  TypedPrologue(std::int64_t channels, kernels::Activation activation, std::int64_t shift = 0)
      : TypedPrologue(random_scaling(static_cast<std::size_t>(channels)), activation, shift) {}

  // Of a kind that reads 0 as 1, and 1 as a little more, which no type of 16 bits holds.
  static TypedPrologue of_nearly_one(std::int64_t channels) {
    const auto count = static_cast<std::size_t>(channels);
    std::vector<float> scaling(3 * count, 0.0f);
    std::fill_n(scaling.begin() + channels, channels, 0x1p-13f);
    std::fill_n(scaling.begin() + 2 * channels, channels, 1.0f);
    return TypedPrologue(scaling, kernels::Activation::none, 0);
  }

  kernels::Prologue on_host() const { return {host_.data(), activation_}; }
  kernels::Prologue on_device() const { return {device_.data() + shift_, activation_}; }

  // x, whose last axis are the channels, as a kernel multiplies it: computed in float32, rounded to the type.
  std::vector<float> read(kernels::DType type, std::vector<float> x) const {
    const std::size_t count = host_.size() / 3;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const float* scaling = host_.data() + i % count;
      const float y = std::fmaf(x[i] - scaling[0], scaling[count], scaling[2 * count]);
      x[i] = static_cast<float>(kernels::reference::activate(activation_, y));
    }
    return rounded(type, x);
  }

 private:
  TypedPrologue(const std::vector<float>& scaling, kernels::Activation activation, std::int64_t shift)
      : shift_(shift), activation_(activation), host_(scaling), device_(shifted(scaling, shift)) {}

  // Zero never stays zero, and some numbers pass each end of every activation.
  static std::vector<float> random_scaling(std::size_t count) {
    std::vector<float> all = uniform_data<float>(count, 11, -0.5, 0.5);
    for (const auto& more :
         {uniform_data<float>(count, 12, -4.0, 4.0), uniform_data<float>(count, 13, 2.5, 4.0)}) {
      all.insert(all.end(), more.begin(), more.end());
    }
    return all;
  }
  static std::vector<float> shifted(std::vector<float> values, std::int64_t shift) {
    values.insert(values.begin(), static_cast<std::size_t>(shift), 0.0f);
    return values;
  }

  std::int64_t shift_;
  kernels::Activation activation_;
  std::vector<float> host_;
  DeviceBuffer<float> device_;
};

}  // namespace pila::test
