#include "apps/report/metrics_csv.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <span>
#include <sstream>
#include <string_view>
#include <system_error>

#include "engine/core/error.h"
#include "weights/atomic_file.h"

namespace fs = std::filesystem;

namespace pila {
namespace {

constexpr char kMissing[] = "NA";

struct Table {
  std::vector<std::string> keys;  // without "epoch"
  std::vector<MetricRow> rows;
};

std::vector<std::string> split(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, ',');) fields.push_back(std::move(field));
  if (!line.empty() && line.back() == ',') fields.emplace_back();
  return fields;
}

double parse_value(const std::string& text) {
  if (text == kMissing) return std::numeric_limits<double>::quiet_NaN();
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0') throw FileError("expected a number, got '" + text + "'");
  return value;
}

MetricRow parse_row(const std::string& line, const std::vector<std::string>& keys) {
  const auto fields = split(line);
  if (fields.size() != keys.size() + 1) {
    throw FileError("expected " + std::to_string(keys.size() + 1) + " values, got " +
                    std::to_string(fields.size()));
  }
  MetricRow row;
  const char* end = fields[0].data() + fields[0].size();
  if (const auto read = std::from_chars(fields[0].data(), end, row.epoch);
      read.ec != std::errc() || read.ptr != end) {
    throw FileError("expected an epoch, got '" + fields[0] + "'");
  }
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (fields[i + 1] != kMissing) row.values[keys[i]] = parse_value(fields[i + 1]);
  }
  return row;
}

// The lines that end; what a killed run left of its last one does not count.
std::vector<std::string> read_lines(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) throw FileError(file.string() + ": " + std::strerror(errno));
  std::ostringstream text;
  text << stream.rdbuf();
  std::vector<std::string> lines;
  std::istringstream rest(text.str());
  for (std::string line; std::getline(rest, line) && !rest.eof();) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    lines.push_back(std::move(line));
  }
  return lines;
}

Table read_table(const fs::path& file) {
  Table table;
  const auto lines = read_lines(file);
  for (std::size_t i = 0; i < lines.size(); ++i) {
    try {
      if (i > 0) {
        table.rows.push_back(parse_row(lines[i], table.keys));
        continue;
      }
      table.keys = split(lines[0]);
      if (table.keys.empty() || table.keys[0] != "epoch") {
        throw FileError("expected a first column 'epoch', got '" + lines[0].substr(0, 40) + "'");
      }
      table.keys.erase(table.keys.begin());
    } catch (const FileError& error) {
      throw FileError(file.string() + ": line " + std::to_string(i + 1) + ": " + error.what());
    }
  }
  return table;
}

std::string header(const std::vector<std::string>& keys) {
  std::string line = "epoch";
  for (const std::string& key : keys) line += "," + key;
  return line + "\n";
}

std::string format_row(const MetricRow& row, const std::vector<std::string>& keys) {
  std::string line = std::to_string(row.epoch);
  for (const std::string& key : keys) {
    const auto value = row.values.find(key);
    line += value == row.values.end() ? fmt::format(",{}", kMissing) : fmt::format(",{}", value->second);
  }
  return line + "\n";
}

}  // namespace

MetricsCsv::MetricsCsv(fs::path file, std::int64_t first_epoch) : file_(std::move(file)) {
  std::error_code ignored;
  if (!fs::exists(file_, ignored)) return;
  Table table = read_table(file_);
  std::string kept = table.keys.empty() ? "" : header(table.keys);
  for (MetricRow& row : table.rows) {
    if (row.epoch >= first_epoch) continue;
    kept += format_row(row, table.keys);
    rows_.push_back(std::move(row));
  }
  if (rows_.empty()) kept.clear();  // the first row says anew what is measured
  if (!rows_.empty()) keys_ = std::move(table.keys);
  write_atomically(file_, std::as_bytes(std::span(kept)));
}

void MetricsCsv::append(const MetricRow& row) {
  std::string text;
  if (rows_.empty()) {
    keys_.clear();
    for (const auto& [key, value] : row.values) keys_.push_back(key);
    text = header(keys_);
  }
  for (const auto& [key, value] : row.values) {
    if (std::find(keys_.begin(), keys_.end(), key) == keys_.end()) {
      throw UsageError("[metrics] expected the keys of the first row, got '" + key + "'");
    }
  }
  text += format_row(row, keys_);
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> stream(std::fopen(file_.c_str(), "ab"), &std::fclose);
  if (!stream || std::fwrite(text.data(), 1, text.size(), stream.get()) != text.size() ||
      std::fflush(stream.get()) != 0) {
    throw FileError(file_.string() + ": cannot be written: " + std::strerror(errno));
  }
  rows_.push_back(row);
}

std::vector<MetricRow> read_metrics_csv(const fs::path& file) { return read_table(file).rows; }

}  // namespace pila
