// The subcommands of pila-dataset.
#pragma once

#include <functional>

namespace CLI {
class App;
}

namespace pila {

// What to do once the command line is understood; returns an exit code.
using Work = std::function<int()>;

// Each adds one subcommand, which sets `work` when it is the one that was asked for.
void add_inspect(CLI::App& app, Work& work);
void add_frames(CLI::App& app, Work& work);
void add_synth(CLI::App& app, Work& work);
void add_export(CLI::App& app, Work& work);

}  // namespace pila
