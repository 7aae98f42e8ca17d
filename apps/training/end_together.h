// How several processes of a run end.
#pragma once

#include <functional>
#include <string>

#include "engine/parallel/communicator.h"

namespace pila {

// Does the work of one rank. What it throws is thrown on where all ranks throw: the first one reports it
// then, and a rank with another reason prints its own, with its number. Where it is this rank alone that
// fails, it prints the reason and ends all.
int end_together(Communicator& ranks, const std::string& program, const std::function<int()>& work);

}  // namespace pila
