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

from torch_mobilenet_v2 import MobileNetV2

CLASSES = 1000


def read_inputs(options):
    count = options.batch * options.size * options.size * 3
    with open(options.input, "rb") as file:
        images = numpy.frombuffer(file.read(4 * count), numpy.float32)
        labels = numpy.frombuffer(file.read(4 * options.batch), numpy.int32)
    images = images.reshape(options.batch, options.size, options.size, 3).transpose(0, 3, 1, 2)
    return torch.from_numpy(numpy.ascontiguousarray(images)), torch.from_numpy(labels.astype(numpy.int64))


def torch_work(options, images, labels):
    layout = torch.contiguous_format if "contiguous" in options.peer else torch.channels_last
    model = MobileNetV2(options.width, CLASSES).to(memory_format=layout)
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
    model = MobileNetV2(options.width, CLASSES).eval()
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
