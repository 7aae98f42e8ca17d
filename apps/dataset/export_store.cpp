// pila-dataset export: a store's pictures as a folder for each class.
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <memory>

#include "apps/core/command.h"
#include "apps/dataset/subcommands.h"
#include "apps/store/store_pictures.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

struct ExportOptions {
  fs::path store, folder;
  bool all = false;
};

int export_store(const ExportOptions& options) {
  PictureChoice choice;
  if (options.all) choice = {.least_probability = 0, .doubtful = true};
  const ExportedPictures exported =
      export_pictures(options.store, options.folder, choice, [] { return !interrupted(); });
  for (const std::string& warning : exported.warnings) fmt::print(stderr, "warning: {}\n", warning);
  fmt::print(stderr, "{} pictures written to {}\n", exported.pictures, options.folder.string());
  return kDone;
}

}  // namespace

void add_export(CLI::App& app, Work& work) {
  const auto options = std::make_shared<ExportOptions>();
  CLI::App* command = app.add_subcommand(
      "export",
      "Writes the pictures of a store of pila-live that people have labelled: DIR/<label>/<id>.jpg.");
  command->add_option("store", options->store, "the store")->required()->type_name("STORE");
  command->add_option("--out", options->folder, "folder for the pictures: new or empty")
      ->required()
      ->type_name("DIR");
  command->add_flag("--all", options->all,
                    "also those that nobody has looked at, under the label that was decided");
  command->callback([options, &work] { work = [options] { return export_store(*options); }; });
}

}  // namespace pila
