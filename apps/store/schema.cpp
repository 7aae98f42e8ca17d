#include "apps/store/schema.h"

#include <set>
#include <string>

namespace pila {
namespace {

constexpr std::int64_t kApplication = 0x50494C41;  // "PILA"
constexpr std::int64_t kVersion = 1;

// AUTOINCREMENT: an id never comes again, even when the newest item has gone. The indexes find what is looked
// for among what may be millions of items: labels, what to correct, and the oldest picture to drop.
const std::set<std::string> kTables = {
    "CREATE TABLE classes(class_set INTEGER NOT NULL, number INTEGER NOT NULL, name TEXT NOT NULL, "
    "PRIMARY KEY(class_set, number)) STRICT",
    "CREATE TABLE items(id INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, source TEXT NOT NULL, "
    "label TEXT NOT NULL, probability REAL NOT NULL, class_set INTEGER NOT NULL, probabilities BLOB NOT "
    "NULL, "
    "frames INTEGER NOT NULL, model TEXT NOT NULL, corrected TEXT NOT NULL, doubtful INTEGER NOT NULL, "
    "picture INTEGER NOT NULL) STRICT",
    "CREATE TABLE pictures(item INTEGER PRIMARY KEY, jpeg BLOB NOT NULL) STRICT"};
const std::set<std::string> kIndexes = {
    "CREATE INDEX items_corrected ON items(corrected) WHERE corrected <> ''",
    "CREATE INDEX items_doubtful ON items(id) WHERE doubtful = 1 AND corrected = ''",
    "CREATE INDEX items_droppable ON items(id) WHERE picture = 1 AND corrected = ''"};

std::set<std::string> schema_of(const sqlite::Database& database) {
  std::set<std::string> schema;
  sqlite::Statement statement(database, "SELECT sql FROM sqlite_master WHERE name NOT GLOB 'sqlite_*'");
  while (statement.step()) schema.insert(statement.text(0));
  return schema;
}

std::int64_t application_of(const sqlite::Database& database) {
  return database.integer("PRAGMA application_id");
}

bool is_empty(const sqlite::Database& database) {
  return schema_of(database).empty() && application_of(database) == 0 &&
         database.integer("PRAGMA user_version") == 0;
}

}  // namespace

void make_tables(sqlite::Database& database) {
  if (!is_empty(database)) return;
  // Before the transaction, where they would do nothing. Interrupted here, the database is empty still.
  database.run("PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL");
  sqlite::Transaction transaction(database, sqlite::Access::write);
  if (!is_empty(database)) return;  // another process was faster
  for (const std::string& table : kTables) database.run(table);
  for (const std::string& index : kIndexes) database.run(index);
  database.run("PRAGMA application_id = " + std::to_string(kApplication) +
               "; PRAGMA user_version = " + std::to_string(kVersion));
  transaction.commit();
}

void check_tables(const sqlite::Database& database) {
  const std::int64_t version = database.integer("PRAGMA user_version");
  if (application_of(database) != kApplication) {
    database.fail("a store of items is expected, and this is the database of another program");
  }
  if (version > kVersion) {
    database.fail("a store of version " + std::to_string(kVersion) + " is expected, and this is version " +
                  std::to_string(version) + ", of a newer program");
  }
  std::set<std::string> expected = kTables;
  expected.insert(kIndexes.begin(), kIndexes.end());
  if (version != kVersion || schema_of(database) != expected) {
    database.fail("the tables of a store are expected, and it has others: it is damaged, or was changed");
  }
}

}  // namespace pila
