// pila-dataset: looks at data sets, and makes them.
#include "apps/dataset/subcommands.h"

#include <CLI/CLI.hpp>

#include "apps/core/command.h"

int main(int argc, char** argv) {
  CLI::App app("Looks at folders of labelled photographs, and makes them from videos or from nothing.",
               "pila-dataset");
  app.require_subcommand(1);
  pila::Work work;
  pila::add_inspect(app, work);
  pila::add_frames(app, work);
  pila::add_synth(app, work);
  pila::add_export(app, work);
  return pila::run_command(app, argc, argv, [&] { return work(); });
}
