// What every command has in common: exit codes, --version, and one line for what went wrong.
#pragma once

#include <exception>
#include <functional>
#include <stdexcept>
#include <string>

namespace CLI {
class App;
}

namespace pila {

enum ExitCode : int { kDone = 0, kFailed = 1, kMisused = 2 };

// Parses the arguments, then calls `work`, which returns an exit code or throws. What is thrown becomes one
// line on stderr behind the program's name; UsageError is wrong usage. Writing into a closed pipe,
// or more than a file may hold, is an error, not a signal. A silent one, of a process that leaves it to
// another to speak, prints nothing.
int run_command(CLI::App& app, int argc, char** argv, const std::function<int()>& work, bool silent = false);

// What something thrown, a std::exception, means: the message for people, and the exit code.
struct Failure {
  std::string message;
  ExitCode code = kFailed;
};
Failure failure_of(const std::exception_ptr& thrown);
// The failure's one line on stderr, behind the program's name.
void print_failure(const std::string& program, const std::string& message);

// Whether SIGINT or SIGTERM came since run_command() began; long work looks at it and stops tidily.
bool interrupted();

}  // namespace pila
