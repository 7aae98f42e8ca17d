"""Writes a table of what the compiler gives each CUDA kernel: registers, spills, shared memory, and how many
blocks its registers leave room for on a processor. Exits with 1 where a kernel spills.

Shared memory that a launch asks for beside that is not known to the compiler: see each kernel's launch.
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
COLUMNS = ("kernel", "architecture", "registers", "spilled bytes", "shared bytes", "threads", "blocks")
REGISTERS, MOST_WARPS = 65536, {"86": 48, "87": 48, "89": 48}  # of a processor; 64 warps for other GPUs


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode != 0:
        sys.exit(f"registers: {' '.join(map(str, command))}\n{result.stderr}")
    return result.stdout + result.stderr


def short_name(demangled):
    """Without parameters, namespaces and the word for where it is."""
    name = demangled.replace("(anonymous namespace)::", "")
    depth = 0
    for i, letter in enumerate(name):
        depth += {"<": 1, ">": -1}.get(letter, 0)
        if letter == "(" and depth == 0:
            name = name[:i]
            break
    return re.sub(r"\(\w+\)|^void |\w+::", "", name)


def demangle(names):
    lines = run("c++filt", *names).splitlines()
    return dict(zip(names, map(short_name, lines)))


def blocks_per_processor(registers, threads, architecture):
    """Registers go to warps in pieces of 256."""
    warps = -(-threads // 32)
    of_warp = -(-registers * 32 // 256) * 256
    return min(REGISTERS // of_warp, MOST_WARPS.get(architecture, 64)) // warps


def measure(source, architecture, folder):
    ptx = folder / "kernels.ptx"
    run("nvcc", "-std=c++17", "-O3", "--fmad=false", f"-I{ROOT}", "--ptx", f"-arch=compute_{architecture}", source,
        "-o", ptx)
    threads = dict(re.findall(r"\.entry (\w+)\([^)]*\)\s*\.maxntid (\d+)", ptx.read_text()))
    report = run("ptxas", "-v", f"-arch=sm_{architecture}", ptx, "-o", folder / "kernels.cubin")
    found = re.findall(r"entry function '(\w+)'.*?(\d+) bytes spill stores, (\d+) bytes spill loads.*?"
                       r"Used (\d+) registers([^\n]*)", report, re.DOTALL)
    names = demangle([name for name, *_ in found]) if found else {}
    for name, stores, loads, registers, rest in found:
        shared = re.search(r"(\d+) bytes smem", rest)
        in_block = int(threads.get(name, 256))
        yield (names[name], f"sm_{architecture}", int(registers), int(stores) + int(loads),
               int(shared.group(1)) if shared else 0, in_block,
               blocks_per_processor(int(registers), in_block, architecture))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--architectures", default="87,90", help="compute capabilities (default: %(default)s)")
    parser.add_argument("--csv", action="store_true", help="write CSV instead of Markdown")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sorted((ROOT / "kernels" / "cuda").glob("*.cu")):
            for architecture in args.architectures.split(","):
                rows += measure(source, architecture, pathlib.Path(folder))
    rows = sorted(set(rows))  # templates that several files use
    if args.csv:
        print("\n".join([",".join(COLUMNS)] + [",".join(f'"{cell}"' for cell in row) for row in rows]))
    else:
        lines = [COLUMNS, ("---", "---") + ("---:",) * (len(COLUMNS) - 2), *rows]
        print("\n".join(f"| {' | '.join(map(str, line))} |" for line in lines))
    spilling = sorted({row[0] for row in rows if row[3] > 0})
    if spilling:
        sys.exit(f"registers: spilled by {', '.join(spilling)}")


if __name__ == "__main__":
    main()
