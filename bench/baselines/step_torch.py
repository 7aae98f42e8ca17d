"""Trains MobileNetV2 in PyTorch by a step when told to, by the protocol of pila-bench-model."""

import argparse
import sys
import time

import numpy
import torch
from torch import nn

from torch_mobilenet_v2 import MobileNetV2

CLASSES = 1000


def read_inputs(options):
    count = options.batch * options.size * options.size * 3
    with open(options.input, "rb") as file:
        images = numpy.frombuffer(file.read(4 * count), numpy.float32)
        labels = numpy.frombuffer(file.read(4 * options.batch), numpy.int32)
    images = images.reshape(options.batch, options.size, options.size, 3).transpose(0, 3, 1, 2)
    return torch.from_numpy(numpy.ascontiguousarray(images)), torch.from_numpy(labels.astype(numpy.int64))


def choose_what_learns(model, learns):
    if learns == "all":
        return
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    if learns == "head":
        model.requires_grad_(False)
        [*model.modules()][-1].requires_grad_(True)


def training_step(options, images, labels):
    layout = torch.contiguous_format if "contiguous" in options.peer else torch.channels_last
    model = MobileNetV2(options.width, CLASSES).to(memory_format=layout).train()
    choose_what_learns(model, options.learns)
    images = images.to(memory_format=layout)
    network = torch.compile(model) if "compile" in options.peer else model
    loss_of = nn.CrossEntropyLoss()
    learning = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=1e-3, eps=1e-7, fused=True)

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=["torch-channels-last", "torch-contiguous", "torch-compile"])
    parser.add_argument("--mode", required=True, choices=["train"])
    parser.add_argument("--learns", default="all", choices=["all", "all-by-given-statistics", "head"])
    parser.add_argument("--input", required=True, help="file of float32 images in NHWC, then int32 labels")
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm-ups", type=int, default=3)
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    work = training_step(options, *read_inputs(options))
    for _ in range(options.warm_ups):
        work()
    print("ready", flush=True)
    for line in sys.stdin:
        assert line == "run\n", line
        start = time.perf_counter()
        loss = work()
        print((time.perf_counter() - start) * 1e3, loss, flush=True)


if __name__ == "__main__":
    main()
