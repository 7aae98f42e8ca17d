// What `cmake --install` puts down is complete: programs that run from there, and an engine that another
// project finds and links.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "layers/model.h"
#include "layers/preprocessing.h"
#include "tests/apps/process.h"
#include "weights/save_weights.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using testing::HasSubstr;

class Packaging : public testing::Test {
 protected:
  void install(const std::string& component) {
    const auto done =
        cmake({"--install", PILA_BUILD_DIR, "--prefix", prefix().string(), "--component", component});
    ASSERT_EQ(done.exit_code, 0) << done.out << done.err;
  }
  static test::Finished cmake(const std::vector<std::string>& arguments) {
    return test::run_program(PILA_CMAKE, arguments);
  }
  fs::path prefix() const { return folder_.path() / "prefix"; }
  fs::path at(const std::string& name) const { return folder_.path() / name; }

  const test::TemporaryFolder folder_;
};

TEST_F(Packaging, AnotherProjectFindsAndLinksTheEngine) {
  install("development");
  EXPECT_FALSE(fs::exists(prefix() / "bin"));
  const std::string example = PILA_SOURCE_DIR "/examples/classify";
  const auto configured = cmake({"-S", example, "-B", at("build").string(), "-G", PILA_GENERATOR,
                                 "-DCMAKE_PREFIX_PATH=" + prefix().string(),
                                 "-DCMAKE_BUILD_TYPE=", "-DCMAKE_CXX_COMPILER=" PILA_COMPILER});
  ASSERT_EQ(configured.exit_code, 0) << configured.out << configured.err;
  const auto built = cmake({"--build", at("build").string()});
  ASSERT_EQ(built.exit_code, 0) << built.out << built.err;

  const Context ctx(Device::cpu());
  ModelSpec spec;
  spec.width = 0.35;
  spec.input_height = spec.input_width = 64;
  spec.head = imagenet_head(3);
  const Model model(ctx, spec, 7);
  ModelDescription description;
  description.spec = spec;
  description.preprocessing.height = description.preprocessing.width = 64;
  description.classes = {"zinc", "alkaline", "lithium"};
  save_model(ctx, model, description, at("model.h5"));

  std::vector<std::uint8_t> pixels(30 * 20 * 3);
  for (std::size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<std::uint8_t>(i * 7);
  std::ofstream(at("picture.ppm"), std::ios::binary) << "P6\n30 20\n255\n"
                                                     << std::string(pixels.begin(), pixels.end());

  const std::string program = at("build/classify").string();
  const auto answer = test::run_program(program, {at("model.h5").string(), at("picture.ppm").string()});
  ASSERT_EQ(answer.exit_code, 0) << answer.err;
  const Tensor images = preprocess(ctx, Tensor::from(ctx, {1, 20, 30, 3}, pixels), description.preprocessing);
  const auto expected = model.probabilities(ctx, images).to_vector<float>(ctx);
  std::istringstream lines(answer.out);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    std::string percent, name;
    lines >> percent >> name;
    EXPECT_EQ(name, description.classes[i]);
    EXPECT_NEAR(std::stod(percent), 100 * expected[i], 0.051) << answer.out;
  }

  std::ofstream(at("cut.ppm")) << "P6\n30 20\n255\nabc";
  const auto refused = test::run_program(program, {at("model.h5").string(), at("cut.ppm").string()});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.err, HasSubstr("cut.ppm: cut off"));
}

TEST_F(Packaging, ProgramsRunFromWhereTheyAreInstalled) {
  install("runtime");
  for (const std::string name :
       {"pila-finetune", "pila-live", "pila-evaluate", "pila-dataset", "pila-export"}) {
    const auto version = test::run_program((prefix() / "bin" / name).string(), {"--version"});
    EXPECT_EQ(version.exit_code, 0) << name << ": " << version.err;
    EXPECT_EQ(version.out.rfind(name + " ", 0), 0u) << version.out;
    const std::string bytes = test::read_text(prefix() / "bin" / name);
    EXPECT_EQ(bytes.find(PILA_BUILD_DIR "/apps"), std::string::npos) << name << " looks for libraries there";
  }
  // It loads the module that writes videos.
  const auto drawn = test::run_program(
      (prefix() / "bin/pila-dataset").string(),
      {"synth", "--belt", "--items", "1", "--stills", "0", "--size", "112x64", "--out", at("belt").string()});
  EXPECT_EQ(drawn.exit_code, 0) << drawn.err;
  EXPECT_FALSE(fs::exists(prefix() / "include"));
  EXPECT_TRUE(fs::exists(prefix() / "share/doc/pila/copyright"));
}

TEST_F(Packaging, SystemdTakesTheUnit) {
  if (std::string(PILA_SYSTEMD_ANALYZE).empty()) GTEST_SKIP() << "no systemd-analyze";
  install("runtime");
  std::string text = test::read_text(prefix() / "lib/systemd/system/pila-live@.service");
  // Programs that a unit names have to be there; systemd looks for them in /usr and /usr/local.
  const std::string program = "ExecStart=pila-live ";
  const auto begin = text.find(program);
  ASSERT_NE(begin, std::string::npos) << text;
  text.replace(begin, program.size(), "ExecStart=" + (prefix() / "bin/pila-live").string() + " ");
  std::ofstream(at("pila-live@belt.service")) << text;
  const auto verified =
      test::run_program(PILA_SYSTEMD_ANALYZE, {"verify", "--man=no", at("pila-live@belt.service").string()});
  EXPECT_EQ(verified.exit_code, 0) << verified.err;
  EXPECT_EQ(verified.err, "");
}

#ifdef PILA_CPACK
TEST_F(Packaging, DebianPackageHasWhatItNeeds) {
  if (!fs::exists("/usr/bin/dpkg-shlibdeps")) GTEST_SKIP() << "no dpkg-shlibdeps";
  const auto packed = test::run_program(
      PILA_CPACK, {"-G", "DEB", "--config", PILA_BUILD_DIR "/CPackConfig.cmake", "-B", at("deb").string()});
  ASSERT_EQ(packed.exit_code, 0) << packed.out << packed.err;
  std::string package;
  for (const auto& entry : fs::directory_iterator(at("deb"))) {
    if (entry.path().extension() == ".deb") package = entry.path().string();
  }
  const auto files = test::run_program("/usr/bin/dpkg-deb", {"--contents", package});
  ASSERT_EQ(files.exit_code, 0) << package << files.err;
  for (const char* file : {"bin/pila-live", "lib/pila/libpila_video.so",
                           "lib/systemd/system/pila-live@.service", "share/doc/pila/copyright"}) {
    EXPECT_THAT(files.out, HasSubstr(std::string(" ./usr/") + file + "\n"));
  }
  EXPECT_THAT(files.out, testing::Not(HasSubstr("/include/")));
  const auto needs = test::run_program("/usr/bin/dpkg-deb", {"--field", package, "Depends"});
  for (const char* library : {"libc6", "libhdf5", "libopencv-imgcodecs", "libopencv-videoio"}) {
    EXPECT_THAT(needs.out, HasSubstr(library));
  }
}
#endif

}  // namespace
}  // namespace pila
