"""Runs MobileNetV2 in PyTorch or ONNX Runtime when told to, by the protocol of pila-bench-model.

On standard input, "run" does the work once and answers with milliseconds and the loss.
"""

import argparse
import io
import sys
import time
import warnings

import numpy
import torch
from torch import nn

CLASSES = 1000


def make_divisible(channels):
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


class SamePad(nn.Module):
    """Keras pads at the bottom and right alone before a stride of 2 (even sizes)."""

    def forward(self, x):
        return nn.functional.pad(x, (0, 1, 0, 1))


def convolution(inputs, outputs, kernel=1, stride=1, groups=1, activation=True):
    layers = [SamePad()] if stride == 2 else []
    layers.append(nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2 if stride == 1 else 0,
                            groups=groups, bias=False))
    layers.append(nn.BatchNorm2d(outputs, eps=1e-3, momentum=1e-3))  # Keras' momentum 0.999
    if activation:
        layers.append(nn.ReLU6(inplace=True))
    return nn.Sequential(*layers)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, expansion, stride):
        super().__init__()
        wide = inputs * expansion
        layers = [convolution(inputs, wide)] if expansion > 1 else []
        layers.append(convolution(wide, wide, kernel=3, stride=stride, groups=wide))
        layers.append(convolution(wide, outputs, activation=False))
        self.layers = nn.Sequential(*layers)
        self.residual = inputs == outputs and stride == 1

    def forward(self, x):
        return x + self.layers(x) if self.residual else self.layers(x)


class MobileNetV2(nn.Module):
    """With Keras' shapes and padding."""

    def __init__(self, width):
        super().__init__()
        stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2),
                  (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
        channels = make_divisible(32 * width)
        layers = [convolution(3, channels, kernel=3, stride=2)]
        for expansion, outputs, blocks, stride in stages:
            outputs = make_divisible(int(outputs * width))
            for i in range(blocks):
                layers.append(InvertedResidual(channels, outputs, expansion, stride if i == 0 else 1))
                channels = outputs
        last = make_divisible(1280 * width) if width > 1 else 1280
        layers.append(convolution(channels, last))
        self.features = nn.Sequential(*layers)
        self.top = nn.Linear(last, CLASSES)

    def forward(self, x):
        return self.top(self.features(x).mean((2, 3)))


def read_inputs(options):
    count = options.batch * options.size * options.size * 3
    with open(options.input, "rb") as file:
        images = numpy.frombuffer(file.read(4 * count), numpy.float32)
        labels = numpy.frombuffer(file.read(4 * options.batch), numpy.int32)
    images = images.reshape(options.batch, options.size, options.size, 3).transpose(0, 3, 1, 2)
    return torch.from_numpy(numpy.ascontiguousarray(images)), torch.from_numpy(labels.astype(numpy.int64))


def torch_work(options, images, labels):
    layout = torch.contiguous_format if "contiguous" in options.peer else torch.channels_last
    model = MobileNetV2(options.width).to(memory_format=layout)
    images = images.to(memory_format=layout)
    loss_of = nn.CrossEntropyLoss()
    if options.mode == "infer":
        model.eval()
        network = torch.compile(model) if "compile" in options.peer else model

        def infer():
            with torch.inference_mode():
                return loss_of(network(images), labels).item()

        return infer
    model.train()
    network = torch.compile(model) if "compile" in options.peer else model
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, eps=1e-7, fused=True)

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = loss_of(network(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def onnx_work(options, images, labels):
    import onnxruntime

    if options.mode != "infer":
        sys.exit("ONNX Runtime's package on PyPI does not train")
    model = MobileNetV2(options.width).eval()
    graph = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter that needs no further package is called old
        torch.onnx.export(model, (images,), graph, dynamo=False)
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph.getvalue(), settings, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    feed = {name: images.numpy()}

    def infer():
        logits = torch.from_numpy(session.run(None, feed)[0])
        return nn.functional.cross_entropy(logits, labels).item()

    return infer


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True,
                        choices=["torch-channels-last", "torch-contiguous", "torch-compile", "onnxruntime"])
    parser.add_argument("--mode", required=True, choices=["infer", "train"])
    parser.add_argument("--input", required=True)
    parser.add_argument("--width", type=float, default=1.0)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--warm-ups", type=int, default=3)
    options = parser.parse_args()

    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    images, labels = read_inputs(options)
    work = (onnx_work if options.peer == "onnxruntime" else torch_work)(options, images, labels)
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
