// Files that are no files, damaged files, and files made to harm: always one line of FileError, or a file
// that loads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>

#include "engine/core/random.h"
#include "tests/support/shared_files.h"
#include "tests/weights/support.h"
#include "weights/container.h"
#include "weights/labels.h"
#include "weights/load_model.h"
#include "weights/model_card.h"
#include "weights/model_config.h"
#include "weights/tree_codec.h"
#include "weights/weight_file.h"

namespace pila {
namespace {

using test::file_error;
using test::fixture;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;
using testing::HasSubstr;

constexpr const char* kSmallFiles[] = {"tiny.weights.h5",       "tiny.keras",
                                       "tiny_legacy.h5",        "tiny_split.h5",
                                       "nested_part_frozen.h5", "nested.weights.h5"};

// Damages bytes as real damage and a fuzzer do: flips, runs of zeros or ones, large numbers, copied pieces.
void damage(std::string& bytes, Random& random) {
  const auto place = [&] { return random.below(static_cast<std::uint32_t>(bytes.size())); };
  for (std::uint32_t times = 1 + random.below(4); times > 0; --times) {
    const std::size_t at = place();
    const std::size_t length = std::min<std::size_t>(1 + random.below(16), bytes.size() - at);
    switch (random.below(5)) {
      case 0:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random.below(8)));
        break;
      case 1:
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(at), length,
                    random.below(2) == 0 ? '\0' : '\xFF');
        break;
      case 2:
        bytes[at] = static_cast<char>(random.next());
        break;
      case 3:
        bytes.replace(at, length,
                      bytes.substr(std::min<std::size_t>(place(), bytes.size() - length), length));
        break;
      default:
        bytes[at] = static_cast<char>(bytes[at] + (random.below(2) == 0 ? 1 : -1));
    }
  }
}

// What reading may do: give something, or throw one line of FileError. Anything else ends the test.
template <class Read>
void expect_value_or_error(const Read& read) {
  try {
    read();
  } catch (const FileError& error) {
    const std::string message = error.what();
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
    EXPECT_LT(message.size(), 2000u) << message;
  }
}

TEST(HostileFiles, NoFileAtAll) {
  const TemporaryFolder folder;
  const auto error = [&](const std::string& name) {
    return file_error([&] { load_model(Context(Device::cpu(1)), folder / name); });
  };
  const std::string where = folder.path().string() + "/";
  EXPECT_EQ(error("none.h5"), where + "none.h5: cannot be opened: No such file or directory");
  std::filesystem::create_directory(folder / "folder.h5");
  EXPECT_EQ(error("folder.h5"), where + "folder.h5: is a folder, expected a file");
  ASSERT_EQ(mkfifo((folder / "pipe.h5").c_str(), 0600), 0);
  EXPECT_EQ(error("pipe.h5"), where + "pipe.h5: is not a regular file");
  write_bytes(folder / "empty.h5", "");
  EXPECT_EQ(error("empty.h5"), where + "empty.h5: is empty, expected a Keras file (HDF5 or .keras)");
  std::filesystem::resize_file(folder / "empty.h5", std::uintmax_t{3} << 30);
  EXPECT_EQ(error("empty.h5"), where + "empty.h5: has 3221225472 bytes, expected at most 2 GiB");
}

TEST(HostileFiles, OtherKinds) {
  const TemporaryFolder folder;
  const auto error = [&](std::string_view bytes) {
    write_bytes(folder / "a.h5", bytes);
    return file_error([&] { read_weight_file(folder / "a.h5"); });
  };
  EXPECT_THAT(error("\xFF\xD8\xFF\xE0 and so on"),
              HasSubstr("a.h5: not a Keras file: expected HDF5 or a .keras archive, found a JPEG image"));
  EXPECT_THAT(error("tench\ngoldfish\n"), HasSubstr("found text"));
  EXPECT_THAT(error("version https://git-lfs.github.com/spec/v1"), HasSubstr("found a Git LFS pointer"));
  EXPECT_THAT(error("PK\x03\x04 no more"), HasSubstr("damaged zip archive"));
  EXPECT_THAT(error("\x89HDF\r\n\x1A\n no more"), HasSubstr("damaged"));
  const std::string zip = read_bytes(fixture("mobilenet_v2_035_96.zip"));
  EXPECT_THAT(error(zip), HasSubstr("zip archive without model.weights.h5"));
}

