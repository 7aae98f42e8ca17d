#include "apps/store/sqlite.h"

#include <sqlite3.h>

#include <array>
#include <fstream>

#include "engine/core/error.h"

namespace fs = std::filesystem;

namespace pila::sqlite {
namespace {

constexpr int kBusyMilliseconds = 5000;
constexpr int kMostBytes = 64 << 20;  // of a row: no picture is as large, a damaged length may be

}  // namespace

bool is_database(const fs::path& file) {
  constexpr std::string_view kMagic("SQLite format 3\0", 16);
  std::array<char, kMagic.size()> start{};
  std::ifstream stream(file, std::ios::binary);
  stream.read(start.data(), start.size());
  return std::string_view(start.data(), static_cast<std::size_t>(stream.gcount())) == kMagic;
}

void Database::Close::operator()(sqlite3* database) const { sqlite3_close_v2(database); }
void Statement::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::Database(const fs::path& file, Access access) : name_(file.string()) {
  // Also to read: who cannot write leaves the log of a connection lying about.
  const int flags = SQLITE_OPEN_READWRITE | (access == Access::write ? SQLITE_OPEN_CREATE : 0);
  sqlite3* opened = nullptr;
  // An absolute path, as some names, such as ":memory:", mean something else to SQLite.
  const int code = sqlite3_open_v2(fs::absolute(file).c_str(), &opened, flags | SQLITE_OPEN_NOMUTEX, nullptr);
  database_.reset(opened);
  if (opened == nullptr) throw FileError(name_ + ": cannot be opened: " + sqlite3_errstr(code));
  check(code);
  sqlite3_extended_result_codes(opened, 1);
  sqlite3_busy_timeout(opened, kBusyMilliseconds);
  sqlite3_limit(opened, SQLITE_LIMIT_LENGTH, kMostBytes);
  sqlite3_db_config(opened, SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  run("PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0");
  if (access == Access::read) run("PRAGMA query_only = ON");
  if (access == Access::write && sqlite3_db_readonly(opened, "main") == 1) fail("cannot be written");
}

void Database::check(int code) const {
  if (code == SQLITE_OK) return;
  std::string what = sqlite3_errmsg(database_.get());
  if (const int system = sqlite3_system_errno(database_.get());
      system != 0 && (code & 0xff) == SQLITE_IOERR) {
    what += " (" + std::generic_category().message(system) + ")";
  }
  fail(what);
}

void Database::fail(const std::string& what) const { throw FileError(name_ + ": " + what); }

void Database::run(const std::string& sql) {
  check(sqlite3_exec(database_.get(), sql.c_str(), nullptr, nullptr, nullptr));
}

std::int64_t Database::integer(const std::string& sql) const {
  Statement statement(*this, sql);
  if (!statement.step()) fail("an answer to '" + sql + "' is expected, and there is none");
  return statement.integer(0);
}

std::int64_t Database::last_id() const { return sqlite3_last_insert_rowid(database_.get()); }

Statement::Statement(const Database& database, std::string_view sql) : database_(database) {
  sqlite3_stmt* statement = nullptr;
  database.check(sqlite3_prepare_v2(database.database_.get(), sql.data(), static_cast<int>(sql.size()),
                                    &statement, nullptr));
  statement_.reset(statement);
}

Statement& Statement::bind(std::int64_t value) {
  database_.check(sqlite3_bind_int64(statement_.get(), ++bound_, value));
  return *this;
}

Statement& Statement::bind(double value) {
  database_.check(sqlite3_bind_double(statement_.get(), ++bound_, value));
  return *this;
}

Statement& Statement::bind(std::string_view text) {
  // A null pointer would mean NULL, also with no bytes behind it.
  const char* start = text.empty() ? "" : text.data();
  database_.check(
      sqlite3_bind_text64(statement_.get(), ++bound_, start, text.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

Statement& Statement::bind(std::span<const std::byte> blob) {
  const void* start = blob.empty() ? static_cast<const void*>("") : blob.data();
  database_.check(sqlite3_bind_blob64(statement_.get(), ++bound_, start, blob.size(), SQLITE_STATIC));
  return *this;
}

bool Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  database_.check(code);
  return false;
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }
double Statement::real(int column) const { return sqlite3_column_double(statement_.get(), column); }

std::span<const std::uint8_t> Statement::bytes(int column) const {
  const auto* start = static_cast<const std::uint8_t*>(sqlite3_column_blob(statement_.get(), column));
  const int count = sqlite3_column_bytes(statement_.get(), column);
  return start == nullptr ? std::span<const std::uint8_t>()
                          : std::span(start, static_cast<std::size_t>(count));
}

std::string Statement::text(int column) const {
  const auto all = bytes(column);
  return std::string(all.begin(), all.end());
}

std::vector<std::uint8_t> Statement::blob(int column) const {
  const auto all = bytes(column);
  return std::vector<std::uint8_t>(all.begin(), all.end());
}

Transaction::Transaction(Database& database, Access access) : database_(database) {
  database_.run(access == Access::write ? "BEGIN IMMEDIATE" : "BEGIN");
}

Transaction::~Transaction() {
  sqlite3* const database = database_.database_.get();
  if (sqlite3_get_autocommit(database) == 0) sqlite3_exec(database, "ROLLBACK", nullptr, nullptr, nullptr);
}

void Transaction::commit() { database_.run("COMMIT"); }

}  // namespace pila::sqlite
