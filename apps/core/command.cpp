#include "apps/core/command.h"

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdio>
#include <new>

#include "apps/core/build_facts.h"
#include "engine/core/error.h"

namespace pila {
namespace {

volatile std::sig_atomic_t signal_came = 0;

extern "C" void remember_signal(int) { signal_came = 1; }

// Messages of libraries may have several lines; people get one.
std::string one_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

}  // namespace

Failure failure_of(const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const CLI::ParseError& error) {
    return {std::string(error.what()) + "; see --help", kMisused};
  } catch (const UsageError& error) {
    return {error.what(), kMisused};
  } catch (const std::bad_alloc&) {
    return {"not enough memory", kFailed};
  } catch (const std::exception& error) {
    return {error.what(), kFailed};
  }
}

void print_failure(const std::string& program, const std::string& message) {
  std::fprintf(stderr, "%s: %s\n", program.c_str(), one_line(message).c_str());
}

int run_command(CLI::App& app, int argc, char** argv, const std::function<int()>& work, bool silent) {
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGXFSZ, SIG_IGN);
  struct sigaction action = {};
  action.sa_handler = remember_signal;
  action.sa_flags = SA_RESETHAND;  // a second one ends the program at once
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);

  app.set_version_flag("--version", app.get_name() + " " + build_facts());
  try {
    app.parse(argc, argv);
    return work();
  } catch (const CLI::Success& asked) {  // --help, --version
    if (!silent) app.exit(asked);
    return kDone;
  } catch (const std::exception&) {
    const Failure failure = failure_of(std::current_exception());
    if (!silent) print_failure(app.get_name(), failure.message);
    return failure.code;
  }
}

bool interrupted() { return signal_came != 0; }

}  // namespace pila
