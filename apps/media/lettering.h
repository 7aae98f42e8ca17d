// Texts made fit for the font that pictures are labelled with.
#pragma once

#include <functional>
#include <string>

namespace pila::media {

// One '?' for each character that is not printable ASCII, however many bytes UTF-8 needs for it.
std::string drawable(const std::string& text);

// The drawable text, with "..." in its middle for as much as does not fit.
std::string shortened(const std::string& text, const std::function<bool(const std::string&)>& fits);

}  // namespace pila::media
