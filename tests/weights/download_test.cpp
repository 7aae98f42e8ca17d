// Known files and how they get here, from a server on the loopback that this test runs.
#include "weights/download.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <mutex>
#include <thread>

#include "tests/weights/support.h"
#include "weights/known_files.h"
#include "weights/md5.h"

namespace pila {
namespace {

using test::file_error;
using test::read_bytes;
using test::TemporaryFolder;
using test::write_bytes;
using testing::HasSubstr;

std::string content() {
  std::string bytes = "\x89HDF\r\n\x1A\n";
  for (int i = 0; i < 300'000; ++i) bytes += static_cast<char>(i * 31 >> 3);
  return bytes;
}

std::string md5_of(const std::string& text) {
  Md5 md5;
  md5.add(std::as_bytes(std::span(text)));
  return md5.finish();
}

// Serves content() at /file (with ranges), /no_ranges, /cut (an answer that breaks off) and a page at /page.
class Server {
 public:
  Server() {
    server_.Get("/file", [this](const httplib::Request& request, httplib::Response& response) {
      const std::lock_guard lock(mutex_);
      ranges_.push_back(request.get_header_value("Range"));
      response.set_content(content(), "application/octet-stream");
    });
    server_.Get("/no_ranges", [](const httplib::Request& request, httplib::Response& response) {
      const_cast<httplib::Request&>(request).ranges.clear();
      response.set_content(content(), "application/octet-stream");
    });
    server_.Get("/page", [](const httplib::Request&, httplib::Response& response) {
      response.set_content("<html>Please log in</html>", "text/html");
    });
    server_.Get("/moved",
                [](const httplib::Request&, httplib::Response& response) { response.set_redirect("/file"); });
    server_.Get("/local", [](const httplib::Request&, httplib::Response& response) {
      response.set_redirect("file:///etc/hostname");
    });
    server_.Get("/cut", [](const httplib::Request&, httplib::Response& response) {
      response.set_content_provider(content().size(), "application/octet-stream",
                                    [](std::size_t offset, std::size_t, httplib::DataSink& sink) {
                                      if (offset >= 100'000) return false;
                                      return sink.write(content().data() + offset, 50'000);
                                    });
    });
    port_ = server_.bind_to_any_port("127.0.0.1");
    thread_ = std::thread([this] { server_.listen_after_bind(); });
    // A stop before it listens is forgotten, and the thread would listen for ever.
    while (!server_.is_running()) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ~Server() {
    server_.stop();
    thread_.join();
  }
  std::string url(const std::string& path) const {
    return "http://127.0.0.1:" + std::to_string(port_) + path;
  }
  std::vector<std::string> ranges() {
    const std::lock_guard lock(mutex_);
    return ranges_;
  }

 private:
  httplib::Server server_;
  int port_ = 0;
  std::thread thread_;
  std::mutex mutex_;
  std::vector<std::string> ranges_;
};

class DownloadTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("no_proxy", "127.0.0.1", 1);
    server_ = std::make_unique<Server>();
  }
  static void TearDownTestSuite() { server_.reset(); }

  Download request(const std::string& path) const {
    Download request;
    request.url = server_->url(path);
    request.file = folder_ / "cache/file.h5";
    request.patience = std::chrono::seconds(5);
    return request;
  }
  std::filesystem::path part() const { return folder_ / "cache/file.h5.part"; }
  void begin_with(const std::string& bytes) const {
    std::filesystem::create_directories(part().parent_path());
    write_bytes(part(), bytes);
  }

  static inline std::unique_ptr<Server> server_;
  TemporaryFolder folder_;
};

TEST_F(DownloadTest, FetchesChecksAndRenames) {
  Download wanted = request("/moved");
  wanted.bytes = content().size();
  wanted.md5 = md5_of(content());
  std::uint64_t last = 0, total = 0;
  wanted.progress = [&](std::uint64_t arrived, std::uint64_t all) {
    EXPECT_GE(arrived, last);
    last = arrived;
    total = all;
    return true;
  };
  download(wanted);
  EXPECT_EQ(read_bytes(wanted.file), content());
  EXPECT_FALSE(std::filesystem::exists(part()));
  EXPECT_EQ(last, content().size());
  EXPECT_EQ(total, content().size());
}

TEST_F(DownloadTest, GoesOnWhereItEnded) {
  begin_with(content().substr(0, 123'456));
  Download wanted = request("/file");
  wanted.md5 = md5_of(content());
  download(wanted);
  EXPECT_EQ(read_bytes(wanted.file), content());
  EXPECT_EQ(server_->ranges().back(), "bytes=123456-");
}

TEST_F(DownloadTest, BeginsAgainWhereTheServerCannotGoOn) {
  begin_with("something old");
  Download wanted = request("/no_ranges");
  wanted.md5 = md5_of(content());
  download(wanted);
  EXPECT_EQ(read_bytes(wanted.file), content());
}

TEST_F(DownloadTest, BeginsAgainWhenThePartIsLongerThanTheFile) {
  begin_with(content() + "more");
  Download wanted = request("/file");
  wanted.md5 = md5_of(content());
  download(wanted);
  EXPECT_EQ(read_bytes(wanted.file), content());
}

TEST_F(DownloadTest, KeepsWhatArrivedWhenItIsCutOff) {
  EXPECT_THAT(file_error([&] { download(request("/cut")); }),
              HasSubstr("download of " + server_->url("/cut") + " failed"));
  EXPECT_EQ(read_bytes(part()), content().substr(0, 100'000));
  download(request("/file"));
  EXPECT_EQ(read_bytes(request("").file), content());
  EXPECT_EQ(server_->ranges().back(), "bytes=100000-");
}

TEST_F(DownloadTest, RefusesWhatIsNotTheFile) {
  Download wanted = request("/file");
  wanted.md5 = std::string(32, '0');
  EXPECT_THAT(file_error([&] { download(wanted); }),
              HasSubstr("expected MD5 00000000000000000000000000000000, got " + md5_of(content())));
  wanted = request("/file");
  wanted.bytes = 17;
  EXPECT_THAT(file_error([&] { download(wanted); }), HasSubstr("expected 17 bytes, got 300008"));
  wanted = request("/page");
  wanted.signature = content().substr(0, 8);
  EXPECT_THAT(file_error([&] { download(wanted); }), HasSubstr("expected HDF5, got a web page"));
  EXPECT_FALSE(std::filesystem::exists(wanted.file));
  EXPECT_FALSE(std::filesystem::exists(part())) << "a wrong beginning must not be gone on with";
}

TEST_F(DownloadTest, NamesTheUrlWhenThereIsNoFile) {
  EXPECT_THAT(file_error([&] { download(request("/absent")); }),
              testing::AllOf(HasSubstr(server_->url("/absent")), HasSubstr("404")));
  Download nobody = request("/file");
  nobody.url = "http://127.0.0.1:1/file";
  EXPECT_THAT(file_error([&] { download(nobody); }), HasSubstr("download of http://127.0.0.1:1/file failed"));
  Download local = request("/local");
  EXPECT_THAT(file_error([&] { download(local); }), HasSubstr("/local failed"))
      << "only http and https are followed";
}

TEST_F(DownloadTest, CanBeGivenUp) {
  Download wanted = request("/file");
  wanted.progress = [](std::uint64_t, std::uint64_t) { return false; };
  EXPECT_THAT(file_error([&] { download(wanted); }), HasSubstr("given up"));
  EXPECT_FALSE(std::filesystem::exists(wanted.file));
}

TEST_F(DownloadTest, LeavesAPartThatIsTakenAlone) {
  std::atomic<bool> inside = false;
  Download slow = request("/file");
  std::string error;
  slow.progress = [&](std::uint64_t, std::uint64_t) {
    if (!inside.exchange(true)) error = file_error([&] { download(request("/file")); });
    return true;
  };
  download(slow);
  EXPECT_THAT(error, HasSubstr("another process is downloading it"));
}

// Sets a variable of the environment for one test.
class Variable {
 public:
  Variable(const char* name, const std::string& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before, had_ = true;
    setenv(name, value.c_str(), 1);
  }
  ~Variable() {
    if (had_) {
      setenv(name_, before_.c_str(), 1);
    } else {
      unsetenv(name_);
    }
  }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  const char* name_;
  std::string before_;
  bool had_ = false;
};

TEST(KnownFiles, FollowKerasRules) {
  EXPECT_EQ(known_files().size(), 4u * 5 * 2 + 2 * 2 + 4);
  ModelSpec spec;
  spec.width = 0.35;
  EXPECT_EQ(find_known_file(spec, false)->url,
            "https://storage.googleapis.com/tensorflow/keras-applications/mobilenet_v2/"
            "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_0.35_224_no_top.h5");
  spec.input_height = spec.input_width = 96;
  EXPECT_THAT(find_known_file(spec, true)->name, testing::EndsWith("_0.35_96.h5"));
  spec.input_width = 128;
  EXPECT_THAT(find_known_file(spec, true)->name, testing::EndsWith("_0.35_224.h5"))
      << "not square: as trained at 224";
  spec.width = 0.4;
  EXPECT_EQ(find_known_file(spec, true), nullptr);
  spec.network = "resnet50_v2";
  spec.width = 1;
  EXPECT_EQ(find_known_file(spec, true)->md5, "3ef43a0b657b3be2300d5770ece849e0");
}

TEST(KnownFiles, AreFoundInTheFoldersWithoutTheInternet) {
  const TemporaryFolder own, cache;
  const Variable weights_dir("PILA_WEIGHTS_DIR", own.path().string());
  const Variable cache_home("XDG_CACHE_HOME", cache.path().string());
  ModelSpec spec;
  const KnownFile& file = *find_known_file(spec, false);
  const std::string error = file_error([&] { resolve_weights("imagenet", spec); });
  EXPECT_THAT(error,
              testing::AllOf(testing::StartsWith(file.name + ": expected it in " + own.path().string()),
                             HasSubstr((cache / "pila").string()), HasSubstr(file.url)));
  const std::string with_top = find_known_file(spec, true)->name;
  write_bytes(own / with_top, "x");
  EXPECT_EQ(resolve_weights("imagenet", spec), own / with_top) << "the file with a top has the backbone too";
  std::filesystem::create_directory(cache / "pila");
  write_bytes(cache / ("pila/" + file.name), "x");
  EXPECT_EQ(resolve_weights("imagenet", spec), cache / ("pila/" + file.name));
  write_bytes(own / file.name, "x");
  EXPECT_EQ(resolve_weights("imagenet", spec), own / file.name);
  spec.head = imagenet_head();
  EXPECT_EQ(resolve_weights("imagenet", spec), own / with_top);
}

TEST(KnownFiles, OrAnyPath) {
  const TemporaryFolder folder;
  write_bytes(folder / "mine.h5", "x");
  EXPECT_EQ(resolve_weights((folder / "mine.h5").string(), {}), folder / "mine.h5");
  EXPECT_THAT(file_error([&] { resolve_weights((folder / "none.h5").string(), {}); }),
              HasSubstr("there is no such file"));
  ModelSpec spec;
  spec.width = 0.4;
  EXPECT_THAT(file_error([&] { resolve_weights("imagenet", spec); }),
              HasSubstr("no published weights of mobilenet_v2"));
}

TEST_F(DownloadTest, BringsKnownFilesIntoTheCache) {
  const Variable weights_dir("PILA_WEIGHTS_DIR", "");
  const Variable cache_home("XDG_CACHE_HOME", folder_.path().string());
  KnownFile file{"mobilenet_v2", 1, 224, false, "file.h5", server_->url("/file"), 0, md5_of(content())};
  EXPECT_THAT(file_error([&] { resolve(file); }), HasSubstr(file.url));
  ResolveOptions options;
  options.download = true;
  EXPECT_EQ(resolve(file, options), folder_ / "pila/file.h5");
  EXPECT_EQ(read_bytes(resolve(file)), content());
  file.name = "page.h5";
  file.url = server_->url("/page");
  EXPECT_THAT(file_error([&] { resolve(file, options); }),
              HasSubstr("put the file into " + (folder_ / "pila").string()));
}

}  // namespace
}  // namespace pila
