"""Runs MobileNetV2 in PyTorch on a GPU, or trains it by a step, when told to, by the protocol of pila-bench-model.

Images lie on the GPU, and an answer is there when its computation has ended.
"""

import argparse
import sys
import time

import numpy
import torch
from torch import nn

from torch_mobilenet_v2 import MobileNetV2

CLASSES = 1000
TYPES = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}
PEERS = ["torch-eager-contiguous", "torch-eager", "torch-graph", "torch-compile"]


def captured(work):
    """What the work queues, as one CUDA graph."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            work()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = work()

    def replay():
        graph.replay()
        return result

    return replay


def read_inputs(options):
    layout = torch.contiguous_format if "contiguous" in options.peer else torch.channels_last
    count = options.batch * options.size * options.size * 3
    with open(options.input, "rb") as file:
        images = numpy.frombuffer(file.read(4 * count), numpy.float32)
        labels = numpy.frombuffer(file.read(4 * options.batch), numpy.int32)
    images = images.reshape(options.batch, options.size, options.size, 3).transpose(0, 3, 1, 2)
    # Weights that learn stay in float32.
    stored = torch.float32 if options.mode == "train" else TYPES[options.precision]
    images = torch.from_numpy(numpy.ascontiguousarray(images)).to(options.device, stored)
    network = MobileNetV2(options.width, CLASSES).to(options.device, stored)
    return (network.to(memory_format=layout), images.contiguous(memory_format=layout),
            torch.from_numpy(labels.astype(numpy.int64)).to(options.device))


def inference(options):
    """Gives the logits; batch normalisation goes by the moving statistics."""
    network, images, _ = read_inputs(options)
    network = network.eval()
    if options.peer == "torch-compile":
        torch._inductor.config.freezing = True
        network = torch.compile(network, mode="max-autotune")
    return torch.inference_mode()(lambda: network(images))


def training(options):
    """Gives the loss before a step of Adam; batch normalisation goes by the batch's statistics. In 16 bits by
    PyTorch's automatic mixed precision."""
    model, images, labels = read_inputs(options)
    network = torch.compile(model.train(), mode="max-autotune") if options.peer == "torch-compile" else model.train()
    loss_of = nn.CrossEntropyLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True,
                                 capturable=options.peer == "torch-graph")
    mixed = torch.autocast(options.device, TYPES[options.precision], options.precision in ("float16", "bfloat16"))
    scaler = torch.amp.GradScaler(options.device, enabled=options.precision == "float16")

    def step():
        optimizer.zero_grad(set_to_none=options.peer != "torch-graph")
        with mixed:
            loss = loss_of(network(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss.detach()

    return step


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--mode", required=True, choices=["infer", "train"])
    parser.add_argument("--precision", required=True, choices=TYPES)
    parser.add_argument("--device", default="cuda", help="cpu tries this program out without a GPU")
    parser.add_argument("--input", required=True, help="file of float32 images in NHWC, then int32 labels")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--warm-ups", type=int, default=10)
    options = parser.parse_args()

    torch.manual_seed(0)
    if options.precision in ("float32", "tf32"):  # as Pila's; by itself PyTorch takes TF32 for convolutions alone
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = options.precision == "tf32"
    torch.backends.cudnn.benchmark = True
    work = inference(options) if options.mode == "infer" else training(options)
    if options.peer == "torch-graph":
        work = captured(work)
    on_gpu = options.device == "cuda"
    wait = torch.cuda.synchronize if on_gpu else lambda: None

    def run():
        answer = work()
        wait()
        return answer

    for _ in range(options.warm_ups):
        run()
    # What PyTorch's allocator holds, its inputs among it.
    print("ready", torch.cuda.memory_reserved() / 2**20 if on_gpu else "", flush=True)
    for line in sys.stdin:
        assert line == "run\n", line
        start = time.perf_counter()
        answer = run()
        print((time.perf_counter() - start) * 1e3, answer.flatten()[0].item(), flush=True)


if __name__ == "__main__":
    main()
