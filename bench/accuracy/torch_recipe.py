"""What a training does, as data, with the keys of Pila's recipes."""

import dataclasses
import json

PLAIN = {
    "name": "plain",
    "stages": [{"epochs": 40, "lr": 1e-3}],
    "monitor": "accuracy",
    "augmentation": {"flip_horizontal": True, "flip_vertical": True, "rotation": 0.05, "contrast": 0.4,
                     "brightness": 0.4},
}


@dataclasses.dataclass
class Stage:
    epochs: int = 1
    lr: float = 1e-3
    schedule: str = "constant"  # or "cosine"
    warmup: float = 0
    final: float = 0
    freeze: int | None = None
    trainable_last: int | None = None
    layer_decay: float = 1
    patience: int = 0
    blend: float = 1


@dataclasses.dataclass
class Recipe:
    name: str = ""
    batch: int = 32
    dropout: float = 0.2
    weight_decay: float = 0.01
    decay_kernels_only: bool = False
    clip_norm: float = 0
    average: float = 0
    label_smoothing: float = 0
    balanced: bool = False
    bn: str = "frozen"
    monitor: str = "none"
    pixels: str = "-1..1"
    stages: list = dataclasses.field(default_factory=list)
    augmentation: dict = dataclasses.field(default_factory=dict)


def from_json(values):
    """Refuses keys that it does not know."""

    def fields(part):
        return {key.replace("-", "_"): value for key, value in part.items()}

    recipe = Recipe(**fields(values))
    recipe.stages = [Stage(**fields(stage)) for stage in recipe.stages]
    return recipe


def plain(epochs):
    recipe = from_json(PLAIN)
    recipe.stages[0].epochs = epochs
    return recipe


def read(file):
    """A recipe, or the options.json of a run folder."""
    values = json.loads(file.read_text())
    return from_json(values.get("recipe", values))
