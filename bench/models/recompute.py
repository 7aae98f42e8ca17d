"""Measures what pila-finetune --recompute saves of the memory of training, and what it costs in time.

Steps of MobileNetV2 with and without it take turns: everything learns, by the batch's statistics. Memory is that of
all tensors at their peak, weights and the optimizer's moments among them, and what the process has grown by after its
first steps: freed tensors' memory is kept for others of their size. Times are compared turn by turn.
"""

import argparse
import array
import random
import statistics
import subprocess
import tempfile


def write_inputs(file, batch, size):
    """Images and labels, as pila-bench-model reads them."""
    draw = random.Random(1)
    array.array("f", (draw.uniform(-1, 1) for _ in range(batch * size * size * 3))).tofile(file)
    array.array("i", (draw.randrange(1000) for _ in range(batch))).tofile(file)
    file.flush()


class Program:
    def __init__(self, command):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.grown, self.peak = map(float, self.process.stdout.readline().split()[1:])  # "ready 12.3 4.5"
        self.times, self.losses = [], []

    def run(self):
        self.process.stdin.write("run\n")
        self.process.stdin.flush()
        milliseconds, loss = self.process.stdout.readline().split()
        self.times.append(float(milliseconds))
        self.losses.append(loss)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def in_mebibytes(kept, again):
    return f"{again:.0f} of {kept:.0f} MiB: {again / kept:.2f}"


def measure(options, width, inputs):
    command = [options.program, "--mode", "train", "--width", str(width), "--size", str(options.size),
               "--batch", str(options.batch), "--threads", str(options.threads), "--input", inputs]
    kept, again = Program(command), Program(command + ["--recompute"])
    for _ in range(options.rounds):
        kept.run()
        again.run()
    kept.close()
    again.close()
    if kept.losses != again.losses:
        raise SystemExit(f"recompute: other losses: {kept.losses} and {again.losses}")
    times = [more / less for more, less in zip(again.times, kept.times)]
    print(f"| {width} | {in_mebibytes(kept.peak, again.peak)} | {in_mebibytes(kept.grown, again.grown)} | "
          f"{statistics.median(times):.2f} ({min(times):.2f}-{max(times):.2f}) |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", help="pila-bench-model")
    parser.add_argument("--widths", nargs="+", default=["0.35", "1.0"])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    print("| width | tensors at their peak | process grown by | time of a step: median (lowest-highest) |\n"
          "|---|---|---|---|", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".inputs") as inputs:
        write_inputs(inputs, options.batch, options.size)
        for width in options.widths:
            measure(options, width, inputs.name)


if __name__ == "__main__":
    main()
