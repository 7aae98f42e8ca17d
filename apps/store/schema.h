// The tables of a store.
#pragma once

#include "apps/store/sqlite.h"

namespace pila {

// Makes the tables where the database is empty.
void make_tables(sqlite::Database& database);

// Throws FileError for a database of another application or of a newer version, and for one whose tables are
// not, to the letter, what they should be.
void check_tables(const sqlite::Database& database);

}  // namespace pila
