#include "weights/download.h"

#include <curl/curl.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>
#include <mutex>
#include <system_error>

#include "engine/core/error.h"
#include "weights/file_kind.h"
#include "weights/md5.h"

namespace pila {
namespace {

constexpr long kMostRedirects = 5;

// The file that grows. Locked: two processes must not append to the same one.
class PartFile {
 public:
  explicit PartFile(const std::filesystem::path& path)
      : path_(path), descriptor_(open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0666)) {
    if (descriptor_ < 0) {
      throw FileError(path.string() + ": cannot be created: " + std::strerror(errno));
    }
    if (flock(descriptor_, LOCK_EX | LOCK_NB) != 0) {
      close(descriptor_);
      throw FileError(path.string() + ": another process is downloading it");
    }
  }
  ~PartFile() { close(descriptor_); }
  PartFile(const PartFile&) = delete;
  PartFile& operator=(const PartFile&) = delete;

  const std::filesystem::path& path() const { return path_; }

  std::uint64_t bytes() const {
    struct stat status {};
    fstat(descriptor_, &status);
    return static_cast<std::uint64_t>(status.st_size);
  }

  std::string beginning(std::size_t count) const {
    std::string text(count, '\0');
    const ssize_t got = pread(descriptor_, text.data(), count, 0);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
  }

  bool append(const char* data, std::size_t bytes) {
    while (bytes > 0) {
      const ssize_t written = write(descriptor_, data, bytes);
      if (written < 0 && errno != EINTR) {
        error_ = std::strerror(errno);
        return false;
      }
      data += written > 0 ? written : 0;
      bytes -= written > 0 ? static_cast<std::size_t>(written) : 0;
    }
    return true;
  }
  const std::string& error() const { return error_; }

  bool sync() const { return fsync(descriptor_) == 0; }
  bool restart() const { return ftruncate(descriptor_, 0) == 0; }
  void remove() const { unlink(path_.c_str()); }

 private:
  std::filesystem::path path_;
  int descriptor_;
  std::string error_;
};

// One transfer's state, which libcurl's callbacks see.
struct Transfer {
  const Download& request;
  PartFile& part;
  std::uint64_t resumed_at;
  bool given_up = false;
};

std::size_t on_data(char* data, std::size_t, std::size_t bytes, void* user) {
  return static_cast<Transfer*>(user)->part.append(data, bytes) ? bytes : 0;
}

int on_progress(void* user, curl_off_t total, curl_off_t arrived, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  if (!transfer.request.progress) {
    return 0;
  }
  const std::uint64_t all =
      total > 0 ? transfer.resumed_at + static_cast<std::uint64_t>(total) : transfer.request.bytes;
  transfer.given_up =
      !transfer.request.progress(transfer.resumed_at + static_cast<std::uint64_t>(arrived), all);
  return transfer.given_up ? 1 : 0;
}

[[noreturn]] void fail(const Download& request, const std::string& why) {
  throw FileError(request.file.string() + ": download of " + request.url + " failed: " + why);
}

enum class Outcome { done, cannot_resume };

Outcome fetch(const Download& request, PartFile& part) {
  static std::once_flag started;
  std::call_once(started, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  const std::unique_ptr<CURL, void (*)(CURL*)> curl(curl_easy_init(), curl_easy_cleanup);
  if (!curl) {
    fail(request, "libcurl did not start");
  }
  Transfer transfer{request, part, part.bytes()};
  std::array<char, CURL_ERROR_SIZE> message{};
  const auto set = [&](CURLoption option, auto value) { curl_easy_setopt(curl.get(), option, value); };
  set(CURLOPT_URL, request.url.c_str());
#if LIBCURL_VERSION_NUM >= 0x075500
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
#else
  set(CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  set(CURLOPT_REDIR_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  set(CURLOPT_FOLLOWLOCATION, 1L);
  set(CURLOPT_MAXREDIRS, kMostRedirects);
  set(CURLOPT_FAILONERROR, 1L);
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_USERAGENT, "pila");
  set(CURLOPT_CONNECTTIMEOUT, static_cast<long>(request.patience.count()));
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(request.patience.count()));
  set(CURLOPT_RESUME_FROM_LARGE, static_cast<curl_off_t>(transfer.resumed_at));
  set(CURLOPT_ERRORBUFFER, message.data());
  set(CURLOPT_WRITEFUNCTION, on_data);
  set(CURLOPT_WRITEDATA, &transfer);
  set(CURLOPT_NOPROGRESS, 0L);
  set(CURLOPT_XFERINFOFUNCTION, on_progress);
  set(CURLOPT_XFERINFODATA, &transfer);

  const CURLcode code = curl_easy_perform(curl.get());
  long status = 0;
  curl_easy_getinfo(curl.get(), CURLINFO_RESPONSE_CODE, &status);
  if (code == CURLE_OK) {
    return Outcome::done;
  }
  constexpr long kRangeNotSatisfiable = 416;
  if (transfer.resumed_at > 0 && (code == CURLE_RANGE_ERROR || status == kRangeNotSatisfiable)) {
    return Outcome::cannot_resume;
  }
  if (transfer.given_up) {
    fail(request, "given up");
  }
  if (!part.error().empty()) {
    fail(request, "cannot be written: " + part.error());
  }
  fail(request, message[0] != '\0' ? message.data() : curl_easy_strerror(code));
}

// Why what arrived is not the file; empty when it is.
std::string mismatch(const Download& request, const PartFile& part) {
  if (request.bytes != 0 && part.bytes() != request.bytes) {
    return "expected " + std::to_string(request.bytes) + " bytes, got " + std::to_string(part.bytes());
  }
  if (const std::string beginning = part.beginning(request.signature.size());
      beginning != request.signature) {
    return "expected " + describe(kind_of(request.signature)) + ", got " + describe(kind_of(beginning));
  }
  if (!request.md5.empty()) {
    if (const std::string md5 = md5_of_file(part.path()); md5 != request.md5) {
      return "expected MD5 " + request.md5 + ", got " + md5;
    }
  }
  return {};
}

}  // namespace

void download(const Download& request) {
  std::error_code error;
  if (request.file.has_parent_path()) {
    std::filesystem::create_directories(request.file.parent_path(), error);
    if (error) {
      throw FileError(request.file.parent_path().string() + ": cannot be created: " + error.message());
    }
  }
  PartFile part(request.file.string() + ".part");
  // A part from earlier may be of another file: then once more, from the start.
  for (bool resumed = part.bytes() > 0;; resumed = false) {
    const bool complete = request.bytes != 0 && part.bytes() == request.bytes;
    const bool arrived = complete || fetch(request, part) == Outcome::done;
    const std::string wrong = arrived ? mismatch(request, part) : "it cannot be gone on with";
    if (wrong.empty()) {
      break;
    }
    if (!resumed || !part.restart()) {
      part.remove();
      fail(request, wrong);
    }
  }
  if (!part.sync()) {
    fail(request, std::string("cannot be written: ") + std::strerror(errno));
  }
  std::filesystem::rename(part.path(), request.file, error);
  if (error) {
    fail(request, "cannot be put in its place: " + error.message());
  }
}

}  // namespace pila
