// pila-export: gives a model to other programs, or makes it run in int8.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "apps/export/export_command.h"
#include "engine/core/error.h"

int main(int argc, char** argv) {
  CLI::App app("Writes a model in the format of another program, or as one that runs in int8.",
               "pila-export");
  pila::ExportOptions options;
  app.add_option("--model", options.model, "Keras HDF5 file: what pila-finetune writes, or a whole model")
      ->required()
      ->type_name("FILE");
  auto* to = app.add_option("--to", options.to, "another program's format")
                 ->check(CLI::IsMember({"onnx", "keras"}))
                 ->type_name("onnx|keras");
  std::string precision;
  auto* int8 = app.add_option("--precision", precision, "what the network's products are to be computed in")
                   ->check(CLI::IsMember({"int8"}))
                   ->excludes(to)
                   ->type_name("int8");
  app.add_option("--out", options.out, "the file to write; replaced when it is complete")
      ->required()
      ->type_name("FILE");
  app.add_option("--labels", options.labels,
                 "onnx, int8: names of the classes, one a line, in the model's order")
      ->type_name("FILE");
  app.add_flag("--no-top", options.no_top, "keras: the backbone alone, as Keras' include_top=False has it");
  app.add_option("--batch", options.batch, "onnx: how many images a run takes, 0 for any number")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  auto* calibrate = app.add_option("--calibrate", options.int8.calibrate,
                                   "int8: pictures like those to come, to learn from how large numbers get")
                        ->needs(int8)
                        ->type_name("DIR");
  int8->needs(calibrate);
  app.add_option("--data", options.int8.data,
                 "int8: DIR/<class>/*, where accuracy is measured (default: in --calibrate)")
      ->needs(int8)
      ->type_name("DIR");
  app.add_option("--max-drop", options.int8.max_drop,
                 "int8: write nothing when more accuracy is lost, in percentage points")
      ->needs(int8)
      ->check(CLI::Range(0.0, 100.0))
      ->capture_default_str()
      ->type_name("POINTS");
  app.add_option("--images", options.int8.images, "int8: how many pictures of --calibrate to take, at most")
      ->needs(int8)
      ->check(CLI::Range(16, 100000))
      ->capture_default_str()
      ->type_name("N");
  app.add_option("--threads", options.threads, "int8: threads of the network, 0 for all cores")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  app.footer(
      "onnx: opset 17. Input \"input\": float32 [N, height, width, 3], RGB pixels * scale + offset. Outputs\n"
      "\"logits\" and \"probabilities\". The metadata have classes, input_size, scale, offset, temperature\n"
      "and threshold, in JSON.\n"
      "keras: the weights alone, for load_weights() of a Keras model of the same layers.\n"
      "int8: a model like any other, with the same weights, and with ranges by which pila-live and\n"
      "pila-evaluate run it in int8. Of several ways to find the ranges the one that loses least on the\n"
      "pictures is taken. Right answers before and after are printed; where no folder is named after a\n"
      "class of the model, how many answers stay the same.\n"
      "Exit code: 0 done, 1 failed, 2 wrong usage.");
  return pila::run_command(app, argc, argv, [&] {
    if (options.to.empty() && precision.empty()) {
      throw pila::UsageError("one of --to and --precision is expected; see --help");
    }
    return pila::export_command(options);
  });
}
