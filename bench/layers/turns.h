// Times several calls fairly: each in its turn, again and again.
#pragma once

#include <vector>

#include "bench/layers/call.h"
#include "engine/core/context.h"

namespace pila::bench {

double median(std::vector<double> values);  // of at least one

// Median seconds of one run of each call, over `rounds` turns of at least `seconds` each. A turn begins with
// runs that are not counted, when no thread of this process is busy any more. Of one thread, its processor's
// time counts. Where the device captures work, a turn is captured once and replayed, so that the host's time
// to queue it does not count.
std::vector<double> time_in_turns(const Context& ctx, const std::vector<Call*>& calls, int rounds,
                                  double seconds);

}  // namespace pila::bench
