// A checkpoint comes back to the bit, or with a clear error.
#include "weights/checkpoint.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmath>
#include <csignal>
#include <limits>

#include "tests/support/compare.h"
#include "tests/weights/support.h"

namespace pila::checkpoint_test {
namespace {

using test::file_error;
using test::TemporaryFolder;
using testing::AnyOf;
using testing::HasSubstr;

const Context& context() {
  static const Context ctx(Device::cpu(1));
  return ctx;
}

Checkpoint small_checkpoint() {
  Checkpoint checkpoint;
  checkpoint.put(context(), "weights", Tensor::from(context(), {2, 1}, std::vector<float>{1.5f, -2}));
  checkpoint.put_integer("step", 7);
  checkpoint.put_text("recipe", "{}");
  return checkpoint;
}

template <class T>
void expect_back(const Checkpoint& loaded, const std::string& name, const std::vector<T>& values) {
  const auto count = static_cast<std::int64_t>(values.size());
  const Tensor tensor = Tensor::zeros(context(), {{count}, dtype_of<T>});
  loaded.get(context(), name, tensor);
  EXPECT_TRUE(test::same_bits(tensor.to_vector<T>(context()), values)) << name;
}

TEST(Checkpoint, KeepsArraysAndNumbersToTheBit) {
  const TemporaryFolder folder;
  const float tiny = std::numeric_limits<float>::denorm_min();
  const std::vector<float> floats = {0.1f, -0.0f, tiny, std::nanf(""), HUGE_VALF};
  const std::vector<double> doubles = {0.1, -HUGE_VAL};
  const std::vector<std::int64_t> integers = {std::numeric_limits<std::int64_t>::min(), 5};
  const std::vector<std::int32_t> labels = {-1, 3};
  const std::vector<std::uint8_t> pixels = {0, 255};
  Checkpoint checkpoint;
  checkpoint.put(context(), "floats", Tensor::from(context(), {5}, floats));
  checkpoint.put(context(), "doubles", Tensor::from(context(), {2}, doubles));
  checkpoint.put(context(), "integers", Tensor::from(context(), {2}, integers));
  checkpoint.put(context(), "labels", Tensor::from(context(), {2}, labels));
  checkpoint.put(context(), "pixels", Tensor::from(context(), {2}, pixels));
  checkpoint.put(context(), "number", Tensor::full(context(), {{}, DType::f32}, 2));
  checkpoint.put(context(), "nothing", Tensor::zeros(context(), {{0, 4}, DType::f32}));
  checkpoint.put_integer("smallest", std::numeric_limits<std::int64_t>::min());
  checkpoint.put_number("third", 1.0 / 3);
  checkpoint.put_number("largest", std::numeric_limits<double>::max());
  checkpoint.put_number("none", std::nan(""));
  checkpoint.put_number("endless", -HUGE_VAL);
  checkpoint.put_text("text", std::string("a\0b\n\xFF", 5));
  checkpoint.put_text("", "");
  save_checkpoint(folder / "c", checkpoint);

  const Checkpoint loaded = load_checkpoint(folder / "c");
  expect_back(loaded, "floats", floats);
  expect_back(loaded, "doubles", doubles);
  expect_back(loaded, "integers", integers);
  expect_back(loaded, "labels", labels);
  expect_back(loaded, "pixels", pixels);
  EXPECT_EQ(loaded.arrays.at("number").spec, (TensorSpec{{}, DType::f32}));
  EXPECT_EQ(loaded.arrays.at("nothing").spec, (TensorSpec{{0, 4}, DType::f32}));
  EXPECT_EQ(loaded.integer("smallest"), std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(loaded.number("third"), 1.0 / 3);
  EXPECT_EQ(loaded.number("largest"), std::numeric_limits<double>::max());
  EXPECT_TRUE(std::isnan(loaded.number("none")));
  EXPECT_EQ(loaded.number("endless"), -HUGE_VAL);
  EXPECT_EQ(loaded.values, checkpoint.values);
  EXPECT_EQ(loaded.arrays.size(), checkpoint.arrays.size());
}

TEST(Checkpoint, SaysWhatItDoesNotHold) {
  const Checkpoint checkpoint = small_checkpoint();
  EXPECT_EQ(file_error([&] { (void)checkpoint.integer("steps"); }), "holds no 'steps'");
  EXPECT_EQ(file_error([&] { (void)checkpoint.number("recipe"); }),
            "expected a number for 'recipe', got '{}'");
  const Tensor tensor = Tensor::full(context(), {{3}, DType::f32}, 4);
  EXPECT_EQ(file_error([&] { checkpoint.get(context(), "weights", tensor); }),
            "expected float32[3] for 'weights', got float32[2, 1]");
  EXPECT_EQ(tensor.to_vector<float>(context()), std::vector<float>(3, 4));
  EXPECT_THAT(file_error([&] { checkpoint.get(context(), "moments", tensor); }), HasSubstr("holds no"));
}

// Every error begins with the file's name.
std::string load_error(const TemporaryFolder& folder, std::string_view bytes) {
  test::write_bytes(folder / "c", bytes);
  const std::string error = file_error([&] { load_checkpoint(folder / "c"); });
  EXPECT_TRUE(error.starts_with((folder / "c").string() + ": ")) << error;
  return error;
}

std::string bytes_of(const Checkpoint& checkpoint, const TemporaryFolder& folder) {
  save_checkpoint(folder / "whole", checkpoint);
  return test::read_bytes(folder / "whole");
}

TEST(HostileCheckpoint, CutOffAnywhereIsAnError) {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(small_checkpoint(), folder);
  for (std::size_t length = 0; length < whole.size(); ++length) {
    EXPECT_THAT(load_error(folder, std::string_view(whole).substr(0, length)),
                AnyOf(HasSubstr("is cut off"), HasSubstr("not a checkpoint")))
        << length;
  }
  EXPECT_THAT(load_error(folder, whole + "x"), HasSubstr("is damaged"));
}

TEST(HostileCheckpoint, AFlippedBitIsAnError) {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(small_checkpoint(), folder);
  for (std::size_t byte = 0; byte < whole.size(); ++byte) {
    std::string flipped = whole;
    flipped[byte] = static_cast<char>(flipped[byte] ^ (1 << (byte % 8)));
    EXPECT_FALSE(load_error(folder, flipped).empty()) << byte;
  }
}

// Puts a number in the place of another and mends the checksum, as only intent does.
std::string with_number(std::string bytes, std::size_t place, std::uint64_t value) {
  std::memcpy(bytes.data() + place, &value, sizeof value);
  const auto size = bytes.size() - 4;
  const auto crc = static_cast<std::uint32_t>(
      crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(size)));
  std::memcpy(bytes.data() + size, &crc, sizeof crc);
  return bytes;
}

TEST(HostileCheckpoint, ImpossibleNumbersAreErrorsAndTakeNoMemory) {
  const TemporaryFolder folder;
  const std::string whole = bytes_of(small_checkpoint(), folder);
  for (std::size_t place = 8; place + 12 <= whole.size(); ++place) {
    for (const std::uint64_t value : {std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
      test::write_bytes(folder / "c", with_number(whole, place, value));
      try {
        load_checkpoint(folder / "c");  // some places hold names and elements, which may be anything
      } catch (const FileError& error) {
        EXPECT_THAT(error.what(), HasSubstr("/c: ")) << place;
      }
    }
  }
  EXPECT_THAT(load_error(folder, with_number(whole, 24, 1000)), HasSubstr("ends too early"));
}

TEST(HostileCheckpoint, ANewerVersionSaysSo) {
  const TemporaryFolder folder;
  std::string newer = bytes_of(small_checkpoint(), folder);
  newer[8] = 2;
  EXPECT_THAT(load_error(folder, newer),
              HasSubstr("made by a newer version of Pila: format 2, this program reads 1"));
}

TEST(HostileCheckpoint, OtherFilesAreNone) {
  const TemporaryFolder folder;
  EXPECT_THAT(load_error(folder, "\x89HDF\r\n\x1A\n and much more of it, longer than a header"),
              HasSubstr("not a checkpoint of Pila"));
  EXPECT_THAT(file_error([&] { load_checkpoint(folder / "absent"); }), HasSubstr("absent: does not exist"));
  EXPECT_THAT(file_error([&] { load_checkpoint(folder.path()); }), HasSubstr("is not a regular file"));
  EXPECT_THAT(file_error([&] { load_checkpoint("/dev/zero"); }), HasSubstr("is not a regular file"));
}

// A limit on the size of files stands in for a full disk.
TEST(Checkpoint, LeavesTheOldOneWhenTheDiskIsFull) {
  const TemporaryFolder folder;
  save_checkpoint(folder / "c", small_checkpoint());
  const std::string old = test::read_bytes(folder / "c");
  Checkpoint large;
  large.put(context(), "weights", Tensor::zeros(context(), {{1 << 18}, DType::f32}));
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{1 << 16, before.rlim_max};
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  const std::string error = file_error([&] { save_checkpoint(folder / "c", large); });
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  EXPECT_THAT(error, HasSubstr("cannot be written"));
  EXPECT_EQ(test::read_bytes(folder / "c"), old);
}

// Writes checkpoints, of one value each and with as many elements as tell them apart, until it is killed.
[[noreturn]] void write_for_ever(const std::filesystem::path& file) {
  for (std::int64_t number = 0;; ++number) {
    Checkpoint checkpoint;
    checkpoint.put_integer("number", number);
    checkpoint.arrays["elements"] = {{{1 << 16}, DType::u8},
                                     std::vector<std::byte>(1 << 16, static_cast<std::byte>(number))};
    save_checkpoint(file, checkpoint);
  }
}

TEST(Checkpoint, IsWholeAfterAKillAtAnyMoment) {
  const TemporaryFolder folder;
  const auto file = folder / "c";
  for (useconds_t kill_number = 0; kill_number < 10; ++kill_number) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) write_for_ever(file);
    while (!std::filesystem::exists(file)) usleep(100);
    usleep(300 * kill_number + 137);
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    const Checkpoint loaded = load_checkpoint(file);
    const auto& elements = loaded.arrays.at("elements").bytes;
    EXPECT_EQ(elements, std::vector<std::byte>(1 << 16, static_cast<std::byte>(loaded.integer("number"))));
  }
}

}  // namespace
}  // namespace pila::checkpoint_test
