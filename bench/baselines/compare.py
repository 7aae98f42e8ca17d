"""Measures training steps of MobileNetV2 in Pila against PyTorch: one run, same inputs, same threads.

Every program runs in a process of its own; they take turns. Ratios are the peer's median time over Pila's, with
the 95% interval: above 1 Pila is faster. compare_peers.py measures inference.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

import numpy

from machine import cpu_name, results_stem
from turns import Program, ratio_cell, summary, take_turns

HERE = pathlib.Path(__file__).parent
PEERS = ["torch-channels-last", "torch-contiguous", "torch-compile"]
LEARNS = {"all": "all, batch statistics", "all-by-given-statistics": "all, given statistics", "head": "the head"}


def write_inputs(file, batch, size, generator):
    generator.uniform(-1, 1, (batch, size, size, 3)).astype(numpy.float32).tofile(file)
    generator.integers(0, 1000, batch).astype(numpy.int32).tofile(file)
    file.flush()


def measure(task, options, peers):
    """All programs on one task; returns what goes into the results."""
    generator = numpy.random.default_rng(1)
    with tempfile.NamedTemporaryFile(suffix=".inputs") as inputs:
        write_inputs(inputs, task["batch"], options.size, generator)
        arguments = ["--mode", "train", "--learns", task["learns"], "--width", str(task["width"]), "--batch", str(task["batch"]),
                     "--size", str(options.size), "--threads", str(options.threads), "--input", inputs.name]
        programs = [Program("pila", [options.pila, *arguments], options.threads)]
        for peer in peers:
            command = [sys.executable, str(HERE / "step_torch.py"), "--peer", peer, *arguments]
            programs.append(Program(peer, command, options.threads))
        ready = take_turns(programs, options.rounds, options.pause)
    return dict(task, programs=summary(ready, generator))


def title(task):
    return f"{LEARNS[task['learns']]}, width {task['width']}, batch {task['batch']}"


def table(results):
    names = [name for name in ["pila", *PEERS] if any(name in r["programs"] for r in results)]
    lines = ["| what learns | pila, ms | " + " | ".join(f"{n}: ratio" for n in names[1:]) + " |",
             "|---|---|" + "---|" * (len(names) - 1)]
    for result in results:
        cells = [title(result), f"{result['programs']['pila']['milliseconds']['median']:.1f}"]
        cells += [ratio_cell(result["programs"].get(name)) for name in names[1:]]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pila", required=True, help="the program pila-bench-model")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="folder for .json and .md")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.35, 1.0])
    parser.add_argument("--learns", nargs="+", default=list(LEARNS), choices=list(LEARNS), help="what is trained")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two runs")
    options = parser.parse_args()

    tasks = [dict(learns=learns, width=width, batch=32) for learns in options.learns for width in options.widths]
    results = []
    for task in tasks:
        print(title(task), file=sys.stderr)
        results.append(measure(task, options, options.peers))
        for name, program in results[-1]["programs"].items():
            loss = " to ".join(f"{value:.3f}" for value in dict.fromkeys(program["loss"]))
            print(f"  {name:20} {program['milliseconds']['median']:8.1f} ms, fastest {program['fastest']:.1f}; "
                  f"{program['ratio']['median']:.2f} of Pila's; loss {loss}", file=sys.stderr)
    import torch

    about = {"cpu": cpu_name(), "threads": options.threads, "size": options.size,
             "torch": torch.__version__}
    text = (f"Training steps of MobileNetV2 at {options.size}: {about['cpu']}, {options.threads} threads, float32, PyTorch {torch.__version__}.\nRatio: the peer's "
            f"median time over Pila's (95% interval); above 1 Pila is faster.\n\n{table(results)}\n")
    options.results.mkdir(parents=True, exist_ok=True)
    stem = results_stem() + "-steps"
    (options.results / f"{stem}.json").write_text(json.dumps(dict(about, results=results), indent=1) + "\n")
    (options.results / f"{stem}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
