// The pieces below the layouts: the child process, the bytes it sends, zip archives, MD5.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <new>
#include <thread>

#include "tests/weights/support.h"
#include "weights/file_kind.h"
#include "weights/hdf5.h"
#include "weights/md5.h"
#include "weights/sandbox.h"
#include "weights/tree_codec.h"
#include "weights/zip.h"

namespace pila::containers_test {
namespace {

using test::file_error;
using test::fixture;
using testing::HasSubstr;

std::string text_of(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(Sandbox, BringsBackWhatTheChildWrites) {
  const std::string large(3'000'000, 'x');
  const SandboxResult result = run_in_sandbox([&](const SandboxWrite& write) {
    write("begin ", 6);
    write(large.data(), large.size());
    write(" end", 4);
  });
  EXPECT_EQ(result.failure, "");
  EXPECT_EQ(text_of(result.output), "begin " + large + " end");
}

TEST(Sandbox, TurnsAnEndIntoAReason) {
  const auto failure = [](const std::function<void()>& work, const SandboxLimits& limits = {}) {
    return run_in_sandbox([&](const SandboxWrite&) { work(); }, limits).failure;
  };
  EXPECT_EQ(failure([] { raise(SIGSEGV); }), "crashed (signal 11)");
  EXPECT_EQ(failure([] { throw 1; }), "failed (exit code 81)");
  EXPECT_EQ(failure([] { throw std::bad_alloc(); }), "needed more than 3072 MiB of memory");
  SandboxLimits limits;
  limits.wall = std::chrono::seconds(1);
  EXPECT_EQ(failure([] { pause(); }, limits), "took longer than 1 s");
  limits.wall = std::chrono::seconds(600);  // a second of processor time may take long on a busy machine
  limits.processor = std::chrono::seconds(1);
  EXPECT_EQ(failure(
                [] {
                  volatile bool forever = true;
                  while (forever) {
                  }
                },
                limits),
            "took longer than 1 s");
}

TEST(Sandbox, BoundsWhatTheChildWrites) {
  SandboxLimits limits;
  limits.output = 4 << 20;
  const auto endless = [](const SandboxWrite& write) {
    const std::vector<char> block(1 << 20);
    while (true) write(block.data(), block.size());
  };
  EXPECT_EQ(run_in_sandbox(endless, limits).failure, "gave more than 4 MiB");
}

TEST(Sandbox, BoundsMemory) {
  if (!sandbox_limits_memory()) GTEST_SKIP() << "a sanitizer reserves address space without a limit";
  SandboxLimits limits;
  limits.memory = 64 << 20;
  const auto greedy = [](const SandboxWrite& write) {
    const std::vector<char> block(128 << 20, 'x');
    write(block.data(), 1);
  };
  EXPECT_EQ(run_in_sandbox(greedy, limits).failure, "needed more than 64 MiB of memory");
}

Hdf5Tree some_tree() {
  Hdf5Tree tree;
  tree.groups[""]["list"] = {{"a", "", "long"}};
  tree.groups[""]["empty"] = {};
  tree.groups[""]["text"] = TextAttribute::text(std::string(100'000, 'x'));
  tree.groups["a/b"];
  tree.arrays["a/b/floats"] = {{2, 2}, std::vector<float>{1, 2, 3, 4}, ""};
  tree.arrays["a/doubles"] = {{1}, std::vector<double>{0.1}, ""};
  tree.arrays["scalar"] = {{}, std::vector<float>{5}, ""};
  tree.arrays["none"] = {{3, 0}, std::vector<float>{}, ""};
  return tree;
}

void expect_same(const Hdf5Tree& actual, const Hdf5Tree& expected) {
  for (const auto& [path, attributes] : expected.groups) {
    ASSERT_TRUE(actual.groups.contains(path)) << path;
    for (const auto& [name, attribute] : attributes) {
      EXPECT_EQ(actual.groups.at(path).at(name).values, attribute.values) << name;
      EXPECT_EQ(actual.groups.at(path).at(name).scalar, attribute.scalar) << name;
    }
  }
  ASSERT_EQ(actual.arrays.size(), expected.arrays.size());
  for (const auto& [path, array] : expected.arrays) {
    EXPECT_EQ(actual.arrays.at(path).shape, array.shape) << path;
    EXPECT_EQ(actual.arrays.at(path).values, array.values) << path;
    EXPECT_EQ(actual.arrays.at(path).other_type, array.other_type) << path;
  }
}

std::vector<std::byte> encoded(const Hdf5Tree& tree) {
  std::vector<std::byte> bytes;
  TreeEncoder encoder([&](const void* data, std::size_t count) {
    const auto* begin = static_cast<const std::byte*>(data);
    bytes.insert(bytes.end(), begin, begin + count);
  });
  encode(tree, encoder);
  return bytes;
}

TEST(TreeCodec, GivesTheTreeBack) {
  Hdf5Tree tree = some_tree();
  tree.arrays["other"] = {{4}, {}, "8-bit integers"};
  expect_same(decode_tree(encoded(tree)), tree);
}

TEST(TreeCodec, RefusesEveryTruncationAndWhatFollowsTheEnd) {
  Hdf5Tree tree = some_tree();
  tree.groups[""].erase("text");
  std::vector<std::byte> bytes = encoded(tree);
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_THROW(decode_tree(std::span(bytes).first(size)), FileError) << size;
  }
  bytes.push_back(std::byte{0});
  EXPECT_THAT(file_error([&] { decode_tree(bytes); }), HasSubstr("more than it should"));
}

TEST(TreeCodec, RefusesShapesThatOverflow) {
  for (const std::int64_t extent : {std::int64_t{1} << 62, std::int64_t{-1}}) {
    Hdf5Tree tree;
    tree.arrays["x"] = {{extent, 8}, std::vector<float>{}, ""};
    EXPECT_THAT(file_error([&] { decode_tree(encoded(tree)); }), HasSubstr("impossible shape"));
  }
  Hdf5Tree tree;
  tree.arrays["x"] = {std::vector<std::int64_t>(9, 1), std::vector<float>{1}, ""};
  EXPECT_THAT(file_error([&] { decode_tree(encoded(tree)); }), HasSubstr("rank 9"));
}

// As a child writes it: this process is to stay without the library.
SandboxResult written_tree() {
  return run_in_sandbox([](const SandboxWrite& write) {
    const auto bytes = format_hdf5(some_tree());
    write(bytes.data(), bytes.size());
  });
}

// Through the library and back, as two children.
TEST(Hdf5, GivesTheTreeBack) {
  const SandboxResult image = written_tree();
  ASSERT_EQ(image.failure, "");
  const SandboxResult parsed = run_in_sandbox([&](const SandboxWrite& write) {
    TreeEncoder tree(write);
    parse_hdf5(image.output, tree);
    tree.end();
  });
  ASSERT_EQ(parsed.failure, "");
  expect_same(decode_tree(parsed.output), some_tree());
}

TEST(Hdf5, EqualTreesAreEqualBytesAtAnyTime) {
  const SandboxResult first = written_tree();
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));  // HDF5 counts seconds
  EXPECT_EQ(text_of(first.output), text_of(written_tree().output));
}

struct Zip {
  std::string bytes;
  std::vector<ZipEntry> entries() const { return zip_entries(std::as_bytes(std::span(bytes))); }
  std::string unpacked(const ZipEntry& entry) const {
    std::string text;
    unzip(std::as_bytes(std::span(bytes)), entry, [&](std::span<const std::byte> piece) {
      text.append(reinterpret_cast<const char*>(piece.data()), piece.size());
    });
    return text;
  }
};

TEST(Zip, ReadsStoredAndDeflatedEntries) {
  for (const char* name : {"tiny.keras", "mobilenet_v2_035_96.keras"}) {
    const Zip zip{test::read_bytes(fixture(name))};
    const auto entries = zip.entries();
    ASSERT_EQ(entries.size(), 3u);
    const auto config = std::ranges::find(entries, "config.json", &ZipEntry::name);
    ASSERT_NE(config, entries.end());
    EXPECT_EQ(config->method, std::string(name) == "tiny.keras" ? 0u : 8u);
    EXPECT_THAT(zip.unpacked(*config), testing::StartsWith("{\"module\": \"keras"));
  }
}

TEST(Zip, NoticesDamage) {
  const Zip whole{test::read_bytes(fixture("mobilenet_v2_035_96.keras"))};
  const auto entries = whole.entries();
  const ZipEntry weights = *std::ranges::find(entries, "model.weights.h5", &ZipEntry::name);
  Zip flipped = whole;
  flipped.bytes[weights.header + 20'000] ^= 1;
  EXPECT_THAT(
      file_error([&] { flipped.unpacked(weights); }),
      testing::AnyOf(HasSubstr("fails its checksum"), HasSubstr("cannot be unpacked"), HasSubstr("larger")));
  ZipEntry lying = weights;
  lying.size = 100;
  EXPECT_THAT(file_error([&] { whole.unpacked(lying); }), HasSubstr("is larger than the directory says"));
  lying = weights;
  lying.method = 12;
  EXPECT_THAT(file_error([&] { whole.unpacked(lying); }), HasSubstr("packed in an unknown way"));
  for (std::size_t size = 0; size < whole.bytes.size(); size += 997) {
    const Zip cut{whole.bytes.substr(0, size)};
    EXPECT_THROW(cut.entries(), FileError) << size;
  }
}

// RFC 1321, A.5, and lengths around the block of 64 bytes.
TEST(Md5, AgreesWithThePublishedValues) {
  const auto md5 = [](std::string_view text) {
    Md5 digest;
    digest.add(std::as_bytes(std::span(text)));
    return digest.finish();
  };
  EXPECT_EQ(md5(""), "d41d8cd98f00b204e9800998ecf8427e");
  EXPECT_EQ(md5("abc"), "900150983cd24fb0d6963f7d28e17f72");
  EXPECT_EQ(md5("message digest"), "f96b697d7cb7938d525a2f31aaf161d0");
  EXPECT_EQ(md5("12345678901234567890123456789012345678901234567890123456789012345678901234567890"),
            "57edf4a22be3c955ac49da2e2107b67a");
  EXPECT_EQ(md5(std::string(55, 'a')), "ef1772b6dff9a122358552954ad0df65");
  EXPECT_EQ(md5(std::string(56, 'a')), "3b0c8ac703f828b04c6c197006d17218");
  EXPECT_EQ(md5(std::string(64, 'a')), "014842d480b571495a4a0363793f7367");
}

TEST(FileKind, TellsCommonMistakes) {
  EXPECT_EQ(kind_of("\xFF\xD8\xFF\xE0"), FileKind::jpeg);
  EXPECT_EQ(kind_of(std::string_view("\x1C\0\0\0TFL3", 8)), FileKind::tflite);
  EXPECT_EQ(kind_of("version https://git-lfs.github.com/spec/v1\n"), FileKind::git_lfs);
  EXPECT_EQ(kind_of("<!DOCTYPE html>"), FileKind::html);
  EXPECT_EQ(kind_of("0 cardboard\n"), FileKind::text);
  EXPECT_EQ(kind_of(std::string_view("\0\1", 2)), FileKind::unknown);
  EXPECT_EQ(kind_of(""), FileKind::unknown);
}

}  // namespace
}  // namespace pila::containers_test
