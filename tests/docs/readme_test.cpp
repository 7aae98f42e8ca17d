// The README's commands work: they are run in its order in one folder, where each finds what those before it
// left, and what they print has the form that the README shows.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "apps/store/store.h"
#include "tests/apps/eject/modbus_server.h"
#include "tests/apps/process.h"
#include "tests/docs/pages.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

using nlohmann::ordered_json;

// A command that begins so is not run.
const std::vector<std::pair<std::string, std::string>> kNotRun = {
    {"./run demo", "takes minutes"},
    {"./run test", "runs this test"},
    {"./run build", "makes what is run here"},
    {"./run gpu", "needs a GPU"},
    {"./run bench", "takes an hour"},
    {"build/cuda/", "needs a GPU"},
#ifndef PILA_BENCH_ONEDNN
    {"build/cpu/bench/pila-profile --network mobilenet_v2 --against onednn", "built without oneDNN"},
#endif
};

// What is changed in those that are run and contain `in`. Without `from`, `to` is appended.
struct Change {
  std::string in, from, to;
};
std::vector<Change> changes(int modbus_port) {
  return {
      // Weights that need no download, and soon learned.
      {"pila-finetune --data", "", "--weights none --epochs 1 --size 32 --threads 1"},
      // What has hardly learned anything may lose what it knows.
      {"--precision int8", "", "--max-drop 100"},
      // A drawn video for the camera, whose items the next command learns from; this machine's outputs, and a
      // port that is free.
      {"pila-live", "camera:0", "belt/belt.avi --pace --store items.sqlite --store-pictures all"},
      {"pila-live", "modbus://192.168.0.20/", "modbus://127.0.0.1:" + std::to_string(modbus_port) + "/"},
      {"pila-live", "127.0.0.1:8080", "127.0.0.1:0"},
      // Small and once, for the sake of time.
      {"pila-profile", "", "--size 32 --rounds 1"},
#ifdef PILA_BENCH_ONEDNN
      {"pila-profile", "--batch 1,8 --threads 1,2", "--batch 1 --threads 1"},
#endif
  };
}

// What is shown, beginning so, of the command before: its output's lines, one of its output's JSON lines once
// `options` are added, or nothing of it.
enum class Shown { lines, json, nothing };
struct Example {
  std::string begins;
  Shown kind;
  std::string options;
};
const std::vector<Example> kExamples = {
    {"photographs/\n", Shown::nothing, ""},  // how photographs lie
    {"photographs/1.jpg: ", Shown::lines, ""},
    {"{\"source\": ", Shown::json, " --json -"},
    {"12.34 s, item 3: ", Shown::lines, ""},
};

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

bool is_command(const std::string& line) {
  return std::regex_search(line, std::regex("^(\\./run|build/[a-z]+/[a-z]+/pila-[a-z]+) "));
}

bool begins_with(const std::string& text, const std::string& begin) { return text.rfind(begin, 0) == 0; }

// Without the names and the numbers that differ from run to run.
std::string shape_of(std::string line) {
  const std::pair<const char*, const char*> changed[] = {{"^[^ ]+: ", "FILE: "},
                                                         {"others; |, too late$", ""},
                                                         {"[^ ]+ [0-9.]+%( \\| [^ ]+ [0-9.]+%)*", "CLASSES"},
                                                         {", to [a-z]+ at ", ", to BIN at "},
                                                         {"[0-9]+(\\.[0-9]+)?", "N"}};
  for (const auto& [pattern, name] : changed) line = std::regex_replace(line, std::regex(pattern), name);
  return line;
}

std::set<std::string> shapes_of(const std::string& text) {
  std::istringstream stream(text);
  std::set<std::string> shapes;
  for (std::string line; std::getline(stream, line);) {
    if (line != "...") shapes.insert(shape_of(line));
  }
  return shapes;
}

// Keys in their order, and types in place of values. Of what has a number for each class, only that.
ordered_json form_of(const ordered_json& value) {
  if (!value.is_object()) return value.type_name();
  ordered_json form;
  for (const auto& [key, member] : value.items()) {
    form[key] = key == "probabilities" ? "by class" : form_of(member);
  }
  return form;
}

class Readme : public testing::Test {
 protected:
  Readme() : modbus_(2), changes_(changes(modbus_.port())) {
    fs::create_directory(at("build"));
    fs::create_directory_symlink(PILA_BUILD_DIR, at("build/cpu"));
  }

  fs::path at(const std::string& name) const { return folder_.path() / name; }

  test::Finished shell(const std::string& line) const {
    return test::run_program("/bin/sh", {"-c", line}, folder_.path());
  }
  void prepare(const std::string& line) const {
    const auto done = shell(line);
    ASSERT_EQ(done.exit_code, 0) << line << "\n" << done.err;
  }

