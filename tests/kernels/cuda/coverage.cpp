#include "tests/kernels/cuda/coverage.h"

#include <gtest/gtest.h>

#include <iostream>
#include <map>
#include <string>

#include "tests/kernels/cuda/device_under_test.h"

namespace pila::test {
namespace {

std::map<std::string, int>& runs() {
  static std::map<std::string, int> instance;
  return instance;
}

class Coverage final : public testing::Environment {
 public:
  void TearDown() override {
    const auto& tests = *testing::UnitTest::GetInstance();
    const bool all = tests.test_to_run_count() == tests.total_test_count();
    if (!all || !device_under_test().lacks.empty()) return;
    std::cout << "Kernels of the " << device_under_test().table->device << " table, and with how many shapes "
              << "each was run:\n";
    std::map<std::string, int> unknown = runs();
    int kernels = 0, shapes = 0;
    for_each_entry(*device_under_test().table, [&](const char* entry_name, const auto& entry) {
      for (const auto& kernel : entry) {
        const int count = runs()[kernel.name];
        std::cout << "  " << entry_name << ": " << kernel.name << " " << count << "\n";
        EXPECT_GT(count, 0) << entry_name << ": " << kernel.name << " was never run";
        unknown.erase(kernel.name);
        ++kernels;
        shapes += count;
      }
    });
    for (const auto& run : unknown) ADD_FAILURE() << run.first << " is not in the table";
    std::cout << kernels << " kernels, " << shapes << " shapes\n";
  }
};

[[maybe_unused]] const auto* const coverage = testing::AddGlobalTestEnvironment(new Coverage);

}  // namespace

void count_run(const char* kernel) { ++runs()[kernel]; }

}  // namespace pila::test
