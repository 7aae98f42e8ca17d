// pila-evaluate: measures a model on labelled photographs.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "apps/core/device.h"
#include "apps/core/precision.h"
#include "apps/report/evaluate_command.h"

int main(int argc, char** argv) {
  CLI::App app("Measures a model on labelled photographs: a folder for each class.", "pila-evaluate");
  pila::EvaluateOptions options;
  app.add_option("--model", options.model, "Keras HDF5 file: what pila-finetune writes, or a whole model")
      ->required()
      ->type_name("FILE");
  app.add_option("--labels", options.labels, "names of the classes, one a line, in the model's order")
      ->type_name("FILE");
  app.add_option("--data", options.data, "DIR/<class>/* or DIR/<part>/<class>/*")
      ->required()
      ->type_name("DIR");
  app.add_option("--part", options.part, "which images of a folder that is divided")
      ->check(CLI::IsMember({"train", "val", "test", "all"}))
      ->capture_default_str()
      ->type_name("train|val|test|all");
  app.add_option("--exclude", options.exclude, "leave this class out; may be given several times")
      ->type_name("CLASS");
  app.add_option("--unknown", options.unknown, "pictures of none of the classes: how many are rejected?")
      ->type_name("DIR");
  app.add_option("--out", options.out, "write report.json, report.txt and pictures into DIR")
      ->type_name("DIR");
  app.add_option("--json", options.json, "write report.json to FILE, or to standard output (-)")
      ->type_name("FILE|-");
  app.add_option("--gradcam", options.gradcam, "with --out: show for N pictures where the network looks")
      ->check(CLI::Range(0, 100000))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--batch", options.batch, "how many images the network takes at a time")
      ->check(CLI::Range(1, 1024))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threads", options.threads, "threads of the network on the processor, 0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  pila::add_device_option(app, options.device);
  pila::add_precision_option(app, options.precision);
  app.footer(
      "The report goes to standard output, all else to standard error.\n"
      "Images that cannot be read are reported and skipped.\n"
      "Exit code: 0 done, 1 failed, 2 wrong usage.");
  return pila::run_command(app, argc, argv, [&] { return pila::evaluate_command(options); });
}
