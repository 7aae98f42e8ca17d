// Includes go one way: the tree keeps to it, and the check sees whoever does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <ostream>
#include <string>

#include "tests/layering/include_rules.h"

namespace fs = std::filesystem;

namespace pila::layering {
namespace {

// A made-up tree that is gone with the test.
class MadeUpTree : public testing::Test {
 protected:
  MadeUpTree() {
    std::string pattern = (fs::temp_directory_path() / "pila_layering_XXXXXX").string();
    if (mkdtemp(pattern.data()) != nullptr) root_ = pattern;
  }
  void SetUp() override { ASSERT_FALSE(root_.empty()) << "no temporary folder"; }
  ~MadeUpTree() override {
    if (!root_.empty()) fs::remove_all(root_);
  }

  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::vector<Violation> check() const { return check_includes(root_); }

  fs::path root_;
};

TEST(Layering, TreeHasNoForbiddenInclude) {
  for (const auto& violation : check_includes(PILA_SOURCE_DIR)) {
    ADD_FAILURE() << violation.to_string();
  }
}

struct Case {
  const char* file;
  const char* line;
  bool allowed;
};

// The test's name, which must be the same in every run.
void PrintTo(const Case& example, std::ostream* stream) { *stream << example.file << " " << example.line; }

class OneInclude : public MadeUpTree, public testing::WithParamInterface<Case> {};

TEST_P(OneInclude, IsJudged) {
  write(GetParam().file, std::string("// A file.\n") + GetParam().line + "\n");
  const auto violations = check();
  if (GetParam().allowed) {
    EXPECT_TRUE(violations.empty()) << violations.front().to_string();
  } else {
    ASSERT_EQ(violations.size(), 1u);
    EXPECT_EQ(violations[0].file, GetParam().file);
    EXPECT_EQ(violations[0].line, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Rooms, OneInclude,
    testing::Values(Case{"apps/live.cpp", "#include \"weights/load_model.h\"", true},
                    Case{"apps/live.cpp", "#include \"kernels/args/types.h\"", true},
                    Case{"weights/a.cpp", "#include \"layers/model.h\"", true},
                    Case{"layers/a.cpp", "#include \"engine/ops/ops.h\"", true},
                    Case{"engine/a.cpp", "#include \"kernels/kernel_table.h\"", true},
                    Case{"kernels/a.cpp", "#include \"kernels/args/conv.h\"", true},
                    Case{"kernels/a.cpp", "#include <vector>", true},
                    Case{"tests/a.cpp", "#include \"bench/shapes/a.h\"", true},
                    Case{"bench/a.cpp", "#include \"apps/core/a.h\"", true},
                    Case{"kernels/a.cpp", "#include \"engine/core/tensor.h\"", false},
                    Case{"kernels/cuda/a.cuh", "#include \"engine/core/tensor.h\"", false},
                    Case{"kernels/cuda/a.cu", "#include \"apps/core/a.h\"", false},
                    Case{"engine/a.h", "#include \"layers/layer.h\"", false},
                    Case{"layers/a.h", "#include \"weights/load_model.h\"", false},
                    Case{"weights/a.h", "#include \"apps/core/a.h\"", false},
                    Case{"engine/core/a.cpp", "#include \"../../layers/layer.h\"", false},
                    Case{"engine/a.cpp", "  #  include  <layers/layer.h>  // why", false},
                    Case{"kernels/a.cpp", "#include \"tests/support/a.h\"", false},
                    Case{"apps/a.cpp", "#include \"bench/shapes/a.h\"", false}));

INSTANTIATE_TEST_SUITE_P(Libraries, OneInclude,
                         testing::Values(Case{"apps/media/a.cpp", "#include <opencv2/core.hpp>", true},
                                         Case{"tests/apps/a.cpp", "#include <opencv2/core.hpp>", true},
                                         Case{"weights/hdf5.cpp", "#include <hdf5.h>", true},
                                         Case{"apps/store/sqlite.cpp", "#include <sqlite3.h>", true},
                                         Case{"kernels/reference/a.cpp", "#include <Eigen/Core>", true},
                                         Case{"tests/a.cpp", "#include <Eigen/Core>", true},
                                         Case{"kernels/cpu/a.cpp", "#include <hwy/highway.h>", true},
                                         Case{"bench/baselines/a.cpp", "#include <cudnn.h>", true},
                                         Case{"bench/kernels/a.cpp", "#include <benchmark/benchmark.h>",
                                              true},
                                         Case{"apps/eject/a.cpp", "#include <mosquitto.h>", true},
                                         Case{"apps/eject/a.cpp", "#include <gpiod.h>", true},
                                         Case{"tests/apps/a.cpp", "#include <modbus.h>", true},
                                         Case{"engine/parallel/mpi.cpp", "#include <mpi.h>", true},
                                         Case{"apps/training/a.cpp", "#include <mpi.h>", false},
                                         Case{"apps/live/a.cpp", "#include <mosquitto.h>", false},
                                         Case{"apps/live/a.cpp", "#include <modbus/modbus.h>", false},
                                         Case{"apps/web/a.cpp", "#include <gpiod.h>", false},
                                         Case{"apps/web/a.cpp", "#include <httplib.h>", true},
                                         Case{"apps/core/a.cpp", "#include <opencv2/core.hpp>", false},
                                         Case{"apps/live.cpp", "#include \"opencv2/imgproc.hpp\"", false},
                                         Case{"weights/a.cpp", "#include <opencv2/core.hpp>", false},
                                         Case{"apps/core/a.cpp", "#include <hdf5.h>", false},
                                         Case{"apps/web/a.cpp", "#include <sqlite3.h>", false},
                                         Case{"engine/a.cpp", "#include <hdf5/serial/hdf5.h>", false},
                                         Case{"engine/a.cpp", "#include <Eigen/Core>", false},
                                         Case{"kernels/cpu/a.cpp", "#include <Eigen/Core>", false},
                                         Case{"engine/a.cpp", "#include <hwy/highway.h>", false},
                                         Case{"kernels/cuda/a.cpp", "#include <cudnn_v9.h>", false},
                                         Case{"tests/a.cpp", "#include <cudnn.h>", false},
                                         Case{"engine/a.cpp", "#include <cuda_runtime.h>", false},
                                         Case{"engine/a.cpp", "#include <torch/torch.h>", false},
                                         Case{"apps/live/a.cpp", "#include <httplib.h>", false},
                                         Case{"apps/a.cpp", "#include <gtest/gtest.h>", false},
                                         Case{"kernels/a.cpp", "#include <benchmark/benchmark.h>", false}));

TEST_F(MadeUpTree, SeesAnIncludeOfAFileBeside) {
  write("kernels/a.h", "");
  write("kernels/b.cpp", "#include \"a.h\"\n");
  EXPECT_TRUE(check().empty());
}

TEST_F(MadeUpTree, SeesTheSecondFileThatReadsHdf5) {
  write("weights/a.cpp", "#include <hdf5.h>\n#include <hdf5_hl.h>\n");
  EXPECT_TRUE(check().empty());
  write("weights/b.cpp", "#include <hdf5.h>\n");
  const auto violations = check();
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].file, "weights/b.cpp");
  EXPECT_THAT(violations[0].to_string(), testing::HasSubstr("weights/a.cpp"));
}

TEST_F(MadeUpTree, PassesOverOtherFiles) {
  write("kernels/a.cpp", "// #include \"engine/core/tensor.h\"\nconst char* text = \"#include <hdf5.h>\";\n");
  write("kernels/notes.txt", "#include \"engine/core/tensor.h\"\n");
  write("build/kernels/a.cpp", "#include \"engine/core/tensor.h\"\n");
  EXPECT_TRUE(check().empty());
}

TEST_F(MadeUpTree, RefusesATreeWithoutSources) { EXPECT_THROW(check(), std::runtime_error); }

}  // namespace
}  // namespace pila::layering
