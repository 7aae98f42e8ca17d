#include "weights/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "engine/core/error.h"

namespace pila {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif
#else
constexpr bool kSanitized = false;
#endif

enum ExitCode : int { kDone = 0, kFailed = 81, kOutOfMemory = 82, kNoReader = 83 };

std::size_t address_space_in_use() {
  unsigned long pages = 0;
  if (std::FILE* file = std::fopen("/proc/self/statm", "re")) {
    if (std::fscanf(file, "%lu", &pages) != 1) {
      pages = 0;
    }
    std::fclose(file);
  }
  return pages * static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
}

void limit(__rlimit_resource resource, rlim_t value) {
  rlimit current{};
  getrlimit(resource, &current);
  const rlim_t bound = current.rlim_max == RLIM_INFINITY ? value : std::min(value, current.rlim_max);
  const rlimit wanted{bound, current.rlim_max};
  setrlimit(resource, &wanted);
}

// Nothing of the parent's set-up may answer for the child: its signal handlers, its terminal, its core files.
void prepare_child(const SandboxLimits& limits, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) {
    _exit(kFailed);  // the parent was gone before it could be followed
  }
  for (const int signal_number :
       {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGXCPU, SIGTERM, SIGINT, SIGALRM}) {
    signal(signal_number, SIG_DFL);
  }
  signal(SIGPIPE, SIG_IGN);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC); nowhere >= 0) {
    for (const int terminal : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
      dup2(nowhere, terminal);
    }
  }
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_CPU, static_cast<rlim_t>(limits.processor.count()));
  if (!kSanitized) {
    limit(RLIMIT_AS, address_space_in_use() + limits.memory);
  }
}

[[noreturn]] void run_child(const std::function<void(const SandboxWrite&)>& work, int pipe_end) {
  try {
    std::vector<std::byte> buffer;
    const auto flush = [&](const std::byte* data, std::size_t bytes) {
      while (bytes > 0) {
        const ssize_t written = ::write(pipe_end, data, bytes);
        if (written < 0 && errno != EINTR) {
          _exit(kNoReader);
        }
        data += std::max<ssize_t>(written, 0);
        bytes -= static_cast<std::size_t>(std::max<ssize_t>(written, 0));
      }
    };
    constexpr std::size_t kBuffer = 1 << 16;
    buffer.reserve(kBuffer);
    work([&](const void* data, std::size_t bytes) {
      const auto* begin = static_cast<const std::byte*>(data);
      if (buffer.size() + bytes > kBuffer) {
        flush(buffer.data(), buffer.size());
        buffer.clear();
      }
      if (bytes > kBuffer) {
        flush(begin, bytes);
      } else {
        buffer.insert(buffer.end(), begin, begin + bytes);
      }
    });
    flush(buffer.data(), buffer.size());
    _exit(kDone);
  } catch (const std::bad_alloc&) {
    _exit(kOutOfMemory);
  } catch (...) {
    _exit(kFailed);
  }
}

std::string describe(int status, const SandboxLimits& limits) {
  if (WIFEXITED(status)) {
    switch (WEXITSTATUS(status)) {
      case kDone:
        return {};
      case kOutOfMemory:
        return "needed more than " + std::to_string(limits.memory >> 20) + " MiB of memory";
      default:
        return "failed (exit code " + std::to_string(WEXITSTATUS(status)) + ")";
    }
  }
  const int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  if (signal_number == SIGXCPU) {
    return "took longer than " + std::to_string(limits.processor.count()) + " s";
  }
  return "crashed (signal " + std::to_string(signal_number) + ")";
}

// Reads until the child closes its end. Returns why it had to stop before that, or nothing.
std::string collect(int pipe_end, const SandboxLimits& limits, std::vector<std::byte>& output) {
  const auto deadline = std::chrono::steady_clock::now() + limits.wall;
  std::array<std::byte, 1 << 16> block;
  while (true) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return "took longer than " + std::to_string(limits.wall.count()) + " s";
    }
    pollfd waiting{pipe_end, POLLIN, 0};
    const int ready = poll(&waiting, 1, static_cast<int>(left.count()));
    if (ready < 0 && errno != EINTR) {
      return std::string("could not be waited for: ") + std::strerror(errno);
    }
    if (ready <= 0) {
      continue;
    }
    const ssize_t count = read(pipe_end, block.data(), block.size());
    if (count == 0) {
      return {};
    }
    if (count < 0) {
      if (errno == EINTR) {
        continue;
      }
      return std::string("could not be read from: ") + std::strerror(errno);
    }
    if (output.size() + static_cast<std::size_t>(count) > limits.output) {
      return "gave more than " + std::to_string(limits.output >> 20) + " MiB";
    }
    output.insert(output.end(), block.data(), block.data() + count);
  }
}

}  // namespace

bool sandbox_limits_memory() { return !kSanitized; }

SandboxResult run_in_sandbox(const std::function<void(const SandboxWrite& write)>& work,
                             const SandboxLimits& limits) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    throw Error(std::string("[sandbox] no pipe: ") + std::strerror(errno));
  }
  const pid_t parent = getpid();
  const pid_t child = fork();
  if (child < 0) {
    const int reason = errno;
    close(ends[0]);
    close(ends[1]);
    throw Error(std::string("[sandbox] no process: ") + std::strerror(reason));
  }
  if (child == 0) {
    close(ends[0]);
    // Above the places of the terminal, which a parent without one may have left free.
    const int output = fcntl(ends[1], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    prepare_child(limits, parent);
    run_child(work, output);
  }
  close(ends[1]);
  SandboxResult result;
  try {
    result.failure = collect(ends[0], limits, result.output);
  } catch (const std::bad_alloc&) {
    result.failure = "gave more than memory can hold";
  }
  close(ends[0]);
  if (!result.failure.empty()) {
    kill(child, SIGKILL);
  }
  int status = 0;
  pid_t ended;
  do {
    ended = waitpid(child, &status, 0);
  } while (ended < 0 && errno == EINTR);
  // A program that ignores SIGCHLD gets no status; then the stream's own end mark is the judge.
  if (result.failure.empty() && ended == child) {
    result.failure = describe(status, limits);
  }
  return result;
}

}  // namespace pila