TEST(HostileFiles, CutAtEveryInterestingLength) {
  const TemporaryFolder folder;
  for (const char* name : {"tiny_legacy.h5", "tiny.weights.h5", "tiny.keras"}) {
    const std::string whole = read_bytes(fixture(name));
    std::vector<std::size_t> lengths;
    for (std::size_t length = 1; length < 128; length += 3) lengths.push_back(length);
    for (std::size_t length = 128; length < whole.size(); length += whole.size() / 60)
      lengths.push_back(length);
    lengths.push_back(whole.size() - 1);
    for (const std::size_t length : lengths) {
      write_bytes(folder / "cut.h5", std::string_view(whole).substr(0, length));
      EXPECT_THROW(read_weight_file(folder / "cut.h5"), FileError) << name << " cut at " << length;
    }
  }
}

// A dimension of an array in the file is made huge; no memory is taken for it.
TEST(HostileFiles, HugeDimensions) {
  const TemporaryFolder folder;
  std::string bytes = read_bytes(fixture("tiny_legacy.h5"));
  // The dataspace message of stem's kernel: version 1, rank 4, dimensions present, then 3, 3, 3, 4 and the
  // limits.
  const std::string dimensions("\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0",
                               32);
  std::size_t found = 0;
  for (std::size_t at = bytes.find(dimensions); at != std::string::npos;
       at = bytes.find(dimensions, at + 1)) {
    bytes[at + 4] = '\x7F';
    ++found;
  }
  ASSERT_GT(found, 0u);
  write_bytes(folder / "huge.h5", bytes);
  EXPECT_THAT(file_error([&] { read_weight_file(folder / "huge.h5"); }),
              testing::AnyOf(HasSubstr("bytes, and the file has"), HasSubstr("damaged: cannot")));
}

TEST(HostileFiles, DamagedFilesAreErrorsOrLoad) {
  const TemporaryFolder folder;
  constexpr int kMutationsOfEach = 250;
  for (const char* name : kSmallFiles) {
    const std::string whole = read_bytes(fixture(name));
    for (int i = 0; i < kMutationsOfEach; ++i) {
      Random random(7, i);
      std::string bytes = whole;
      damage(bytes, random);
      write_bytes(folder / "damaged.h5", bytes);
      SCOPED_TRACE(std::string(name) + ", mutation " + std::to_string(i));
      expect_value_or_error([&] { read_weight_file(folder / "damaged.h5"); });
    }
  }
}

// Text and numbers of a whole model as the child process sends them, with the data of the weights made short
// so that damage hits what is interpreted.
std::string encoded_model() {
  const TemporaryFolder folder;
  const auto shared = test::weights_file("teachable_machine_keras_model.h5");
  Hdf5Tree tree = read_container(shared ? *shared : test::unpack("nested_first_100_frozen.h5", folder));
  for (auto& [path, array] : tree.arrays) {
    if (array.shape.size() != 4 || array.shape[3] != 112) {
      array.shape = {1};
      array.values = std::vector<float>{1};
    } else {
      array.shape[2] = 1;
      array.values = std::vector<float>(112, 1.0f);
    }
  }
  std::string bytes;
  TreeEncoder encoder(
      [&](const void* data, std::size_t count) { bytes.append(static_cast<const char*>(data), count); });
  encode(tree, encoder);
  return bytes;
}

TEST(HostileFiles, DamagedTreesAreErrorsOrDescribed) {
  const std::string whole = encoded_model();
  constexpr int kMutations = 1000;
  int described = 0;
  for (int i = 0; i < kMutations; ++i) {
    Random random(8, i);
    std::string bytes = whole;
    damage(bytes, random);
    SCOPED_TRACE("mutation " + std::to_string(i));
    expect_value_or_error([&] {
      const WeightFile file = interpret(decode_tree(std::as_bytes(std::span(bytes))), "damaged.h5");
      describe_by_config(file);
      ++described;
    });
  }
  EXPECT_GT(described, kMutations / 20) << "damage that is refused at the door tests nothing behind it";
}

TEST(HostileFiles, DamagedCardsAndLabelsAreErrorsOrRead) {
  ModelDescription model;
  model.spec.head = imagenet_head(3);
  model.classes = {"a", "b", "c"};
  model.ranges = {{"block_1_expand", {-4.5f, 5.25f}}, {"Conv_1", {-3, 3}}};
  const std::string card = format_card(model), labels = "0 card\n1 plastic, blue\r\n2 \xC3\xA4\n";
  for (int i = 0; i < 3000; ++i) {
    Random random(9, i);
    std::string bytes = card;
    damage(bytes, random);
    expect_value_or_error([&] { parse_card(bytes); });
    bytes = labels;
    damage(bytes, random);
    expect_value_or_error([&] { parse_labels(bytes); });
  }
}

}  // namespace
}  // namespace pila
