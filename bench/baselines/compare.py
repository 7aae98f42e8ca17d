"""Measures MobileNetV2 in Pila against PyTorch and ONNX Runtime: one run, same inputs, same threads.

Every program runs in a process of its own and works only when told to; they take turns, so that whatever
else the machine does meets all of them. Ratios are peer's time over Pila's, round by round: above 1 Pila is
faster. Of each ratio the median is given, with the 95% interval of 2000 bootstrap samples.
"""

import argparse
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import tempfile
import time

import numpy

HERE = pathlib.Path(__file__).parent
PEERS = ["torch-channels-last", "torch-contiguous", "torch-compile", "onnxruntime"]


class Program:
    """A process that obeys "run"."""

    def __init__(self, name, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads))
        self.name = name
        self.times, self.losses = [], []
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True, env=environment)

    def wait_until_ready(self):
        """Whether it is; when not, why not goes to stderr."""
        if self.process.stdout.readline() == "ready\n":
            return True
        lines = self.process.stderr.read().strip().splitlines() or ["ended"]
        print(f"  {self.name} is left out: {lines[-1]}", file=sys.stderr)
        return False

    def run(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        milliseconds, loss = self.process.stdout.readline().split()
        self.times.append(float(milliseconds))
        self.losses.append(float(loss))

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()
        self.process.wait()


def median_interval(values, generator):
    values = numpy.asarray(values)
    samples = numpy.median(generator.choice(values, (2000, len(values))), axis=1)
    low, high = numpy.percentile(samples, [2.5, 97.5])
    return {"median": float(numpy.median(values)), "low": float(low), "high": float(high)}


def write_inputs(file, batch, size, generator):
    generator.uniform(-1, 1, (batch, size, size, 3)).astype(numpy.float32).tofile(file)
    generator.integers(0, 1000, batch).astype(numpy.int32).tofile(file)
    file.flush()


def measure(task, options, peers):
    """All programs on one task; returns what goes into the results."""
    generator = numpy.random.default_rng(1)
    with tempfile.NamedTemporaryFile(suffix=".inputs") as inputs:
        write_inputs(inputs, task["batch"], options.size, generator)
        arguments = ["--mode", task["mode"], "--width", str(task["width"]), "--batch", str(task["batch"]),
                     "--size", str(options.size), "--threads", str(options.threads), "--input", inputs.name]
        programs = [Program("pila", [options.pila, *arguments], options.threads)]
        for peer in peers:
            if peer != "onnxruntime" or task["mode"] == "infer":
                command = [sys.executable, str(HERE / "peers.py"), "--peer", peer, *arguments]
                programs.append(Program(peer, command, options.threads))
        ready = [program for program in programs if program.wait_until_ready()]
        if not ready or ready[0].name != "pila":
            sys.exit("pila-bench-model does not run")
        for round_number in range(task["rounds"]):
            first = round_number % len(ready)
            for program in ready[first:] + ready[:first]:
                program.run()
                time.sleep(options.pause)  # threads of the last one that still spin go to sleep
        for program in programs:
            program.close()
    pila = ready[0]
    result = dict(task, programs={})
    for program in ready:
        result["programs"][program.name] = {
            "milliseconds": median_interval(program.times, generator),
            "fastest": min(program.times),
            "ratio": median_interval(numpy.array(program.times) / numpy.array(pila.times), generator),
            "loss": [program.losses[0], program.losses[-1]],
        }
    return result


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def title(task):
    what = "training step" if task["mode"] == "train" else "inference"
    return f"{what}, width {task['width']}, batch {task['batch']}"


def table(results):
    names = [name for name in ["pila", *PEERS] if any(name in r["programs"] for r in results)]
    lines = ["| MobileNetV2, 224 | pila, ms | " + " | ".join(f"{n}: ratio" for n in names[1:]) + " |",
             "|---|---|" + "---|" * (len(names) - 1)]
    for result in results:
        cells = [title(result), f"{result['programs']['pila']['milliseconds']['median']:.1f}"]
        for name in names[1:]:
            program = result["programs"].get(name)
            ratio = program and program["ratio"]
            cells.append(f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else "")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pila", required=True, help="the program pila-bench-model")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="folder for .json and .md")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--widths", type=float, nargs="+", default=[0.35, 1.0])
    parser.add_argument("--rounds", type=int, default=15, help="at batch 32; four times as many at batch 1")
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two runs")
    options = parser.parse_args()

    tasks = [dict(mode=mode, width=width, batch=batch, rounds=options.rounds * (4 if batch == 1 else 1))
             for mode, batch in (("infer", 1), ("infer", 32), ("train", 32)) for width in options.widths]
    results = []
    for task in tasks:
        print(title(task), file=sys.stderr)
        results.append(measure(task, options, options.peers))
        for name, program in results[-1]["programs"].items():
            loss = " to ".join(f"{value:.3f}" for value in dict.fromkeys(program["loss"]))
            print(f"  {name:20} {program['milliseconds']['median']:8.1f} ms, fastest {program['fastest']:.1f}; "
                  f"{program['ratio']['median']:.2f} of Pila's; loss {loss}", file=sys.stderr)
    import onnxruntime
    import torch

    about = {"cpu": cpu_name(), "threads": options.threads, "size": options.size,
             "torch": torch.__version__, "onnxruntime": onnxruntime.__version__}
    text = (f"{about['cpu']}, {options.threads} threads, float32, PyTorch {torch.__version__}, ONNX Runtime "
            f"{onnxruntime.__version__}.\nRatio: the peer's time over Pila's in the same round, median (95% "
            f"interval); above 1 Pila is faster.\n\n{table(results)}\n")
    options.results.mkdir(parents=True, exist_ok=True)
    stem = "_".join(re.findall(r"\w+", about["cpu"]))
    (options.results / f"{stem}.json").write_text(json.dumps(dict(about, results=results), indent=1) + "\n")
    (options.results / f"{stem}.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
