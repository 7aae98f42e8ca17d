// pila-export: gives a model to other programs.
#include <CLI/CLI.hpp>

#include "apps/core/command.h"
#include "apps/export/export_command.h"

int main(int argc, char** argv) {
  CLI::App app("Writes a model in the format of another program.", "pila-export");
  pila::ExportOptions options;
  app.add_option("--model", options.model, "Keras HDF5 file: what pila-finetune writes, or a whole model")
      ->required()
      ->type_name("FILE");
  app.add_option("--to", options.to, "the format")
      ->required()
      ->check(CLI::IsMember({"onnx", "keras"}))
      ->type_name("onnx|keras");
  app.add_option("--out", options.out, "the file to write; replaced when it is complete")
      ->required()
      ->type_name("FILE");
  app.add_option("--labels", options.labels, "onnx: names of the classes, one a line, in the model's order")
      ->type_name("FILE");
  app.add_option("--batch", options.batch, "onnx: how many images a run takes, 0 for any number")
      ->check(CLI::Range(0, 1024))
      ->capture_default_str()
      ->type_name("N");
  app.footer(
      "onnx: opset 17. Input \"input\": float32 [N, height, width, 3], RGB pixels * scale + offset. Outputs\n"
      "\"logits\" and \"probabilities\". The metadata have classes, input_size, scale, offset, temperature\n"
      "and threshold, in JSON.\n"
      "keras: the weights alone, for load_weights() of a Keras model of the same layers.\n"
      "Exit code: 0 done, 1 failed, 2 wrong usage.");
  return pila::run_command(app, argc, argv, [&] { return pila::export_command(options); });
}
