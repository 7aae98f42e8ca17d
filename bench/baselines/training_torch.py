"""Trains MobileNetV2 in PyTorch when told to, by the protocol of pila-bench-training."""

import argparse
import os
import pathlib
import sys
import time

# Threads that wait must not spin: the workers that decode need the same cores.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import torch  # noqa: E402
from torch import nn  # noqa: E402

from torch_mobilenet_v2 import MobileNetV2  # noqa: E402
from training_list import add_arguments, read_list  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "accuracy"))
from torch_images import Augmentation, normalize, read_rgb, stretch  # noqa: E402

AUGMENTATION = {"flip_horizontal": True, "flip_vertical": True, "rotation": 0.05, "contrast": 0.4,
                "brightness": 0.4}


class Images(torch.utils.data.Dataset):
    """uint8 [3, size, size] and the label."""

    def __init__(self, files, labels, size, cached):
        self.files, self.labels, self.size = files, labels, size
        self.kept = [self.decode(i) for i in range(len(files))] if cached else None

    def __len__(self):
        return len(self.files)

    def decode(self, i):
        return stretch(read_rgb(self.files[i]), self.size)

    def __getitem__(self, i):
        return self.kept[i] if self.kept else self.decode(i), self.labels[i]


def training(options):
    """Decoding in worker processes; augmentation of a whole batch at a time, which is faster than by picture."""
    files, labels = read_list(options.list)
    images = Images(files, labels, options.size, options.cache_mb > 0)
    workers = 0 if images.kept else options.threads
    loader = torch.utils.data.DataLoader(images, options.batch, num_workers=workers,
                                         persistent_workers=workers > 0)
    model = MobileNetV2(options.width, max(labels) + 1, dropout=0.2).to(memory_format=torch.channels_last)
    model.train()
    if options.statistics == "frozen":
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.eval()
    network = torch.compile(model) if "compile" in options.peer else model
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-7, weight_decay=0.01, fused=True)
    loss_of = nn.CrossEntropyLoss()
    augment = Augmentation(AUGMENTATION)

    def run():
        for batch, of in loader:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(network(normalize(augment(batch))), of)
            loss.backward()
            optimizer.step()
        return loss.item()

    return run


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=["torch", "torch-compile"])
    options = add_arguments(parser).parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(options.threads)
    run = training(options)
    run()
    print("ready", flush=True)
    for line in sys.stdin:
        assert line == "run\n", line
        start = time.perf_counter()
        loss = run()
        print((time.perf_counter() - start) * 1e3, loss, flush=True)


if __name__ == "__main__":
    main()
