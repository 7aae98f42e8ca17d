"""Runs MobileNetV2 in PyTorch on a GPU when told to, by the protocol of pila-bench-model.

Images lie on the GPU, batch normalisation goes by the moving statistics, and an answer is there when its
computation has ended.
"""

import argparse
import sys
import time

import numpy
import torch

from torch_mobilenet_v2 import MobileNetV2

CLASSES = 1000
TYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PEERS = ["torch-eager-contiguous", "torch-eager", "torch-graph", "torch-compile"]


def captured(network, images):
    """The network as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            network(images)
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        logits = network(images)

    def replay(_):
        graph.replay()
        return logits

    return replay


def prepare(options):
    layout = torch.contiguous_format if "contiguous" in options.peer else torch.channels_last
    count = options.batch * options.size * options.size * 3
    images = numpy.fromfile(options.input, numpy.float32, count)
    images = torch.from_numpy(images.reshape(options.batch, options.size, options.size, 3).transpose(0, 3, 1, 2))
    images = images.to(options.device, TYPES[options.precision]).contiguous(memory_format=layout)
    network = MobileNetV2(options.width, CLASSES).eval().to(options.device, TYPES[options.precision])
    network = network.to(memory_format=layout)
    if options.peer == "torch-compile":
        torch._inductor.config.freezing = True
        network = torch.compile(network, mode="max-autotune")
    if options.peer == "torch-graph":
        network = captured(network, images)
    return network, images


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--precision", required=True, choices=TYPES)
    parser.add_argument("--device", default="cuda", help="cpu tries this program out without a GPU")
    parser.add_argument("--input", required=True, help="file of float32 images in NHWC")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--warm-ups", type=int, default=10)
    options = parser.parse_args()

    torch.manual_seed(0)
    if options.precision in ("float32", "tf32"):  # as Pila's; by itself PyTorch takes TF32 for convolutions alone
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    with torch.inference_mode():
        network, images = prepare(options)
        wait = torch.cuda.synchronize if options.device == "cuda" else lambda: None

        def run():
            logits = network(images)
            wait()
            return logits

        for _ in range(options.warm_ups):
            run()
        print("ready", flush=True)
        for line in sys.stdin:
            assert line == "run\n", line
            start = time.perf_counter()
            logits = run()
            milliseconds = (time.perf_counter() - start) * 1e3
            print(milliseconds, float(logits[0, 0]), flush=True)


if __name__ == "__main__":
    main()
