"""MobileNetV2 in PyTorch with Keras' shapes, padding and weights."""

import typing

import torch
from torch import nn

# expansion, channels at width 1, blocks, stride of the first
STAGES = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]


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


class KerasLayer(typing.NamedTuple):
    name: str
    module: nn.Module
    position: int  # among all of Keras' layers, which "freeze the first k" counts


class MobileNetV2(nn.Module):
    def __init__(self, width, classes, dropout=0.0):
        super().__init__()
        self.width = width
        channels = make_divisible(32 * width)
        layers = [convolution(3, channels, kernel=3, stride=2)]
        for expansion, outputs, blocks, stride in STAGES:
            outputs = make_divisible(int(outputs * width))
            for i in range(blocks):
                layers.append(InvertedResidual(channels, outputs, expansion, stride if i == 0 else 1))
                channels = outputs
        last = make_divisible(1280 * width) if width > 1 else 1280
        layers.append(convolution(channels, last))
        self.features = nn.Sequential(*layers)
        self.dropout = nn.Dropout(dropout)
        self.top = nn.Linear(last, classes)

    def forward(self, x):
        return self.top(self.dropout(self.features(x).mean((2, 3))))

    def keras_layers(self):
        """The backbone's layers that hold weights, in Keras' order."""
        layers, position = [], 1  # behind the input

        def add(name, norm_name, part):
            nonlocal position
            convolution, norm = (m for m in part if isinstance(m, (nn.Conv2d, nn.BatchNorm2d)))
            layers.append(KerasLayer(name, convolution, position))
            layers.append(KerasLayer(norm_name, norm, position + 1))
            position += 3 if isinstance(part[-1], nn.ReLU6) else 2

        first, *blocks, last = self.features
        add("Conv1", "bn_Conv1", first)
        for i, block in enumerate(blocks):
            prefix = f"block_{i}_" if i else "expanded_conv_"
            for part, kind in zip(block.layers, ["expand", "depthwise", "project"][-len(block.layers):], strict=True):
                position += isinstance(part[0], SamePad)
                add(prefix + kind, f"{prefix}{kind}_BN", part)
            position += block.residual
        add("Conv_1", "Conv_1_bn", last)
        return layers


def load_keras_weights(model, file):
    """Fills the backbone from a legacy Keras HDF5 file; a top in the file is left alone."""
    import h5py

    def values(group):
        """The data sets below a group by their own names, "kernel", whatever the file's Keras appends."""
        found = {}
        group.visititems(lambda name, item: found.update({name.split("/")[-1].split(":")[0]: item[()]})
                         if isinstance(item, h5py.Dataset) else None)
        return {name: torch.from_numpy(value) for name, value in found.items()}

    with h5py.File(file) as h5, torch.no_grad():
        root = h5["model_weights"] if "model_weights" in h5 else h5
        for name, module, _ in model.keras_layers():
            weights = values(root[name])
            if isinstance(module, nn.BatchNorm2d):
                for parameter, key in ((module.weight, "gamma"), (module.bias, "beta"),
                                       (module.running_mean, "moving_mean"),
                                       (module.running_var, "moving_variance")):
                    parameter.copy_(weights[key])
            elif module.groups > 1:
                module.weight.copy_(weights.get("depthwise_kernel", weights.get("kernel")).permute(2, 3, 0, 1))
            else:
                module.weight.copy_(weights["kernel"].permute(3, 2, 0, 1))
