// What the documentation names is there: files, options of the programs, passes of the plan.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "engine/plan/pass.h"
#include "tests/apps/process.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

const fs::path kTree = PILA_SOURCE_DIR;

std::vector<fs::path> pages() {
  std::vector<fs::path> files = {kTree / "README.md", kTree / "CONTRIBUTING.md", kTree / "CHANGELOG.md",
                                 kTree / "bench/accuracy/README.md"};
  for (const auto& entry : fs::directory_iterator(kTree / "docs")) {
    if (entry.path().extension() == ".md") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

std::vector<std::smatch> matches(const std::string& text, const std::regex& pattern) {
  return {std::sregex_iterator(text.begin(), text.end(), pattern), {}};
}

std::vector<std::string> found(const std::string& text, const std::string& pattern) {
  const std::regex regex(pattern);
  std::vector<std::string> result;
  for (const auto& match : matches(text, regex)) result.push_back(match[1]);
  return result;
}

struct Code {
  std::vector<std::string> spans;  // in a sentence, between backticks
  std::vector<std::string> lines;  // of blocks; those that go on behind a backslash are one
};

Code code_of(const std::string& page) {
  Code code;
  std::istringstream stream(std::regex_replace(page, std::regex("\\\\\n *"), ""));
  std::string prose;
  for (std::string line; std::getline(stream, line);) {
    const bool block = line.rfind("    ", 0) == 0;
    if (block) code.lines.push_back(line);
    prose += line + "\n";
  }
  code.spans = found(prose, "`([^`\n]+)`");
  return code;
}

TEST(Documentation, LinksLeadToFiles) {
  std::size_t links = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& link : found(test::read_text(page), "\\]\\(([^)#\\s]+)(?:#[^)]*)?\\)")) {
      if (link.find(':') != std::string::npos) continue;  // https:
      EXPECT_TRUE(fs::exists(page.parent_path() / link)) << page << " links to " << link;
      ++links;
    }
  }
  EXPECT_GT(links, 30u) << "links are not recognised any more";
}

TEST(Documentation, FilesInBackticksAreInTheTree) {
  const std::regex path(
      "(kernels|engine|layers|weights|apps|tests|bench|cmake|docs|examples)/[A-Za-z0-9_/.-]+");
  std::size_t files = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& span : code_of(test::read_text(page)).spans) {
      if (!std::regex_match(span, path)) continue;
      EXPECT_TRUE(fs::exists(kTree / span)) << page << " names " << span;
      ++files;
    }
  }
  EXPECT_GT(files, 50u) << "names of files are not recognised any more";
}

using Options = std::set<std::string>;

Options options_in(const std::string& text) {
  const auto names = found(text, "(?:^|[^-A-Za-z0-9])(--[a-z][a-z0-9-]*)");
  return {names.begin(), names.end()};
}

// With those of its subcommands.
Options help_of(const std::string& program) {
  const auto help = test::run_program(program, {"--help"});
  EXPECT_EQ(help.exit_code, 0) << program << ": " << help.err;
  Options all = options_in(help.out);
  const std::size_t list = help.out.find("Subcommands:");
  if (list == std::string::npos) return all;
  for (const std::string& subcommand : found(help.out.substr(list), "\n  ([a-z]+) ")) {
    const auto more = test::run_program(program, {subcommand, "--help"});
    EXPECT_EQ(more.exit_code, 0) << program << " " << subcommand << ": " << more.err;
    all.merge(options_in(more.out));
  }
  return all;
}

// By program.
std::map<std::string, Options> known_options() {
  return {{"pila-finetune", help_of(PILA_FINETUNE)},
          {"pila-live", help_of(PILA_LIVE)},
          {"pila-evaluate", help_of(PILA_EVALUATE)},
          {"pila-dataset", help_of(PILA_DATASET)},
          {"pila-export", help_of(PILA_EXPORT)},
          // Not always built; its options stand as literals in its sources.
          {"pila-profile", options_in(test::read_text(kTree / "bench/profile/options.cpp") +
                                      test::read_text(kTree / "apps/core/device.cpp"))}};
}

TEST(Documentation, OptionsAreThoseOfThePrograms) {
  const auto known = known_options();
  Options all = {"--fmad"};  // nvcc's
  for (const auto& [program, options] : known) {
    EXPECT_GT(options.size(), 5u) << program;
    all.insert(options.begin(), options.end());
  }
  std::size_t seen = 0;
  for (const fs::path& page : pages()) {
    Code code = code_of(test::read_text(page));
    for (const std::string& span : code.spans) {
      if (span.rfind("--", 0) != 0) continue;
      for (const std::string& option : options_in(span)) {
        EXPECT_TRUE(all.count(option)) << page << " names " << option << ", which no program has";
        ++seen;
      }
    }
    std::vector<std::string> commands = code.lines;
    commands.insert(commands.end(), code.spans.begin(), code.spans.end());
    const std::regex call("(pila-[a-z]+)([^|;&]*)");
    for (const std::string& command : commands) {
      for (const auto& match : matches(command, call)) {
        const auto program = known.find(match[1]);
        if (program == known.end()) continue;
        for (const std::string& option : options_in(match[2])) {
          EXPECT_TRUE(program->second.count(option))
              << page << ": " << program->first << " has no " << option;
          ++seen;
        }
      }
    }
  }
  EXPECT_GT(seen, 50u) << "options are not recognised any more";
}

TEST(Documentation, PassesAreThoseOfThePlan) {
  std::vector<std::string> passes;
  for (const auto& pass : inference_passes()) passes.emplace_back(pass->name());
  for (const char* step : {"prepare-weights", "capture-work"}) passes.emplace_back(step);
  const std::string page = test::read_text(kTree / "docs/plan.md");
  EXPECT_THAT(found(page, "\n\\| `([a-z0-9-]+)` \\|"), testing::ElementsAreArray(passes));
}

}  // namespace
}  // namespace pila
