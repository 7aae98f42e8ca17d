// MobileNetV2 against Keras: blocks, logits, loss, gradients, moving statistics and ten Adam steps.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "engine/autograd/tape.h"
#include "layers/model.h"
#include "tests/parity/device_under_test.h"
#include "tests/parity/golden_file.h"

namespace pila::test {

struct NetworkCase {
  const char* name;                   // of the golden file: mobilenet_v2_NAME.golden
  const char* weight_file = nullptr;  // null: generated weights
  DeviceUnderTest device;
};

inline std::ostream& operator<<(std::ostream& out, const NetworkCase& c) {
  return out << c.name << " " << c.device;
}

inline std::string name_of(const testing::TestParamInfo<NetworkCase>& info) {
  std::string name = std::string(info.param.name) + "_" + info.param.device.precision;
  for (char& c : name) c = c == '.' ? '_' : c;
  return name;
}

class MobileNetV2Parity : public testing::TestWithParam<NetworkCase> {
 protected:
  void SetUp() override;

  // Gives the model the weights that the golden file was made with.
  void set_weights();

  // One pass forward and back. `mode` is "inference" or "training".
  void check_pass(const std::string& mode);
  void check_adam();

  // Errors of tensors that belong together, for one line of the table.
  class Group {
   public:
    Group(const MobileNetV2Parity& test, std::string title) : test_(test), title_(std::move(title)) {}
    void add(const std::string& record, const std::vector<double>& actual);
    // Prints the line. An error is relative to the tensor's norm, or to `floor` times the largest norm of the
    // group where the tensor's is smaller.
    void finish(double tolerance, double floor = 0);

   private:
    const MobileNetV2Parity& test_;
    std::string title_;
    std::map<std::string, GoldenFile::Distance> distances_;
  };

  double tolerance(double in_double, double in_float) const {
    return GetParam().device.type == DType::f64 ? in_double : in_float;
  }

  std::unique_ptr<GoldenFile> golden_;
  std::unique_ptr<Context> ctx_;
  std::unique_ptr<Model> model_;
  Tensor images_, labels_;
  double rate_ = 0, weight_decay_ = 0;

 private:
  Context recorded(Tape& tape, const std::string& mode, std::int64_t step) const;
  Tensor loss_of(const Context& ctx, const Tensor& logits) const;
};

}  // namespace pila::test
