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

int report(const CLI::App& app, const std::string& message, ExitCode code) {
  std::fprintf(stderr, "%s: %s\n", app.get_name().c_str(), one_line(message).c_str());
  return code;
}

}  // namespace

int run_command(CLI::App& app, int argc, char** argv, const std::function<int()>& work) {
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
  } catch (const CLI::Success& asked) {  // --help, --version
    app.exit(asked);
    return kDone;
  } catch (const CLI::ParseError& error) {
    return report(app, std::string(error.what()) + "; see --help", kMisused);
  }
  try {
    return work();
  } catch (const UsageError& error) {
    return report(app, error.what(), kMisused);
  } catch (const std::bad_alloc&) {
    return report(app, "not enough memory", kFailed);
  } catch (const std::exception& error) {
    return report(app, error.what(), kFailed);
  }
}

bool interrupted() { return signal_came != 0; }

}  // namespace pila
