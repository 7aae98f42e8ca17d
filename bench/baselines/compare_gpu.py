"""Measures MobileNetV2 on a GPU: Pila operation by operation, or against PyTorch, inference or steps of training.

Programs of a comparison run in processes of their own and take turns on the same images. Ratios are the peer's
median time over Pila's, with the 95% interval: above 1 Pila is faster. All parts write into one pair of files,
named after the GPU.
"""

import argparse
import json
import pathlib
import re
import subprocess
import sys
import tempfile

import numpy

from run_torch_gpu import PEERS
from turns import Program, ratio_cell, summary, take_turns

HERE = pathlib.Path(__file__).parent
MODES = {"peers": "infer", "training": "train"}


def tasks(options):
    return [dict(width=width, batch=batch, precision=precision)
            for width in options.widths for precision in options.precisions for batch in options.batches]


def title(task):
    return f"{task['width']} | {task['batch']} | {task['precision']}"


def profile_one(options, task):
    command = [options.programs / "pila-profile", "--device", options.device, "--json", "--rounds", str(options.rounds),
               "--width", str(task["width"]), "--batch", str(task["batch"]), "--precision", task["precision"]]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(done.stderr.strip())
    return dict(task, **json.loads(done.stdout))


def profile(options):
    return [profile_one(options, task) for task in tasks(options)]


def compare_one(options, task, generator):
    size = 224
    with tempfile.NamedTemporaryFile(suffix=".inputs") as inputs:
        generator.uniform(-1, 1, (task["batch"], size, size, 3)).astype(numpy.float32).tofile(inputs)
        generator.integers(0, 1000, task["batch"], numpy.int32).tofile(inputs)  # labels
        inputs.flush()
        arguments = ["--mode", MODES[options.part], "--device", options.device, "--precision", task["precision"],
                     "--width", str(task["width"]), "--batch", str(task["batch"]), "--size", str(size), "--input",
                     inputs.name]
        programs = [Program("pila", [options.programs / "pila-bench-model", *arguments], 1)]
        for peer in options.peers:
            programs.append(Program(peer, [sys.executable, HERE / "run_torch_gpu.py", "--peer", peer, *arguments], 1))
        ready = take_turns(programs, options.rounds, pause=0.01, times=options.times)
    programs = summary(ready, generator)
    for program in ready:
        programs[program.name]["mebibytes"] = program.memory
    return dict(task, programs=programs)


def compare(options):
    generator = numpy.random.default_rng(1)
    results = []
    for task in tasks(options):
        print(f"width {task['width']}, batch {task['batch']}, {task['precision']}", file=sys.stderr)
        results.append(compare_one(options, task, generator))
    return results


def profile_table(results):
    lines = ["| width | batch | precision | a run, ms | images a second | operations together, ms | the slowest |",
             "|---|---|---|---|---|---|---|"]
    for result in results:
        nodes = sorted(result["nodes"], key=lambda node: -node["milliseconds"])
        slowest = ", ".join(f"{node['layer']} {node['milliseconds']:.4f}" for node in nodes[:3])
        lines.append(f"| {title(result)} | {result['milliseconds']:.4f} | "
                     f"{result['batch'] / result['milliseconds'] * 1e3:.0f} | "
                     f"{sum(node['milliseconds'] for node in nodes):.4f} | {slowest} |")
    return "\n".join(lines)


def memory(program):
    return f"; {program['mebibytes']:.0f}" if program and program.get("mebibytes") else ""


def peers_table(results):
    lines = ["| width | batch | precision | Pila, ms; MiB | " + " | ".join(f"{peer}: ratio; MiB" for peer in PEERS) + " |",
             "|---|---|---|---|" + "---|" * len(PEERS)]
    for result in results:
        programs = result["programs"]
        cells = [title(result), f"{programs['pila']['milliseconds']['median']:.4f}{memory(programs['pila'])}"]
        cells += [ratio_cell(programs.get(peer)) + memory(programs.get(peer)) for peer in PEERS]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def write(options, part, results):
    """Puts one part's results beside those of the others."""
    device = profile_one(options, dict(width=0.35, batch=1, precision="float32"))["device"]
    stem = "_".join(re.findall(r"\w+", device.split(" (")[0]))
    options.results.mkdir(parents=True, exist_ok=True)
    file = options.results / f"{stem}.json"
    everything = json.loads(file.read_text()) if file.exists() else {}
    everything.update({"device": device, part: results})
    file.write_text(json.dumps(everything, indent=1) + "\n")
    text = f"{device}. MobileNetV2 with random weights, 224 x 224, images on the GPU.\n"
    if "profile" in everything:
        text += f"\n{profile_table(everything['profile'])}\n"
    for compared, heading in (("peers", "Inference"), ("training", "A step of training")):
        if compared in everything:
            text += (f"\n{heading}; ratio: the peer's median time over Pila's (95% interval); above 1 Pila is faster.\n\n"
                     f"{peers_table(everything[compared])}\n")
    (options.results / f"{stem}.md").write_text(text)
    print(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=["profile", "peers", "training"])
    parser.add_argument("--programs", required=True, type=pathlib.Path,
                        help="folder of pila-profile and pila-bench-model")
    parser.add_argument("--results", required=True, type=pathlib.Path, help="folder for .json and .md")
    parser.add_argument("--device", default="cuda", help="cpu tries this program out without a GPU")
    parser.add_argument("--widths", type=float, nargs="+", default=[1.0])
    parser.add_argument("--batches", type=int, nargs="+", help="(default: 1 32 128; of training 64 256)")
    parser.add_argument("--precisions", nargs="+", help="(default: float16; of training float32 tf32 bfloat16)")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--times", type=int, default=20, help="runs in a turn")
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    options = parser.parse_args()
    trains = options.part == "training"
    options.batches = options.batches or ([64, 256] if trains else [1, 32, 128])
    options.precisions = options.precisions or (["float32", "tf32", "bfloat16"] if trains else ["float16"])
    write(options, options.part, profile(options) if options.part == "profile" else compare(options))


if __name__ == "__main__":
    main()
