// A program of the user's, started for each shot.
#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <system_error>
#include <thread>
#include <vector>

#include "apps/eject/kinds.h"
#include "engine/core/error.h"

namespace pila {
namespace {

using std::chrono::steady_clock;
constexpr std::chrono::milliseconds kLongest{1000};

// How a program is started: in a process group of its own, without our files and signals; its output goes to
// stderr, as stdout is for results.
class SpawnOptions {
 public:
  SpawnOptions() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, STDERR_FILENO, STDOUT_FILENO);
    posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    posix_spawnattr_init(&attributes_);
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &all);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(&attributes_,
                             POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnOptions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnOptions(const SpawnOptions&) = delete;
  SpawnOptions& operator=(const SpawnOptions&) = delete;

  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

class ExecEjector : public Ejector {
 public:
  explicit ExecEjector(const std::string& program) : program_(program) {
    struct stat state {};
    if (stat(program.c_str(), &state) != 0 || !S_ISREG(state.st_mode) || access(program.c_str(), X_OK) != 0) {
      throw UsageError("exec:" + program + ": expected the path of a program that can be started");
    }
  }

  void fire(const Shot& shot) override {
    const pid_t child = start(shot);
    const auto deadline = steady_clock::now() + kLongest;
    int status = 0;
    // Asked again and again: to wait for a child with a time limit takes signals, or a newer Linux.
    pid_t ended = 0;
    while ((ended = waitpid(child, &status, WNOHANG)) == 0) {
      if (steady_clock::now() >= deadline) {
        kill(-child, SIGKILL);
        waitpid(child, &status, 0);
        throw Error(fmt::format("{}: killed, as it took longer than {} ms", program_, kLongest.count()));
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (ended < 0) throw Error(program_ + ": its end was not seen, as SIGCHLD is ignored");
    if (WIFSIGNALED(status)) throw Error(fmt::format("{}: died of signal {}", program_, WTERMSIG(status)));
    if (WEXITSTATUS(status) != 0) throw Error(fmt::format("{}: exit code {}", program_, WEXITSTATUS(status)));
  }
  std::string describe() const override { return "program " + program_; }

 private:
  pid_t start(const Shot& shot) const {
    std::vector<std::string> words = {program_, shot.bin, std::to_string(shot.item), shot.label,
                                      fmt::format("{}", shot.probability)};
    std::vector<char*> arguments;
    for (auto& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    pid_t child = 0;
    const int error = posix_spawn(&child, program_.c_str(), &options_.actions_, &options_.attributes_,
                                  arguments.data(), environ);
    if (error != 0) throw Error(program_ + ": cannot be started: " + std::generic_category().message(error));
    return child;
  }

  const std::string program_;
  const SpawnOptions options_;
};

}  // namespace

std::unique_ptr<Ejector> make_exec_ejector(const std::string& program) {
  return std::make_unique<ExecEjector>(program);
}

}  // namespace pila
