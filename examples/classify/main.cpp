// classify MODEL.h5 PICTURE.ppm: what pila-live does with one picture, in a program of one's own. Pixels come
// from a binary PPM file here, as `convert photograph.jpg picture.ppm` writes it; a camera's will do as well.
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "engine/core/context.h"
#include "engine/core/error.h"
#include "layers/planned_model.h"
#include "layers/preprocessing.h"
#include "weights/load_model.h"

namespace {

struct Picture {
  std::int64_t width = 0, height = 0;
  std::vector<std::uint8_t> rgb;  // row by row
};

Picture read_ppm(const std::string& name) {
  std::ifstream file(name, std::ios::binary);
  std::string magic;
  std::int64_t most = 0;
  Picture picture;
  file >> magic >> picture.width >> picture.height >> most;
  file.get();  // the one blank before the pixels
  const bool sound = magic == "P6" && most == 255 && picture.width > 0 && picture.height > 0 &&
                     picture.width <= 16384 && picture.height <= 16384;
  if (!file || !sound) throw pila::FileError(name + ": a binary PPM of 8 bits is expected");
  picture.rgb.resize(static_cast<std::size_t>(picture.width * picture.height * 3));
  file.read(reinterpret_cast<char*>(picture.rgb.data()), static_cast<std::streamsize>(picture.rgb.size()));
  if (!file) throw pila::FileError(name + ": cut off");
  return picture;
}

// softmax(logits / temperature).
std::vector<double> probabilities(const std::vector<float>& logits, double temperature) {
  double largest = logits[0], sum = 0;
  for (const float logit : logits) largest = std::fmax(largest, logit);
  std::vector<double> result;
  for (const float logit : logits) result.push_back(std::exp((logit - largest) / temperature));
  for (const double value : result) sum += value;
  for (double& value : result) value /= sum;
  return result;
}

void classify(const std::string& model_file, const std::string& picture_file) {
  const pila::Context ctx(pila::Device::cpu());
  const pila::LoadedModel loaded = pila::load_model(ctx, model_file);
  if (loaded.model->classes() == 0) throw pila::FileError(model_file + ": the model has no classes");

  const Picture picture = read_ppm(picture_file);
  const auto pixels = pila::Tensor::from(ctx, {1, picture.height, picture.width, 3}, picture.rgb);
  pila::PlannedModel planned(ctx, *loaded.model, loaded.preprocessing, pila::GraphInput::images);
  const auto outputs = planned.run(pila::preprocess(ctx, pixels, loaded.preprocessing));

  const auto shares = probabilities(outputs.logits, loaded.temperature);
  for (std::size_t i = 0; i < shares.size(); ++i) {
    const std::string name = i < loaded.classes.size() ? loaded.classes[i] : std::to_string(i);
    std::printf("%5.1f%% %s\n", 100 * shares[i], name.c_str());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "Usage: classify MODEL.h5 PICTURE.ppm\n");
    return 2;
  }
  try {
    classify(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "classify: %s\n", error.what());
    return 1;
  }
  return 0;
}
