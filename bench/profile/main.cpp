// pila-profile: where a network's time goes, operation by operation or layer by layer beside other people's
// kernels, and how far that is from what the machine could do.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "bench/profile/profile.h"

int main(int argc, char** argv) {
  CLI::App app(
      "Measures a network's compiled plan, operation by operation; with --network its layers and blocks, "
      "beside "
      "the roofline and a library's.",
      "pila-profile");
  pila::bench::ProfileOptions options;
  pila::bench::add_options(app, options);
  return pila::run_command(app, argc, argv, [&] {
    pila::bench::check(options);
    options.network.empty() ? pila::bench::profile_plan(options) : pila::bench::profile_layers(options);
    return pila::kDone;
  });
}
