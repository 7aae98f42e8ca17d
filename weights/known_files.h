// Keras' published ImageNet weights: where they are, and where they lie once they are here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "layers/model.h"

namespace pila {

struct KnownFile {
  std::string network;
  double width = 1.0;
  std::int64_t input = 224;  // height and width it was trained at
  bool top = false;          // with the 1000-class head
  std::string name;          // of the file
  std::string url;
  std::uint64_t bytes = 0;  // 0: not published
  std::string md5;          // empty: not published
};

const std::vector<KnownFile>& known_files();

// The file for a network: trained at the spec's input size or, where there is none, at 224, as Keras chooses.
// Null for a network or width without published weights.
const KnownFile* find_known_file(const ModelSpec& spec, bool top);

// $XDG_CACHE_HOME/pila, or ~/.cache/pila.
std::filesystem::path cache_folder();

struct ResolveOptions {
  bool download = false;  // what is not here may be fetched
  std::function<bool(std::uint64_t arrived, std::uint64_t total)> progress;  // see download.h
};

// Where the file lies: in the folder named by PILA_WEIGHTS_DIR, in the cache, or fetched into the cache.
// Throws FileError that names the URL and the folders, or what went wrong on the way.
std::filesystem::path resolve(const KnownFile& file, const ResolveOptions& options = {});

// `weights` is "imagenet", for the published file of the spec's network (with its top when the spec has
// Keras' own head; otherwise without, or with where only that one is here), or the path of a file. Throws
// FileError.
std::filesystem::path resolve_weights(const std::string& weights, const ModelSpec& spec,
                                      const ResolveOptions& options = {});

}  // namespace pila
