#include "weights/labels.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <optional>
#include <sstream>
#include <system_error>

#include "engine/core/error.h"
#include "weights/load_model.h"
#include "weights/text.h"

namespace pila {
namespace {

constexpr std::size_t kLongestLine = 1000, kMostLines = 100'000;
constexpr std::uintmax_t kLargestLabels = 16 << 20;

bool is_continuation(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }

// The first byte that is neither part of UTF-8 nor printable; npos when there is none.
std::size_t find_non_text(std::string_view line) {
  for (std::size_t i = 0; i < line.size();) {
    const auto byte = static_cast<unsigned char>(line[i]);
    const std::size_t length = byte < 0x80    ? 1
                               : byte >= 0xF5 ? 0
                               : byte >= 0xF0 ? 4
                               : byte >= 0xE0 ? 3
                               : byte >= 0xC2 ? 2
                                              : 0;
    if (length == 0 || i + length > line.size() || (byte < 0x20 && byte != '\t') || byte == 0x7F ||
        !std::ranges::all_of(line.substr(i + 1, length - 1), is_continuation)) {
      return i;
    }
    i += length;
  }
  return std::string_view::npos;
}

std::string_view trim(std::string_view line) {
  constexpr std::string_view kSpace = " \t\r";
  const std::size_t begin = line.find_first_not_of(kSpace);
  return begin == std::string_view::npos ? std::string_view{}
                                         : line.substr(begin, line.find_last_not_of(kSpace) + 1 - begin);
}

void check_line(std::string_view line, std::size_t number) {
  const std::string where = "line " + std::to_string(number);
  if (line.size() > kLongestLine) {
    throw FileError(where + " has " + std::to_string(line.size()) +
                    " bytes, expected a class name of at most " + std::to_string(kLongestLine));
  }
  if (const std::size_t bad = find_non_text(line); bad != std::string_view::npos) {
    constexpr char kDigits[] = "0123456789ABCDEF";
    const auto byte = static_cast<unsigned char>(line[bad]);
    throw FileError(where + " is not text: byte 0x" + kDigits[byte >> 4] + kDigits[byte & 15]);
  }
  if (line.empty()) {
    throw FileError(where + " is empty, expected a class name");
  }
}

struct NumberedLabel {
  std::size_t number;
  std::string_view name;
};

std::optional<NumberedLabel> parse_numbered(std::string_view line) {
  NumberedLabel result{};
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), result.number);
  if (error != std::errc() || end == line.data() + line.size() || (*end != ' ' && *end != '\t')) {
    return std::nullopt;
  }
  result.name = trim(line.substr(static_cast<std::size_t>(end - line.data())));
  return result;
}

// Empty unless every line has a number of its own, from 0 on without a gap.
std::vector<std::string> without_numbers(const std::vector<std::string_view>& lines) {
  std::vector<std::string> names(lines.size());
  for (const std::string_view line : lines) {
    const auto numbered = parse_numbered(line);
    if (!numbered || numbered->number >= names.size() || !names[numbered->number].empty()) {
      return {};
    }
    names[numbered->number] = numbered->name;
  }
  return names;
}

std::string read_text(const std::filesystem::path& file) {
  std::error_code error;
  const auto status = std::filesystem::status(file, error);
  if (!std::filesystem::exists(status)) {
    throw FileError("cannot be opened: there is no such file");
  }
  if (!std::filesystem::is_regular_file(status)) {
    throw FileError("is not a regular file, expected class names, one a line");
  }
  if (const auto size = std::filesystem::file_size(file, error); error || size > kLargestLabels) {
    throw FileError("has " + std::to_string(size) + " bytes, expected class names, one a line");
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) {
    throw FileError("cannot be opened");
  }
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

}  // namespace

std::vector<std::string> parse_labels(std::string_view text) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (text.starts_with(kByteOrderMark)) {
    text.remove_prefix(kByteOrderMark.size());
  }
  std::vector<std::string_view> lines = split(text, '\n');
  std::ranges::transform(lines, lines.begin(), trim);
  while (!lines.empty() && lines.back().empty()) {
    lines.pop_back();
  }
  if (lines.empty()) {
    throw FileError("is empty, expected class names, one a line");
  }
  for (std::size_t i = 0; i < lines.size(); ++i) {
    check_line(lines[i], i + 1);
  }
  if (lines.size() > kMostLines) {
    throw FileError("has " + std::to_string(lines.size()) + " lines, expected at most " +
                    std::to_string(kMostLines));
  }
  std::vector<std::string> names = without_numbers(lines);
  return names.empty() ? std::vector<std::string>(lines.begin(), lines.end()) : names;
}

std::vector<std::string> read_labels(const std::filesystem::path& file) {
  try {
    return parse_labels(read_text(file));
  } catch (const FileError& error) {
    throw FileError(file.string() + ": " + error.what());
  }
}

}  // namespace pila