  // What people bring along, or do before a command.
  void take_photographs() const {
    const std::string draw = "build/cpu/apps/pila-dataset synth --series 2 --size 320x180 --fps 15 --belt ";
    prepare(draw + "--items 2 --stills 24 --out belt && " + draw +
            "--items 1 --stills 4 --seed 1 --out other");
    for (const auto& [drawn, taken] : {std::pair("belt", "photographs"), {"other", "others"}}) {
      fs::rename(at(drawn) / "stills", at(taken));
      fs::rename(at(taken) / "voltra_max", at(taken) / "alkaline");
      fs::rename(at(taken) / "korvex_ultra", at(taken) / "lithium");
    }
    prepare("mkdir new_photographs && cp others/alkaline/*/0001.jpg new_photographs");
  }
  void do_before(const std::string& command) const {
    if (command.find("keras_model.h5") != std::string::npos) {
      prepare("cp run/model.h5 keras_model.h5 && printf '0 metal\\n1 glass\\n' >labels.txt");
    }
    if (command.find("items.sqlite --out") != std::string::npos) {
      const auto store = Store::open({.file = at("items.sqlite")});
      for (const StoredItem& item : store->list(100, false, {})) store->correct(item.id, "lithium");
    }
  }

  std::string changed(std::string command) {
    command = std::regex_replace(command, std::regex(" +#.*"), "");
    for (const Change& change : changes_) {
      if (command.find(change.in) == std::string::npos) continue;
      const std::size_t place = change.from.empty() ? command.size() : command.find(change.from);
      if (place == std::string::npos) continue;
      command.replace(place, change.from.size(), (change.from.empty() ? " " : "") + change.to);
      used_.insert(change.to);
    }
    return command;
  }

  void run(const std::string& line) {
    for (const auto& [begin, why] : kNotRun) {
      if (!begins_with(line, begin)) continue;
      used_.insert(begin);
      return;
    }
    do_before(line);
    command_ = changed(line);
    finished_ = shell(command_);
    EXPECT_EQ(finished_.exit_code, 0) << command_ << "\n" << finished_.out << finished_.err;
  }

  void compare(const std::string& shown) {
    const auto example = std::find_if(kExamples.begin(), kExamples.end(),
                                      [&](const Example& one) { return begins_with(shown, one.begins); });
    if (example == kExamples.end()) {
      ADD_FAILURE() << "README shows what no test runs or compares: " << shown;
      return;
    }
    used_.insert(example->begins);
    if (example->kind == Shown::lines) {
      EXPECT_THAT(shapes_of(finished_.out + finished_.err), testing::IsSupersetOf(shapes_of(shown)))
          << command_;
    } else if (example->kind == Shown::json) {
      const auto finished = shell(command_ + example->options);
      const std::string line = finished.out.substr(0, finished.out.find('\n'));
      EXPECT_EQ(form_of(ordered_json::parse(line)), form_of(ordered_json::parse(shown))) << line;
    }
  }

  const std::string text_ = test::read_text(test::source_tree() / "README.md");
  const test::TemporaryFolder folder_;
  const test::ModbusServer modbus_;
  const std::vector<Change> changes_;
  std::set<std::string> used_;
  std::string command_;
  test::Finished finished_;
};

TEST_F(Readme, CommandsWorkOneAfterTheOther) {
  ASSERT_NO_FATAL_FAILURE(take_photographs());
  for (const auto& block : test::code_of(text_).blocks) {
    if (is_command(block.front())) {
      for (const std::string& line : block) {
        EXPECT_TRUE(is_command(line)) << "README has a command that no test runs: " << line;
        run(line);
      }
    } else {
      compare(joined(block));
    }
  }

  for (const Change& change : changes_)
    EXPECT_TRUE(used_.count(change.to)) << "nothing to change: " << change.to;
  for (const auto& [begin, why] : kNotRun) EXPECT_TRUE(used_.count(begin)) << "no longer there: " << begin;
  for (const Example& one : kExamples)
    EXPECT_TRUE(used_.count(one.begins)) << "no longer there: " << one.begins;

  // The table of what pila-finetune leaves; a star stands for what differs from run to run.
  const std::size_t table = text_.find("\n| file | what it is |");
  const auto rows = test::found(text_.substr(table, text_.find("\n\n", table) - table), "\n\\| (`[^|]*) \\|");
  for (const std::string& row : rows) {
    for (const std::string& file : test::found(row, "`([^`]+)`")) {
      EXPECT_EQ(shell("ls -d run/" + file).exit_code, 0) << "pila-finetune leaves no " << file;
    }
  }
  EXPECT_GT(rows.size(), 6u) << "the table is not recognised any more";
  EXPECT_THAT(modbus_.switched(), testing::IsSupersetOf({std::pair(0, false), std::pair(1, false)}));
}

}  // namespace
}  // namespace pila
