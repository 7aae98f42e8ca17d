"""Programs that work when told to, and take turns, so that whatever else the machine does meets all of them."""

import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import numpy


class Program:
    """A process that obeys "run", and answers with milliseconds and a loss."""

    def __init__(self, name, command, threads):
        environment = dict(os.environ, OMP_NUM_THREADS=str(threads), TF_CPP_MIN_LOG_LEVEL="3")
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


def take_turns(programs, rounds, pause):
    """Runs those that get ready, Pila first among them. Returns them."""
    ready = [program for program in programs if program.wait_until_ready()]
    if not ready or ready[0].name != "pila":
        sys.exit("Pila's program does not run")
    for round_number in range(rounds):
        first = round_number % len(ready)
        for program in ready[first:] + ready[:first]:
            program.run()
            time.sleep(pause)  # threads of the last one that still spin go to sleep
    for program in programs:
        program.close()
    return ready


def median_interval(values, generator):
    """The median with the 95% interval of 2000 bootstrap samples."""
    values = numpy.asarray(values)
    samples = numpy.median(generator.choice(values, (2000, len(values))), axis=1)
    low, high = numpy.percentile(samples, [2.5, 97.5])
    return {"median": float(numpy.median(values)), "low": float(low), "high": float(high)}


def summary(ready, generator):
    """What goes into the results of each program: its ratio is to the first one's time, round by round."""
    return {program.name: {
        "milliseconds": median_interval(program.times, generator),
        "fastest": min(program.times),
        "ratio": median_interval(numpy.array(program.times) / numpy.array(ready[0].times), generator),
        "loss": [program.losses[0], program.losses[-1]],
    } for program in ready}


def ratio_cell(program):
    ratio = program and program["ratio"]
    return f"{ratio['median']:.2f} ({ratio['low']:.2f}-{ratio['high']:.2f})" if ratio else ""


def cpu_name():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.machine()


def results_stem():
    """The CPU's name as the beginning of a file's."""
    return "_".join(re.findall(r"\w+", cpu_name()))
