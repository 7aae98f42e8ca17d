#include "apps/live/line_writer.h"

#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <utility>

#include "engine/core/error.h"

namespace pila {
namespace {

constexpr std::string_view kTcp = "tcp://";

class FileLines : public LineWriter {
 public:
  FileLines(std::string name, std::FILE* file) : name_(std::move(name)), file_(file) {
    check(file != nullptr);
  }
  ~FileLines() override {
    if (file_ != stdout && file_ != nullptr) std::fclose(file_);
  }
  FileLines(const FileLines&) = delete;
  FileLines& operator=(const FileLines&) = delete;

  void write_line(std::string_view line) override {
    const std::string text = std::string(line) + "\n";
    check(std::fwrite(text.data(), 1, text.size(), file_) == text.size() && std::fflush(file_) == 0);
  }

 private:
  void check(bool good) {
    if (good) return;
    const std::string why = errno == EPIPE ? "was closed by its reader"
                                           : std::string("cannot be written: ") + std::strerror(errno);
    if (file_ != nullptr) std::clearerr(file_);  // there may be room again
    throw FileError(name_ + ": " + why);
  }

  const std::string name_;
  std::FILE* file_;
};

class TcpLines : public LineWriter {
 public:
  explicit TcpLines(const std::string& target) : name_(target) {
    const std::string address = target.substr(kTcp.size());
    const auto colon = address.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == address.size() ||
        address.find_first_not_of("0123456789", colon + 1) != std::string::npos) {
      throw UsageError(target + ": tcp://HOST:PORT is expected");
    }
    host_ = address.substr(0, colon);
    if (host_.size() > 2 && host_.front() == '[' && host_.back() == ']')
      host_ = host_.substr(1, host_.size() - 2);
    port_ = address.substr(colon + 1);
  }
  ~TcpLines() override { disconnect(); }
  TcpLines(const TcpLines&) = delete;
  TcpLines& operator=(const TcpLines&) = delete;

  void write_line(std::string_view line) override {
    if (socket_ < 0) connect();
    const std::string text = std::string(line) + "\n";
    const auto until = Clock::now() + kPatience;
    for (std::size_t sent = 0; sent < text.size();) {
      const ssize_t count = send(socket_, text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
      if (count >= 0) {
        sent += static_cast<std::size_t>(count);
      } else if (errno == EAGAIN) {
        wait(POLLOUT, until);
      } else if (errno != EINTR) {
        fail(std::strerror(errno));
      }
    }
  }

 private:
  using Clock = std::chrono::steady_clock;
  static constexpr std::chrono::milliseconds kPatience{1000};

  // Name and addresses are tried in turn.
  void connect() {
    addrinfo hints = {}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    if (const int error = getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found); error != 0) {
      throw FileError(name_ + ": " + gai_strerror(error));
    }
    const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> addresses(found, &freeaddrinfo);
    std::string why = "no address";
    for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
      socket_ = socket(at->ai_family, at->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at->ai_protocol);
      if (socket_ < 0) continue;
      if (::connect(socket_, at->ai_addr, at->ai_addrlen) == 0) return;
      int error = errno;
      if (error == EINPROGRESS && ready(POLLOUT, Clock::now() + kPatience)) {
        socklen_t size = sizeof error;
        getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
        if (error == 0) return;
      }
      why = std::strerror(error);
      disconnect();
    }
    fail(why);
  }

  bool ready(short events, Clock::time_point until) const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(until - Clock::now());
    pollfd wanted = {socket_, events, 0};
    return left.count() > 0 && poll(&wanted, 1, static_cast<int>(left.count())) > 0;
  }
  void wait(short events, Clock::time_point until) {
    if (!ready(events, until)) fail("takes no more lines");
  }
  [[noreturn]] void fail(const std::string& why) {
    disconnect();
    throw FileError(name_ + ": " + why);
  }
  void disconnect() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }

  const std::string name_;
  std::string host_, port_;
  int socket_ = -1;
};

}  // namespace

std::unique_ptr<LineWriter> open_lines(const std::string& target) {
  if (target == "-") return std::make_unique<FileLines>("standard output", stdout);
  if (target.starts_with(kTcp)) return std::make_unique<TcpLines>(target);
  return std::make_unique<FileLines>(target, std::fopen(target.c_str(), "w"));
}

}  // namespace pila
