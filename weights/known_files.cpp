#include "weights/known_files.h"

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <system_error>

#include "engine/core/error.h"
#include "weights/download.h"
#include "weights/file_kind.h"

namespace pila {
namespace {

constexpr const char* kStorage = "https://storage.googleapis.com/tensorflow/keras-applications/";
constexpr std::int64_t kUsualInput = 224;

void add_mobilenet_v2(std::vector<KnownFile>& files) {
  struct Width {
    double value;
    const char* text;
    bool all_inputs;
  };
  constexpr Width kWidths[] = {{0.35, "0.35", true}, {0.5, "0.5", true},  {0.75, "0.75", true},
                               {1.0, "1.0", true},   {1.3, "1.3", false}, {1.4, "1.4", false}};
  for (const Width& width : kWidths) {
    for (const std::int64_t input : {96, 128, 160, 192, 224}) {
      if (input != kUsualInput && !width.all_inputs) {
        continue;
      }
      for (const bool top : {true, false}) {
        const std::string name = std::string("mobilenet_v2_weights_tf_dim_ordering_tf_kernels_") +
                                 width.text + "_" + std::to_string(input) + (top ? "" : "_no_top") + ".h5";
        files.push_back({"mobilenet_v2", width.value, input, top, name,
                         std::string(kStorage) + "mobilenet_v2/" + name, 0, ""});
      }
    }
  }
}

std::vector<KnownFile> all_files() {
  std::vector<KnownFile> files;
  add_mobilenet_v2(files);
  const auto add = [&](const char* network, bool top, const std::string& folder, const std::string& name,
                       const char* md5) {
    files.push_back({network, 1.0, kUsualInput, top, name, kStorage + folder + "/" + name, 0, md5});
  };
  add("resnet50_v2", true, "resnet", "resnet50v2_weights_tf_dim_ordering_tf_kernels.h5",
      "3ef43a0b657b3be2300d5770ece849e0");
  add("resnet50_v2", false, "resnet", "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
      "fac2f116257151a9d068a22e544a4917");
  add("efficientnet_v2_b0", true, "efficientnet_v2", "efficientnetv2-b0.h5",
      "21ecbf6da12460d5c40bb2f29ceb2188");
  add("efficientnet_v2_b0", false, "efficientnet_v2", "efficientnetv2-b0_notop.h5",
      "893217f2bb855e2983157299931e43ff");
  return files;
}

std::filesystem::path folder_of_variable(const char* variable) {
  const char* value = std::getenv(variable);
  return value == nullptr ? std::filesystem::path() : std::filesystem::path(value);
}

bool is_file(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_regular_file(path, ignored);
}

// Where the file is without the internet.
std::optional<std::filesystem::path> find_here(const KnownFile& file) {
  for (const std::filesystem::path& folder : {folder_of_variable("PILA_WEIGHTS_DIR"), cache_folder()}) {
    if (!folder.empty() && is_file(folder / file.name)) {
      return folder / file.name;
    }
  }
  return std::nullopt;
}

}  // namespace

const std::vector<KnownFile>& known_files() {
  static const std::vector<KnownFile> files = all_files();
  return files;
}

const KnownFile* find_known_file(const ModelSpec& spec, bool top) {
  const KnownFile* found = nullptr;
  for (const KnownFile& file : known_files()) {
    if (file.network != spec.network || file.width != spec.width || file.top != top) {
      continue;
    }
    if (file.input == spec.input_height && file.input == spec.input_width) {
      return &file;
    }
    if (file.input == kUsualInput) {
      found = &file;
    }
  }
  return found;
}

std::filesystem::path cache_folder() {
  if (const auto cache = folder_of_variable("XDG_CACHE_HOME"); cache.is_absolute()) {
    return cache / "pila";
  }
  const auto home = folder_of_variable("HOME");
  return home.empty() ? std::filesystem::path() : home / ".cache" / "pila";
}

std::filesystem::path resolve(const KnownFile& file, const ResolveOptions& options) {
  if (const auto here = find_here(file)) {
    return *here;
  }
  const std::filesystem::path cache = cache_folder();
  if (!options.download || cache.empty()) {
    const auto own = folder_of_variable("PILA_WEIGHTS_DIR");
    throw FileError(file.name + ": expected it in " +
                    (own.empty() ? "the folder named by PILA_WEIGHTS_DIR (not set)" : own.string()) +
                    " or in " + (cache.empty() ? "the cache (HOME is not set)" : cache.string()) +
                    "; it can be had from " + file.url);
  }
  try {
    download(
        {file.url, cache / file.name, file.bytes, file.md5, std::string(kHdf5Signature), options.progress});
  } catch (const FileError& error) {
    throw FileError(std::string(error.what()) + "; without the internet, put the file into " +
                    cache.string());
  }
  return cache / file.name;
}

std::filesystem::path resolve_weights(const std::string& weights, const ModelSpec& spec,
                                      const ResolveOptions& options) {
  if (weights != "imagenet") {
    if (!is_file(weights)) {
      throw FileError(weights + ": expected 'imagenet' or a weight file, and there is no such file");
    }
    return weights;
  }
  const bool top = spec.head == imagenet_head();
  const KnownFile* file = find_known_file(spec, top);
  if (file == nullptr) {
    throw FileError("imagenet: there are no published weights of " + spec.network + " in width " +
                    std::to_string(spec.width));
  }
  const KnownFile* with_top = find_known_file(spec, true);
  if (!top && with_top != nullptr && !find_here(*file) && find_here(*with_top)) {
    return *find_here(*with_top);
  }
  return resolve(*file, options);
}

}  // namespace pila
