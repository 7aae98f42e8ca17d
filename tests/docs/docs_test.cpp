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
#include "tests/docs/pages.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using test::code_of;
using test::found;
using test::pages;

const fs::path kTree = test::source_tree();

// Where a heading is linked to, as GitHub makes it.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading) {
    if (c == ' ') anchor += '-';
    if (std::isalnum(static_cast<unsigned char>(c)) || c == '-' || c == '_') {
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
  }
  return anchor;
}

bool has_anchor(const fs::path& page, const std::string& anchor) {
  for (const std::string& heading : found("\n" + test::read_text(page), "\n#+ ([^\n]+)")) {
    if (anchor_of(heading) == anchor) return true;
  }
  return false;
}

TEST(Documentation, LinksLeadToFilesAndHeadings) {
  const std::regex parts("([^#]*)(?:#(.+))?"), address("https://[a-z0-9.-]+\\.[a-z]+(/[A-Za-z0-9_./%-]*)?");
  std::size_t links = 0, anchors = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& link : found(test::read_text(page), "\\]\\(([^)]*)\\)")) {
      ++links;
      std::smatch match;
      if (link.find(':') != std::string::npos) {
        EXPECT_TRUE(std::regex_match(link, address)) << page << " links to " << link;
      } else if (!std::regex_match(link, match, parts)) {
        ADD_FAILURE() << page << " links to " << link;
      } else {
        const fs::path target = match[1].length() == 0 ? page : page.parent_path() / match[1].str();
        EXPECT_TRUE(fs::exists(target)) << page << " links to " << link;
        if (!match[2].matched) continue;
        EXPECT_TRUE(has_anchor(target, match[2])) << page << " links to " << link;
        ++anchors;
      }
    }
  }
  EXPECT_GT(links, 30u) << "links are not recognised any more";
  EXPECT_GT(anchors, 0u) << "anchors are not recognised any more";
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
std::string help_of(const std::string& program) {
  const auto help = test::run_program(program, {"--help"});
  EXPECT_EQ(help.exit_code, 0) << program << ": " << help.err;
  std::string all = help.out;
  const std::size_t list = help.out.find("Subcommands:");
  if (list == std::string::npos) return all;
  for (const std::string& subcommand : found(help.out.substr(list), "\n  ([a-z]+) ")) {
    const auto more = test::run_program(program, {subcommand, "--help"});
    EXPECT_EQ(more.exit_code, 0) << program << " " << subcommand << ": " << more.err;
    all += more.out;
  }
  return all;
}

// By program.
std::map<std::string, std::string> help_texts() {
  return {{"pila-finetune", help_of(PILA_FINETUNE)},
          {"pila-live", help_of(PILA_LIVE)},
          {"pila-evaluate", help_of(PILA_EVALUATE)},
          {"pila-dataset", help_of(PILA_DATASET)},
          {"pila-export", help_of(PILA_EXPORT)}};
}

std::map<std::string, Options> known_options() {
  std::map<std::string, Options> known;
  for (const auto& [program, help] : help_texts()) known[program] = options_in(help);
  // Not always built; its options stand as literals in its sources.
  known["pila-profile"] = options_in(test::read_text(kTree / "bench/profile/options.cpp") +
                                     test::read_text(kTree / "apps/core/device.cpp"));
  return known;
}

// Lines and spans alike.
std::vector<std::string> commands_in(const test::Code& code) {
  std::vector<std::string> commands = code.spans;
  for (const auto& block : code.blocks) commands.insert(commands.end(), block.begin(), block.end());
  return commands;
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
    const test::Code code = code_of(test::read_text(page));
    for (const std::string& span : code.spans) {
      if (span.rfind("--", 0) != 0) continue;
      for (const std::string& option : options_in(span)) {
        EXPECT_TRUE(all.count(option)) << page << " names " << option << ", which no program has";
        ++seen;
      }
    }
    const std::regex call("(pila-[a-z]+)([^|;&]*)");
    for (const std::string& command : commands_in(code)) {
      for (std::sregex_iterator match(command.begin(), command.end(), call), end; match != end; ++match) {
        const auto program = known.find((*match)[1]);
        if (program == known.end()) continue;
        for (const std::string& option : options_in((*match)[2])) {
          EXPECT_TRUE(program->second.count(option))
              << page << ": " << program->first << " has no " << option;
          ++seen;
        }
      }
    }
  }
  EXPECT_GT(seen, 50u) << "options are not recognised any more";
}

// Such as `--max-drop` (1).
TEST(Documentation, DefaultsAreThoseOfThePrograms) {
  std::string help;
  for (const auto& [program, text] : help_texts()) help += text;
  const std::string stated = "(--[a-z-]+)` \\(([0-9.]*[0-9])\\)";
  std::size_t seen = 0;
  for (const fs::path& page : pages()) {
    const std::string text = test::read_text(page);
    for (const std::string& option : found(text, stated)) {
      const auto value = found(text, option + "` \\(([0-9.]*[0-9])\\)").front();
      const std::string either = "=" + value + "\\b|\n[^\n]*\\(default " + value + "\\)";
      const std::regex told("\n  " + option + " [^\n]*(" + either + ")");
      EXPECT_TRUE(std::regex_search(help, told)) << page << " says that " << option << " is " << value;
      ++seen;
    }
  }
  EXPECT_GT(seen, 2u) << "defaults are not recognised any more";
}

std::string help_of_run(const std::string& part = {}) {
  std::vector<std::string> arguments = {"--help"};
  if (!part.empty()) arguments.insert(arguments.begin(), part);
  const auto help = test::run_program((kTree / "run").string(), arguments);
  EXPECT_EQ(help.exit_code, 0) << part << help.err;
  return help.out;
}

// Its commands, presets, and the parts of ./run bench and ./run gpu with their options.
TEST(Documentation, RunKnowsItsCommands) {
  const std::string help = help_of_run(), bench = help_of_run("bench"), gpu = help_of_run("gpu");
  const std::string presets = test::read_text(kTree / "CMakePresets.json");
  // What `text` says of a part, which stands at the beginning of lines.
  const auto about = [](const std::string& text, const std::string& part) {
    const auto said = found(text, "\n(  " + part + " [\\s\\S]*?)(?:\n  [a-z]|\n\n)");
    return said.empty() ? std::string() : said.front();
  };
  std::size_t seen = 0;
  for (const fs::path& page : pages()) {
    for (const std::string& line : commands_in(code_of(test::read_text(page)))) {
      std::smatch match;
      if (!std::regex_search(line, match, std::regex("^\\./run ([a-z]+) ?([a-z][a-z0-9-]*)?([^#]*)")))
        continue;
      ++seen;
      const std::string command = match[1], part = match[2];
      EXPECT_NE(about(help, command), "") << page << ": " << line;
      if (command == "build" && !part.empty()) {
        EXPECT_THAT(presets, testing::HasSubstr("{ \"name\": \"" + part + "\", \"configurePreset\"")) << line;
      } else if (!part.empty()) {
        const std::string told = about(command == "gpu" ? gpu : bench, part);
        EXPECT_NE(told, "") << page << ": " << line;
        for (const std::string& option : options_in(match[3])) {
          const bool others = option == "--benchmark_filter";
          EXPECT_TRUE(others || options_in(told).count(option))
              << page << ": no " << option << " in " << line;
        }
      }
    }
  }
  EXPECT_GT(seen, 20u) << "commands are not recognised any more";
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
