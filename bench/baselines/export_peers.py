"""Makes one MobileNetV2 for every peer: the same weights in the format of each, inputs, and PyTorch's logits.

What cannot be made leaves a file NAME.failed that says why.
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import warnings

import numpy
import torch
from torch import nn

from torch_mobilenet_v2 import MobileNetV2

CLASSES = 1000
IMAGES = 32
CALIBRATION_IMAGES = 64


def draw_images(count, size, seed):
    """Coloured patterns in [-1, 1], float32 [count, 3, size, size]: a colour and noise of several scales."""
    generator = torch.Generator().manual_seed(seed)
    images = 0.5 * torch.randn(count, 3, 1, 1, generator=generator).expand(-1, -1, size, size)
    for cells in (2, 5, 14, 40, 112):
        noise = torch.randn(count, 3, cells, cells, generator=generator)
        strength = 0.6 * torch.rand(count, 1, 1, 1, generator=generator) ** 3
        images = images + strength * nn.functional.interpolate(noise, (size, size), mode="bilinear")
    return images.clamp(-1, 1)


def make_model(width, size):
    """Random weights that behave as trained ones do: normalisation fits what it normalises, and the logits of
    different images differ."""
    torch.manual_seed(0)
    model = MobileNetV2(width, CLASSES)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    for norm in norms:
        # Mostly between the two kinks of ReLU6: a network of random weights with many kinks is chaotic, and
        # makes of a rounding error something else altogether.
        nn.init.uniform_(norm.weight, 0.5, 1.0)
        nn.init.normal_(norm.bias, 1.0, 0.3)
        norm.momentum = 1.0  # the statistics of one batch
    images = draw_images(CALIBRATION_IMAGES, size, seed=1)
    with torch.no_grad():
        model.train()(images)
        features = model.eval().features(images).mean((2, 3))
        nn.init.normal_(model.top.weight, 0, 2 / features.std(0).norm())
        model.top.bias.copy_(-model.top.weight @ features.mean(0))
    return model


def write_keras_weights(model, file):
    """Keras' legacy layout, which Keras and Pila read."""
    import h5py

    def of(module):
        if isinstance(module, nn.BatchNorm2d):
            return {"gamma": module.weight, "beta": module.bias, "moving_mean": module.running_mean,
                    "moving_variance": module.running_var}
        if isinstance(module, nn.Linear):
            return {"kernel": module.weight.T, "bias": module.bias}
        if module.groups > 1:
            return {"depthwise_kernel": module.weight.permute(2, 3, 0, 1)}
        return {"kernel": module.weight.permute(2, 3, 1, 0)}

    layers = [(name, module) for name, module, _ in model.keras_layers()] + [("predictions", model.top)]
    with h5py.File(file, "w") as h5:
        h5.attrs["layer_names"] = [name.encode() for name, _ in layers]
        h5.attrs["backend"], h5.attrs["keras_version"] = b"tensorflow", b"2.4.0"
        for name, module in layers:
            weights = {f"{name}/{key}:0": value for key, value in of(module).items()}
            group = h5.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in weights]
            for key, value in weights.items():
                group[key] = value.detach().numpy()


class Bfloat16(nn.Module):
    """Takes and gives float32."""

    def __init__(self, model):
        super().__init__()
        self.model = model.bfloat16()

    def forward(self, images):
        return self.model(images.bfloat16()).float()


def export_torch(model, images, folder):
    torch.save(model.state_dict(), folder / "torch.pt")
    images = images.to(memory_format=torch.channels_last)
    model = model.to(memory_format=torch.channels_last)
    torch.jit.trace(model, images).save(folder / "float32.torchscript")
    half = Bfloat16(MobileNetV2(model.width, CLASSES).eval())
    half.model.load_state_dict(model.state_dict())
    torch.jit.trace(half.to(memory_format=torch.channels_last), images).save(folder / "bfloat16.torchscript")


def export_onnx(model, images, folder):
    torch.onnx.export(model, (images,), folder / "float32.onnx", dynamo=False, input_names=["images"],
                      output_names=["logits"], dynamic_axes={"images": {0: "N"}, "logits": {0: "N"}})


def quantize_onnxruntime(calibration, folder):
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.feeds = iter([{"images": image[None]} for image in calibration])

        def get_next(self):
            return next(self.feeds, None)

    quantize_static(folder / "float32.onnx", folder / "int8.onnx", Reader(), quant_format=QuantFormat.QDQ,
                    per_channel=True, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8)


def quantize_openvino(calibration, folder):
    import nncf
    import openvino

    model = openvino.Core().read_model(folder / "float32.onnx")
    data = nncf.Dataset([image[None] for image in calibration])
    openvino.save_model(nncf.quantize(model, data, subset_size=len(calibration)), folder / "openvino_int8.xml",
                        compress_to_fp16=False)


def export_ncnn(model, images, folder):
    import pnnx

    with tempfile.TemporaryDirectory() as scratch:
        file = f"{scratch}/model.pt"
        torch.jit.trace(model, images).save(file)
        subprocess.run([pnnx.EXEC_PATH, file, f"inputshape=[1,3,{images.shape[2]},{images.shape[3]}]",
                        f"ncnnparam={folder / 'ncnn.param'}", f"ncnnbin={folder / 'ncnn.bin'}", "fp16=0"],
                       cwd=scratch, check=True, capture_output=True)


def export_tflite(keras_python, width, size, calibration, folder):
    with tempfile.NamedTemporaryFile(suffix=".npy") as file:
        numpy.save(file, calibration.transpose(0, 2, 3, 1))
        file.flush()
        script = pathlib.Path(__file__).parent / "export_tflite.py"
        result = subprocess.run([keras_python, script, "--width", str(width), "--size", str(size), "--calibration",
                                 file.name, "--folder", folder], capture_output=True, text=True)
    if result.returncode != 0:
        raise RuntimeError((result.stderr.strip().splitlines() or ["ended without a word"])[-1])


def attempt(folder, name, export):
    print(f"  {name}", file=sys.stderr)
    try:
        export()
    except Exception as error:  # a peer that fails must not take the others with it
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        (folder / f"{name}.failed").write_text(reason)
        print(f"  {name} failed: {reason}", file=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", required=True, type=pathlib.Path)
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--keras-python", default=sys.executable, help="Python that has TensorFlow")
    options = parser.parse_args()

    folder = options.folder.resolve()
    folder.mkdir(parents=True)
    warnings.simplefilter("ignore")  # of tracers and exporters that newer ones exist
    model = make_model(options.width, options.size).requires_grad_(False)
    images = draw_images(IMAGES, options.size, seed=2)
    calibration = draw_images(CALIBRATION_IMAGES, options.size, seed=1).numpy()
    numpy.save(folder / "images.npy", images.permute(0, 2, 3, 1).numpy())
    numpy.save(folder / "logits.npy", model(images).numpy())
    write_keras_weights(model, folder / "weights.h5")
    attempt(folder, "torch", lambda: export_torch(model, images[:1], folder))
    attempt(folder, "onnx", lambda: export_onnx(model, images[:1], folder))
    attempt(folder, "onnxruntime-int8", lambda: quantize_onnxruntime(calibration, folder))
    attempt(folder, "openvino-int8", lambda: quantize_openvino(calibration, folder))
    attempt(folder, "ncnn", lambda: export_ncnn(model.to(memory_format=torch.contiguous_format), images[:1], folder))
    attempt(folder, "tflite", lambda: export_tflite(options.keras_python, options.width, options.size, calibration,
                                                    folder))


if __name__ == "__main__":
    main()
