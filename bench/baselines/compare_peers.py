"""Measures inference of MobileNetV2 in Pila against PyTorch, ONNX Runtime, OpenVINO, ncnn and TensorFlow Lite.

All have the same weights and inputs, and their logits are compared with PyTorch's before they are timed. Every
program runs in a process of its own, pinned to the same cores; in each round every one has a turn: some runs, of
which the first only warms the caches up. A ratio is the peer's median over Pila's, with the 95% interval of
bootstrap samples of rounds: a win is an interval wholly above 1.
"""

import argparse
import hashlib
import importlib.metadata
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy

from peers import PEERS
from peers_report import write_plot, write_tables
from machine import cpu_name, results_stem
from turns import Program, median_interval, ratio_interval, take_turns

HERE = pathlib.Path(__file__).parent
PRECISIONS = ["float32", "bfloat16", "int8"]
# How far logits may be from PyTorch's float32 ones: root mean square over all, relative to their deviation. A
# wrong network has 1.4. Float32 differs by the order of sums. Half of bfloat16's 8 bits, and of int8's, are lost on
# the way through 53 layers of random weights: peers were seen to have up to 0.18 and 0.4.
TOLERANCES = {"float32": 1e-3, "bfloat16": 0.3, "int8": 0.7}
NOT_OFFERED = {
    ("torch-frozen", "int8"): "PyTorch's quantisation is in another package, torchao; not measured",
    ("torch-compile", "int8"): "PyTorch's quantisation is in another package, torchao; not measured",
    ("onnxruntime", "bfloat16"): "ONNX Runtime has no bfloat16 kernels for x86",
    ("ncnn", "int8"): "ncnn's quantisation tools are not in its package",
    ("tflite", "bfloat16"): "TensorFlow Lite has no bfloat16 on a CPU",
}
# What the files of a peer's precision are made by, in export_peers.py.
EXPORTS = {("torch-frozen", None): "torch", ("torch-compile", None): "torch", ("onnxruntime", "float32"): "onnx",
           ("onnxruntime", "int8"): "onnxruntime-int8", ("openvino", "int8"): "openvino-int8",
           ("openvino", "float32"): "onnx", ("openvino", "bfloat16"): "onnx", ("ncnn", None): "ncnn",
           ("tflite", None): "tflite"}


def exported(options, width):
    """The folder with the models of this width, made when there is none that the present scripts made."""
    recipe = b"".join((HERE / name).read_bytes() for name in (
        "export_peers.py", "export_tflite.py", "torch_mobilenet_v2.py", "requirements.txt"))
    name = f"{width}-{options.size}-{hashlib.sha256(recipe).hexdigest()[:12]}"
    folder = options.models / name
    if not folder.exists():
        print(f"Making the models of width {width}", file=sys.stderr)
        making = options.models / f"{name}.part"
        shutil.rmtree(making, ignore_errors=True)
        subprocess.run([sys.executable, HERE / "export_peers.py", "--folder", making, "--width", str(width), "--size",
                        str(options.size), "--keras-python", options.keras_python], check=True)
        making.rename(folder)
    return folder


def reason_to_leave_out(peer, precision, folder):
    """None when there is none."""
    if precision not in PEERS[peer]:
        return NOT_OFFERED[peer, precision]
    for key in ((peer, precision), (peer, None)):
        failed = folder / f"{EXPORTS.get(key)}.failed"
        if failed.exists():
            return f"its model could not be made: {failed.read_text()}"
    return None


def agreement(logits, expected):
    """With PyTorch's float32 ones."""
    difference = float(numpy.sqrt(((logits - expected) ** 2).mean()) / expected.std())
    return {"difference": difference, "same_top1": int((logits.argmax(1) == expected.argmax(1)).sum())}


def objection(program, precision, output, expected):
    """Why a program is not to be timed; None when its logits are right."""
    logits = numpy.fromfile(output, numpy.float32)
    if logits.size != expected.size:
        return f"{expected.size} logits are expected, got {logits.size}"
    program.agreement = agreement(logits.reshape(expected.shape), expected)
    difference, same = program.agreement["difference"], program.agreement["same_top1"]
    wrong = precision == "float32" and same < len(expected)
    if wrong or not difference <= TOLERANCES[precision]:
        return (f"its logits differ from PyTorch's: by {difference:.2g} of their deviation, {same} of {len(expected)} "
                f"top-1 are the same")
    return None


