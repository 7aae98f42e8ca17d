// How several processes of a run end.
#pragma once

#include <functional>
#include <string>

#include "engine/parallel/communicator.h"
#include "engine/parallel/launch.h"

namespace pila {

// Does the work of one rank. What it throws is thrown on where all ranks throw: the first one reports it
// then, and a rank with another reason prints its own, with its number. Where it is this rank alone that
// fails, it prints the reason and ends all.
int end_together(Communicator& ranks, const std::string& program, const std::function<int()>& work);

// For processes that end by wrong usage, before they are joined: a launcher ends all when one has failed, so
// each waits until all are here, and the first one has said why. Ends all where the others go on.
void end_misused(const Launched& launched, int exit_code);

}  // namespace pila
