// The page's files, taken in when Pila is built.
#pragma once

#include <string_view>

namespace pila::page {

std::string_view html();
std::string_view css();
std::string_view js();

}  // namespace pila::page