def start_programs(task, options, folder, scratch):
    arguments = ["--width", str(task["width"]), "--batch", str(task["batch"]), "--size", str(options.size),
                 "--threads", str(task["threads"]), "--input", str(scratch / "inputs")]
    programs = []
    for precision in options.precisions:
        name = f"pila {precision}"
        command = [options.pila, "--mode", "infer", *arguments, "--weights", str(folder / "weights.h5"), "--output",
                   str(scratch / name)]
        if precision != "float32":
            command += ["--precision", precision]
        if precision == "int8":
            ranges = scratch / "ranges"
            subprocess.run([options.pila, "--mode", "calibrate", *arguments, "--weights", str(folder / "weights.h5"),
                            "--output", str(ranges)], check=True)
            command += ["--ranges", str(ranges)]
        programs.append(Program(name, command, task["threads"]))
    for peer in options.peers:
        for precision in options.precisions:
            name = f"{peer} {precision}"
            left_out = reason_to_leave_out(peer, precision, folder)
            command = [sys.executable, str(HERE / "peers.py"), "--peer", peer, "--precision", precision, "--folder",
                       str(folder), *arguments, "--output", str(scratch / name)]
            programs.append(Program(name, None if left_out else command, task["threads"], left_out))
    return programs


def measure(task, options, folder):
    """All programs on one task; returns what goes into the results."""
    generator = numpy.random.default_rng(1)
    images = numpy.load(folder / "images.npy")[:task["batch"]]
    expected = numpy.load(folder / "logits.npy")[:task["batch"]]
    os.sched_setaffinity(0, options.cores[:task["threads"]])
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        with open(scratch / "inputs", "wb") as file:
            images.tofile(file)
            numpy.zeros(task["batch"], numpy.int32).tofile(file)
        programs = start_programs(task, options, folder, scratch)
        ready = take_turns(
            programs, options.rounds, options.pause, task["runs"],
            lambda program: objection(program, program.name.split()[1], scratch / program.name, expected))
    ours = {program.name.split()[1]: program.times for program in ready if program.name.startswith("pila ")}
    results = {}
    for program in programs:
        peer, precision = program.name.split()
        entry = {"peer": peer, "precision": precision}
        if program.left_out:
            entry["left_out"] = program.left_out
        else:
            entry |= {"milliseconds": median_interval(program.times, generator), "fastest": min(program.times),
                      "mebibytes": program.memory, **program.agreement}
            # By the precision that Pila had in these runs.
            entry["ratios"] = {of: ratio_interval(program.times, times, generator) for of, times in ours.items()}
        results[program.name] = entry
    return dict(task, programs=results)


def print_result(result):
    for name, program in result["programs"].items():
        if "left_out" not in program:
            ratio = program["ratios"].get(program["precision"])
            print(f"  {name:24} {program['milliseconds']['median']:8.2f} ms, fastest {program['fastest']:8.2f}, "
                  f"{program['mebibytes']:6.1f} MiB" + (f"; {ratio['median']:.2f} of Pila's" if ratio else ""),
                  file=sys.stderr)


def versions(keras_python):
    def version(package):
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            return "missing"

    found = {name: version(name) for name in ("torch", "onnxruntime", "openvino", "nncf", "ncnn", "ai-edge-litert")}
    script = "import importlib.metadata as m; print(m.version('tensorflow-cpu'))"
    keras = subprocess.run([keras_python, "-c", script], capture_output=True, text=True).stdout.strip()
    return dict(found, **{"tensorflow (converter)": keras or "missing"})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pila", required=True, help="the program pila-bench-model")
    parser.add_argument("--models", required=True, type=pathlib.Path, help="folder for the peers' models; kept")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="folder for .json, .md and .svg")
    parser.add_argument("--keras-python", default=sys.executable, help="Python that has TensorFlow")
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0, 0.35])
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 8, 32], help="at most 32")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--precisions", nargs="+", default=PRECISIONS, choices=PRECISIONS)
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--pause", type=float, default=0.05, help="seconds between two turns")
    options = parser.parse_args()
    options.cores = sorted(os.sched_getaffinity(0))
    if max(options.threads) > len(options.cores):
        parser.error(f"--threads: this machine gives {len(options.cores)} cores")
    if "float32" not in options.precisions:
        parser.error("--precisions: float32 is the one that all are compared with")
    if max(options.batches) > 32:
        parser.error("--batches: 32 images are there")

    results = []
    for width in options.widths:
        folder = exported(options, width)
        for threads in options.threads:
            for batch in options.batches:
                # A turn of a few milliseconds would mostly show how long caches take to get warm.
                task = dict(width=width, batch=batch, threads=threads, runs=12 if batch == 1 else 3)
                print(f"width {width}, batch {batch}, {threads} threads", file=sys.stderr)
                results.append(measure(task, options, folder))
                print_result(results[-1])
    about = {"cpu": cpu_name(), "size": options.size, "rounds": options.rounds,
             "versions": versions(options.keras_python)}
    options.results.mkdir(parents=True, exist_ok=True)
    stem = options.results / f"{results_stem()}-peers"
    stem.with_suffix(".json").write_text(json.dumps(dict(about, results=results), indent=1) + "\n")
    text = write_tables(about, results)
    stem.with_suffix(".md").write_text(text)
    print(text)
    write_plot(about, results, stem.with_suffix(".svg"))


if __name__ == "__main__":
    main()
