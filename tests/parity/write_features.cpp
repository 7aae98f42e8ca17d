// Writes what a model's backbone makes of pictures, for keras_features.py.
#include <cstdio>
#include <fstream>

#include "apps/media/image.h"
#include "engine/core/error.h"
#include "weights/load_model.h"

int main(int argc, char** argv) {
  using namespace pila;
  if (argc < 4) {
    std::fprintf(stderr, "usage: write_features MODEL OUT IMAGE...\n");
    return 2;
  }
  try {
    const Context ctx(Device::cpu());
    const LoadedModel loaded = load_model(ctx, argv[1]);
    std::ofstream out(argv[2], std::ios::binary);
    for (int i = 3; i < argc; ++i) {
      const media::Image image = media::load_image(argv[i]);
      const Tensor pixels = Tensor::from(ctx, {1, image.height, image.width, 3}, image.pixels);
      const std::vector<float> features =
          loaded.model->features(ctx, preprocess(ctx, pixels, loaded.preprocessing)).to_vector<float>(ctx);
      out.write(reinterpret_cast<const char*>(features.data()),
                static_cast<std::streamsize>(features.size() * sizeof(float)));
    }
    if (!out.flush()) throw FileError(std::string(argv[2]) + ": cannot be written");
    return 0;
  } catch (const Error& error) {
    std::fprintf(stderr, "write_features: %s\n", error.what());
    return 1;
  }
}
