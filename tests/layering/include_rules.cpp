#include "tests/layering/include_rules.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <fstream>
#include <map>
#include <set>
#include <stdexcept>
#include <string_view>

namespace fs = std::filesystem;

namespace pila::layering {
namespace {

// Which rooms a room may look into, beside itself. tests/ and bench/ may look anywhere.
const std::map<std::string_view, std::set<std::string_view>> kMayInclude = {
    {"kernels", {}},
    {"engine", {"kernels"}},
    {"layers", {"engine", "kernels"}},
    {"weights", {"layers", "engine", "kernels"}},
    {"apps", {"weights", "layers", "engine", "kernels"}},
};
constexpr std::array<std::string_view, 2> kOutside = {"tests", "bench"};

// Libraries that have one place each. `homes` are folders; tests may use what tests_may says.
struct LibraryRule {
  std::string_view name;
  std::vector<std::string_view> headers;  // what its includes begin with, in lower case
  std::vector<std::string_view> homes;
  bool tests_may = true;
  int most_files_at_home = 0;  // 0: any number
};
const std::vector<LibraryRule> kLibraries = {
    {"OpenCV", {"opencv2/", "opencv/"}, {"apps/media/"}},
    {"HDF5", {"hdf5", "h5public.h", "h5cpp.h"}, {"weights/"}, true, 1},
    {"cuDNN", {"cudnn"}, {"bench/baselines/"}, false},
    {"SQLite", {"sqlite3"}, {"apps/store/"}, true, 1},
    {"Eigen", {"eigen/", "eigen3/"}, {"kernels/reference/"}},
    {"Highway", {"hwy/"}, {"kernels/cpu/"}},
    {"CUDA",
     {"cuda.h", "cuda_runtime", "cuda_fp16", "cuda_bf16", "mma.h", "nvrtc"},
     {"kernels/cuda/", "bench/"}},
    {"a deep-learning framework",
     {"torch/", "tensorflow/", "onnxruntime", "nvinfer", "dnnl"},
     {"bench/baselines/"},
     false},
    {"MPI", {"mpi.h", "mpi/"}, {"engine/parallel/"}, false, 1},
    {"libmosquitto", {"mosquitto"}, {"apps/eject/"}},
    {"libmodbus", {"modbus.h", "modbus/"}, {"apps/eject/"}},
    {"libgpiod", {"gpiod."}, {"apps/eject/"}},
    {"cpp-httplib", {"httplib"}, {"apps/web/"}, true, 1},
    {"GoogleTest", {"gtest/", "gmock/"}, {}},
    {"Google Benchmark", {"benchmark/"}, {"bench/"}, false},
};

bool starts_with_any(std::string_view text, const std::vector<std::string_view>& beginnings) {
  return std::any_of(beginnings.begin(), beginnings.end(),
                     [&](std::string_view beginning) { return text.starts_with(beginning); });
}

std::string room_of(std::string_view path) { return std::string(path.substr(0, path.find('/'))); }

bool is_room(const std::string& name) {
  return kMayInclude.count(name) > 0 || std::find(kOutside.begin(), kOutside.end(), name) != kOutside.end();
}

bool is_source(const fs::path& path) {
  static const std::set<std::string> kEndings = {".h", ".hpp", ".inl", ".c", ".cc", ".cpp", ".cu", ".cuh"};
  return kEndings.count(path.extension().string()) > 0;
}

// What a line includes; empty when it is no include of a literal name.
std::string included_by(std::string_view line) {
  const auto skip_blanks = [&] {
    while (!line.empty() && std::isspace(static_cast<unsigned char>(line.front()))) line.remove_prefix(1);
  };
  skip_blanks();
  if (!line.starts_with('#')) return {};
  line.remove_prefix(1);
  skip_blanks();
  constexpr std::string_view kKeyword = "include";
  if (!line.starts_with(kKeyword)) return {};
  line.remove_prefix(kKeyword.size());
  if (line.starts_with("_next")) line.remove_prefix(5);
  skip_blanks();
  if (line.empty() || (line.front() != '<' && line.front() != '"')) return {};
  const char close = line.front() == '<' ? '>' : '"';
  line.remove_prefix(1);
  return std::string(line.substr(0, line.find(close)));
}

// The path from the tree's root that an include of `file` means: names that begin with no room are looked up
// beside the file, as the compiler does. Library headers come back as they are.
std::string resolve(const fs::path& tree, const fs::path& file, const std::string& include) {
  const fs::path beside = (file.parent_path() / include).lexically_normal();
  const bool climbs = include.starts_with(".");
  if (climbs || (!is_room(room_of(include)) && fs::exists(tree / beside))) return beside.generic_string();
  return fs::path(include).lexically_normal().generic_string();
}

std::string lower_case(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

// The rule of rooms that the include breaks; empty for none.
std::string broken_room_rule(const std::string& file, const std::string& target) {
  const std::string from = room_of(file), to = room_of(target);
  const auto rule = kMayInclude.find(from);
  if (rule == kMayInclude.end() || !is_room(to) || from == to || rule->second.count(to) > 0) return {};
  if (std::find(kOutside.begin(), kOutside.end(), to) != kOutside.end()) {
    return "nothing includes " + to + "/";
  }
  return from + "/ does not include " + to + "/";
}

const LibraryRule* library_of(const std::string& target) {
  const std::string name = lower_case(target);
  for (const auto& library : kLibraries) {
    if (starts_with_any(name, library.headers)) return &library;
  }
  return nullptr;
}

std::vector<fs::path> sources_below(const fs::path& tree) {
  std::vector<fs::path> files;
  for (const auto& top : fs::directory_iterator(tree)) {
    if (!top.is_directory() || !is_room(top.path().filename().string())) continue;
    for (const auto& entry : fs::recursive_directory_iterator(top)) {
      if (entry.is_regular_file() && is_source(entry.path())) {
        files.push_back(entry.path().lexically_relative(tree));
      }
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace

std::string Violation::to_string() const {
  return file + ":" + std::to_string(line) + ": includes " + include + ", but " + rule;
}

std::vector<Violation> check_includes(const fs::path& tree) {
  const auto files = sources_below(tree);
  if (files.empty()) throw std::runtime_error(tree.string() + ": no sources here");
  std::vector<Violation> violations;
  std::map<const LibraryRule*, std::set<std::string>> users;  // files at home that include a library
  for (const auto& path : files) {
    const std::string file = path.generic_string();
    std::ifstream stream(tree / path);
    std::string text;
    for (int line = 1; std::getline(stream, text); ++line) {
      const std::string include = included_by(text);
      if (include.empty()) continue;
      const auto report = [&](const std::string& rule) { violations.push_back({file, line, include, rule}); };
      const std::string target = resolve(tree, path, include);
      if (const auto rule = broken_room_rule(file, target); !rule.empty()) report(rule);
      const LibraryRule* library = library_of(target);
      if (library == nullptr) continue;
      if (starts_with_any(file, library->homes)) {
        auto& at_home = users[library];
        at_home.insert(file);
        if (library->most_files_at_home > 0 &&
            static_cast<int>(at_home.size()) > library->most_files_at_home) {
          report(std::string(library->name) + " is already included by " + *at_home.begin() +
                 ", and one file is enough");
        }
      } else if (!(library->tests_may && file.starts_with("tests/"))) {
        report(std::string(library->name) + " has no place in " + room_of(file) + "/ there");
      }
    }
  }
  return violations;
}

}  // namespace pila::layering
