"""Trains MobileNetV2 in PyTorch on a split that pila-finetune wrote, for comparison with Pila.

The plain recipe: the backbone's ImageNet weights, global average pooling, dropout and a linear head; AdamW at
1e-3 with a decay of 0.01, batch-norm statistics frozen; flips, rotation by up to 18 degrees, contrast and
brightness by up to 0.4; the best epoch is kept. With --recipe, Pila's own recipe instead.

Measured is the split's test part, else what it calls validation. The epoch is chosen on validation where
there is a test part too; else on a share of train, or, without one, the last epoch is taken.
"""

import argparse
import copy
import json
import math
import os
import pathlib
import sys
import time

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # threads that wait must not spin on a shared machine

import numpy  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

import torch_recipe  # noqa: E402
from torch_images import Augmentation, load_images, normalize  # noqa: E402

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "baselines"))
from torch_mobilenet_v2 import MobileNetV2, load_keras_weights  # noqa: E402

EVALUATION_BATCH = 64


def take_share(entries, share, seed):
    """Splits a share of every class off: (the rest, the share)."""
    generator = numpy.random.default_rng(seed)
    taken = set()
    for label in sorted({entry["label"] for entry in entries}):
        members = [i for i, entry in enumerate(entries) if entry["label"] == label]
        taken.update(generator.permutation(members)[:round(share * len(members))].tolist())
    return ([entry for i, entry in enumerate(entries) if i not in taken],
            [entry for i, entry in enumerate(entries) if i in taken])


def divide(split, share, seed):
    """The parts of the split as this training uses them: train, choose, measure."""
    if split.get("test"):
        return {"train": split["train"], "choose": split["validation"], "measure": split["test"]}
    train, choose = take_share(split["train"], share, seed)
    return {"train": train, "choose": choose, "measure": split["validation"]}


def make_model(options, recipe, classes):
    model = MobileNetV2(options.width, classes, recipe.dropout)
    if options.weights:
        load_keras_weights(model, options.weights)
    if recipe.name != torch_recipe.PLAIN["name"]:  # the plain one begins as PyTorch does
        nn.init.xavier_uniform_(model.top.weight)
        nn.init.zeros_(model.top.bias)
    return model.to(memory_format=torch.channels_last)


def first_trainable(stage, layers):
    """Index into the backbone's layers that hold weights."""
    if stage.trainable_last is not None:
        return max(0, len(layers) - stage.trainable_last)
    return sum(layer.position < (stage.freeze or 0) for layer in layers)


def set_mode(model, stage, recipe):
    """Training mode: what learns, and which batch normalisation goes by the batch's statistics."""
    model.train()
    layers = model.keras_layers()
    first = first_trainable(stage, layers)
    for i, layer in enumerate(layers):
        layer.module.requires_grad_(i >= first)
        if isinstance(layer.module, nn.BatchNorm2d):
            layer.module.train(recipe.bn.startswith("batch") and i >= first)


def make_optimizer(model, stage, recipe):
    """One group for each parameter, with its share of the learning rate."""
    blocks = [*model.features, model.top]
    groups = []
    for i, block in enumerate(blocks):
        for parameter in block.parameters():
            if parameter.requires_grad:
                exempt = recipe.decay_kernels_only and parameter.dim() == 1
                groups.append({"params": [parameter], "factor": stage.layer_decay ** (len(blocks) - 1 - i),
                               "weight_decay": 0 if exempt else recipe.weight_decay})
    return torch.optim.AdamW(groups, foreach=True)


def rate_at(stage, step, steps_per_epoch):
    warmup = round(stage.warmup * steps_per_epoch)
    if step < warmup:
        return stage.lr * step / warmup
    if stage.schedule == "constant":
        return stage.lr
    progress = (step - warmup) / max(1, stage.epochs * steps_per_epoch - warmup)
    cosine = 0.5 * (1 + math.cos(math.pi * min(1, progress)))
    return stage.lr * ((1 - stage.final) * cosine + stage.final)


