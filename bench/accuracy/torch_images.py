"""Pictures for PyTorch: read as Pila reads them, augmented as Keras augments them."""

import pathlib

import numpy
import torch
from PIL import Image, ImageOps
from torch.nn import functional

FILL = {"reflect": "reflection", "constant": "zeros", "nearest": "border"}  # grid_sample's words


def read_rgb(file):
    """Upright, over white, uint8 [height, width, 3]."""
    with Image.open(file) as image:
        image = ImageOps.exif_transpose(image)
        if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
            pixels = numpy.asarray(image.convert("RGBA")).astype(numpy.uint32)
            alpha = pixels[..., 3:]
            return ((pixels[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255).astype(numpy.uint8)
        return numpy.asarray(image.convert("RGB"))


def stretch(pixels, size):
    """Bilinear, without smoothing: uint8 [h, w, 3] to uint8 [3, size, size]."""
    image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float()
    image = functional.interpolate(image, (size, size), mode="bilinear", align_corners=False)
    return image[0].round().to(torch.uint8)


def load_images(folder, entries, size):
    """entries: the split's {"file", "label"}. Returns uint8 [n, 3, size, size] and int64 [n]."""
    images = torch.empty((len(entries), 3, size, size), dtype=torch.uint8)
    for i, entry in enumerate(entries):
        images[i] = stretch(read_rgb(pathlib.Path(folder) / entry["file"]), size)
    return images, torch.tensor([entry["label"] for entry in entries], dtype=torch.int64)


def normalize(images, pixels="-1..1"):
    images = images.float() / 255 if pixels == "0..1" else images.float() / 127.5 - 1
    return images.contiguous(memory_format=torch.channels_last)


class Augmentation:
    """`settings`: the keys of Pila's augmentation; what is left out is off. Every picture draws its own."""

    def __init__(self, settings):
        self.settings = settings

    def __call__(self, images):
        """uint8 [n, 3, h, w] to float32 within 0..255 (before the dropout's scaling)."""
        images = images.float()
        for change in (self.warp, self.colour, self.erase, self.drop):
            images = change(images)
        return images

    def get(self, name):
        return self.settings.get(name) or 0

    def range(self, name, default=(0, 0)):
        value = self.settings.get(name, default)
        return value if isinstance(value, (list, tuple)) else (-value, value)

    @staticmethod
    def between(low, high, count):
        return torch.empty(count).uniform_(low, high)

    def both_ways(self, name, count):
        return self.between(-1, 1, count) * self.get(name)

    def warp(self, images):
        count = len(images)
        names = ("flip_horizontal", "flip_vertical", "rotation", "translation_height", "translation_width")
        if not any(map(self.get, names)) and not any(self.range("zoom")) and not self.get("zoom_width"):
            return images
        coins = torch.rand(2, count) < 0.5
        mirrored = coins[0] & bool(self.get("flip_horizontal"))
        turned = coins[0 if self.get("flip_together") else 1] & bool(self.get("flip_vertical"))
        angle = 2 * torch.pi * self.both_ways("rotation", count)
        zoom_y = 1 + self.between(*self.range("zoom"), count)
        own = self.settings.get("zoom_width")
        zoom_x = 1 + self.between(*self.range("zoom_width"), count) if own is not None else zoom_y
        # Twice, as grid_sample's coordinates run from -1 to 1.
        shift = 2 * torch.stack([self.both_ways("translation_width", count),
                                 self.both_ways("translation_height", count)], 1)[..., None]
        flip = torch.diag_embed(1 - 2 * torch.stack([mirrored, turned], 1).float())
        rotation = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(count, 2, 2)
        # From the result's positions back to the picture's: Keras' layers from the last to the first.
        matrix = flip @ rotation @ torch.diag_embed(torch.stack([zoom_x, zoom_y], 1))
        grid = functional.affine_grid(torch.cat([matrix, -matrix @ shift], 2), images.shape, align_corners=False)
        return functional.grid_sample(images, grid, mode="bilinear", align_corners=False,
                                      padding_mode=FILL[self.settings.get("fill", "reflect")])

    def colour(self, images):
        def each(values):
            return values[:, None, None, None]

        count = len(images)
        if self.get("hue") or self.get("saturation"):
            turn = each(self.both_ways("hue", count) / 2)
            images = turn_hue(images, turn, each(1 + self.both_ways("saturation", count)))
        if self.get("contrast"):
            mean = images.mean((2, 3), keepdim=True)
            images = ((images - mean) * each(1 + self.both_ways("contrast", count)) + mean).clamp(0, 255)
        if self.get("brightness"):
            images = (images + each(255 * self.both_ways("brightness", count))).clamp(0, 255)
        return images

    def erase(self, images):
        """A rectangle of one colour over a part of the picture (random erasing)."""
        if not self.get("erase_probability"):
            return images
        count, _, height, width = images.shape
        area = height * width * self.between(*self.range("erase_area", (0.02, 0.33)), count)
        aspect = self.between(*numpy.log(self.range("erase_aspect", (0.3, 3.33))), count).exp()
        columns = (area * aspect).sqrt().clamp(max=width).maximum(area / height)
        rows = (area / columns).round().clamp(min=1)
        columns = columns.round().clamp(min=1)
        top = (torch.rand(count) * (height - rows + 1)).floor()
        left = (torch.rand(count) * (width - columns + 1)).floor()
        y, x = torch.arange(height), torch.arange(width)
        in_rows = (y >= top[:, None]) & (y < (top + rows)[:, None])
        in_columns = (x >= left[:, None]) & (x < (left + columns)[:, None])
        chosen = (torch.rand(count) < self.get("erase_probability"))[:, None, None]
        inside = (in_rows[:, :, None] & in_columns[:, None, :] & chosen)[:, None]
        return torch.where(inside, 255 * torch.rand(count, 3, 1, 1), images)

    def drop(self, images):
        return functional.dropout(images, self.get("pixel_dropout")) if self.get("pixel_dropout") else images


def turn_hue(images, turn, saturation):
    """Adds to the hue, in turns, and multiplies the saturation, in HSV."""
    red, green, blue = images.split(1, 1)
    value, largest = images.max(1, keepdim=True)
    chroma = value - images.amin(1, keepdim=True)
    safe = chroma.clamp(min=1e-6)
    sixth = torch.where(largest == 0, (green - blue) / safe,
                        torch.where(largest == 1, 2 + (blue - red) / safe, 4 + (red - green) / safe))
    chroma = torch.minimum(chroma * saturation, value)
    k = (torch.tensor([5.0, 3.0, 1.0]).view(1, 3, 1, 1) + sixth + 6 * turn) % 6
    return value - chroma * torch.minimum(k, 4 - k).clamp(0, 1)
