// SQLite with C++ lifetimes. Whatever goes wrong is thrown as a FileError that begins with the file's name.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

struct sqlite3;
struct sqlite3_stmt;

namespace pila::sqlite {

// Whether the file begins as SQLite's do; false for what cannot be read.
bool is_database(const std::filesystem::path& file);

enum class Access { read, write };  // write: the file is made where it is missing

// One connection, for one thread at a time. What the file itself might bring along to be run, such as
// triggers, is not trusted.
class Database {
 public:
  Database(const std::filesystem::path& file, Access access);

  void run(const std::string& sql);                    // statements without parameters or answers
  std::int64_t integer(const std::string& sql) const;  // the first column of the one row that it answers
  std::int64_t last_id() const;
  [[noreturn]] void fail(const std::string& what) const;  // throws FileError: name, what

 private:
  friend class Statement;
  friend class Transaction;
  void check(int code) const;

  struct Close {
    void operator()(sqlite3* database) const;
  };
  std::string name_;
  std::unique_ptr<sqlite3, Close> database_;
};

// Parameters are bound in order; columns count from 0.
class Statement {
 public:
  Statement(const Database& database, std::string_view sql);
  Statement& bind(std::int64_t value);
  Statement& bind(double value);
  Statement& bind(std::string_view text);            // what it names must live until the last step()
  Statement& bind(std::span<const std::byte> blob);  // likewise
  bool step();                                       // to the next row; false after the last one
  std::int64_t integer(int column) const;
  double real(int column) const;
  std::string text(int column) const;
  std::vector<std::uint8_t> blob(int column) const;

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::span<const std::uint8_t> bytes(int column) const;

  const Database& database_;
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
  int bound_ = 0;
};

// Undone unless committed.
class Transaction {
 public:
  Transaction(Database& database, Access access);
  ~Transaction();
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  void commit();

 private:
  Database& database_;
};

}  // namespace pila::sqlite