class Average:
    """The exponential moving average of a model; it forgets the first weights soon."""

    def __init__(self, model, momentum):
        self.model, self.momentum, self.updates = copy.deepcopy(model).eval(), momentum, 0

    @torch.no_grad()
    def update(self, model):
        t = self.updates
        momentum = min(self.momentum, (1 + t) / (10 + t)) if t else 0
        self.updates += 1
        for average, value in zip(self.model.state_dict().values(), model.state_dict().values(), strict=True):
            if value.is_floating_point():
                average.lerp_(value, 1 - momentum)


def blended(model, first, share):
    """A copy of the model that has a share of its weights, and the rest of those it began with."""
    result = copy.deepcopy(model)
    for value, begun in zip(result.state_dict().values(), first.values(), strict=True):
        if value.is_floating_point():
            value.lerp_(begun, 1 - share)
    return result


def class_weights(recipe, labels, classes):
    counts = torch.bincount(labels, minlength=classes).clamp(min=1)
    return len(labels) / (classes * counts) if recipe.balanced else torch.ones(classes)


def loss_of_batch(network, images, labels, recipe, weights):
    def loss(logits, of):
        losses = nn.functional.cross_entropy(logits, of, reduction="none",
                                             label_smoothing=recipe.label_smoothing)
        return (losses * weights[of]).mean()

    mixup = recipe.augmentation.get("mixup", 0)
    if not mixup:
        return loss(network(images), labels)
    weight = float(torch.distributions.Beta(mixup, mixup).sample())
    logits = network(torch.lerp(images.flip(0), images, weight).contiguous(memory_format=torch.channels_last))
    return weight * loss(logits, labels) + (1 - weight) * loss(logits, labels.flip(0))


@torch.inference_mode()
def probabilities(model, images, recipe):
    model.eval()
    return torch.cat([model(normalize(part, recipe.pixels)).softmax(1) for part in images.split(EVALUATION_BATCH)])


def measure(found, labels):
    """Accuracy and loss."""
    chances = found[torch.arange(len(labels)), labels].clamp_min(1e-12)
    return (found.argmax(1) == labels).double().mean().item(), -chances.log().mean().item()


@torch.no_grad()
def recalibrate(model, images, recipe):
    """The moving statistics of what learns anew, as the mean over batches of the training images."""
    model.eval()
    layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d) and m.weight.requires_grad]
    kept = [layer.momentum for layer in layers]
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    for part in images.split(EVALUATION_BATCH):
        model(normalize(part, recipe.pixels))
    for layer, momentum in zip(layers, kept, strict=True):
        layer.momentum = momentum


def train_epoch(network, model, average, optimizer, images, labels, recipe, rates, weights):
    """Returns the mean loss."""
    augment = Augmentation(recipe.augmentation)
    losses = []
    for chosen, rate in zip(torch.randperm(len(images)).tensor_split(len(rates)), rates, strict=True):
        for group in optimizer.param_groups:
            group["lr"] = rate * group["factor"]
        batch = normalize(augment(images[chosen]), recipe.pixels)
        loss = loss_of_batch(network, batch, labels[chosen], recipe, weights)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if recipe.clip_norm:
            nn.utils.clip_grad_norm_(model.parameters(), recipe.clip_norm)
        optimizer.step()
        if average:
            average.update(model)
        losses.append(loss.item())
    return float(numpy.mean(losses))


class Best:
    """Keeps the weights of the best epoch. Of equally accurate ones that is the one of the lowest loss: with
    a few images to choose on there are many."""

    def __init__(self, monitor):
        self.monitor, self.rank, self.weights, self.waited = monitor, None, None, 0

    def look_at(self, model, accuracy, loss):
        rank = (-loss,) if self.monitor == "loss" else (accuracy, -loss)
        self.waited += 1
        if self.rank is None or rank > self.rank:
            self.rank, self.waited = rank, 0
            self.weights = copy.deepcopy(model.state_dict())


def train(model, recipe, sets, options):
    """Returns what every epoch measured."""
    images, labels = sets["train"]
    watched = recipe.monitor != "none" and len(sets["choose"][0]) > 0
    steps = math.ceil(len(images) / recipe.batch)
    weights = class_weights(recipe, labels, model.top.out_features)
    network = torch.compile(model) if options.compile else model
    history = []
    for stage in recipe.stages:
        set_mode(model, stage, recipe)
        optimizer = make_optimizer(model, stage, recipe)
        average = Average(model, recipe.average) if recipe.average else None
        best = Best(recipe.monitor)
        first = copy.deepcopy(model.state_dict())
        for epoch in range(stage.epochs):
            start = time.perf_counter()
            set_mode(model, stage, recipe)
            rates = [rate_at(stage, epoch * steps + i, steps) for i in range(steps)]
            loss = train_epoch(network, model, average, optimizer, images, labels, recipe, rates, weights)
            history.append({"epoch": len(history) + 1, "loss": loss, "seconds": time.perf_counter() - start})
            current = blended(average.model if average else model, first, stage.blend)
            if watched:
                if recipe.bn == "batch-recalibrate":
                    recalibrate(current, images, recipe)
                accuracy, loss = measure(probabilities(current, sets["choose"][0], recipe), sets["choose"][1])
                history[-1].update(chosen_on_accuracy=accuracy, chosen_on_loss=loss)
                best.look_at(current, accuracy, loss)
            if not options.quiet:
                print("  ".join(f"{key} {value:.4g}" for key, value in history[-1].items()), file=sys.stderr,
                      flush=True)
            if stage.patience and best.waited >= stage.patience:
                break
        model.load_state_dict(best.weights or current.state_dict())
    if recipe.bn.endswith("recalibrate"):
        recalibrate(model, images, recipe)
    return history


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", required=True, type=pathlib.Path, help="split.json of a run folder")
    parser.add_argument("--data", default=".", help="folder that the split's relative files are in")
    parser.add_argument("--weights", help="Keras HDF5 file of the backbone; without it, random ones")
    parser.add_argument("--width", type=float, default=0.35)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=40, help="of the plain recipe")
    parser.add_argument("--recipe", type=pathlib.Path, help="a recipe as JSON, or a run folder's options.json")
    parser.add_argument("--validation-fraction", type=float, default=0,
                        help="share of train that chooses the epoch, where the split has no test part")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--compile", action="store_true", help="train through torch.compile")
    parser.add_argument("--quiet", action="store_true", help="do not report every epoch")
    parser.add_argument("--out", required=True, type=pathlib.Path, help="JSON file of the results")
    options = parser.parse_args()

    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    split = json.loads(options.split.read_text())
    parts = divide(split, options.validation_fraction, options.seed)
    recipe = torch_recipe.read(options.recipe) if options.recipe else torch_recipe.plain(options.epochs)
    start = time.perf_counter()
    sets = {name: load_images(options.data, entries, options.size) for name, entries in parts.items()}
    model = make_model(options, recipe, len(split["classes"]))
    history = train(model, recipe, sets, options)
    images, labels = sets["measure"]
    found = probabilities(model, images, recipe)
    accuracy, loss = measure(found, labels)
    predictions = [dict(entry, predicted=chances.argmax().item(), confidence=chances.max().item())
                   for entry, chances in zip(parts["measure"], found, strict=True)]
    result = {"program": f"PyTorch {torch.__version__}", "recipe": recipe.name, "split": str(options.split),
              "seed": options.seed, "width": options.width, "size": options.size, "classes": split["classes"],
              "images": {name: len(entries) for name, entries in parts.items()}, "accuracy": accuracy,
              "loss": loss, "seconds": time.perf_counter() - start, "history": history,
              "predictions": predictions}
    options.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"accuracy {accuracy:.4f} of {len(labels)} images in {result['seconds']:.0f} s")


if __name__ == "__main__":
    main()
