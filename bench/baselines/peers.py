"""Runs MobileNetV2 in one of the peers when told to, by the protocol of pila-bench-model.

On standard input, "run" does the work once and answers with milliseconds and the first logit.
"""

import argparse
import pathlib
import sys
import time

import numpy

# The precisions that each peer has here; export_peers.py says which file each comes from.
PEERS = {
    "torch-frozen": ["float32", "bfloat16"],
    "torch-compile": ["float32", "bfloat16"],
    "onnxruntime": ["float32", "int8"],
    "openvino": ["float32", "bfloat16", "int8"],
    "ncnn": ["float32", "bfloat16"],
    "tflite": ["float32", "int8"],
}


def nchw(images):
    return numpy.ascontiguousarray(images.transpose(0, 3, 1, 2))


def torch_frozen(options, images):
    import torch

    torch.set_num_threads(options.threads)
    inputs = torch.from_numpy(nchw(images)).to(memory_format=torch.channels_last)

    def load():
        loaded = torch.jit.load(options.folder / f"{options.precision}.torchscript")
        network = torch.jit.freeze(loaded.eval())

        def run():
            with torch.inference_mode():
                return network(inputs)

        return run, lambda: run().numpy()

    return load


def torch_compile(options, images):
    import torch
    import torch._inductor.config

    from export_peers import CLASSES, Bfloat16
    from torch_mobilenet_v2 import MobileNetV2

    torch.set_num_threads(options.threads)
    torch._inductor.config.freezing = True
    inputs = torch.from_numpy(nchw(images)).to(memory_format=torch.channels_last)

    def load():
        model = MobileNetV2(options.width, CLASSES).eval()
        model.load_state_dict(torch.load(options.folder / "torch.pt"))
        if options.precision == "bfloat16":
            model = Bfloat16(model)
        network = torch.compile(model.to(memory_format=torch.channels_last))

        def run():
            with torch.no_grad():
                return network(inputs)

        return run, lambda: run().numpy()

    return load


def onnxruntime(options, images):
    import onnxruntime

    def load():
        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = options.threads
        settings.inter_op_num_threads = 1
        settings.add_free_dimension_override_by_name("N", options.batch)
        session = onnxruntime.InferenceSession(options.folder / f"{options.precision}.onnx", settings,
                                               providers=["CPUExecutionProvider"])
        binding = session.io_binding()
        binding.bind_cpu_input("images", nchw(images))
        binding.bind_output("logits")
        return lambda: session.run_with_iobinding(binding), lambda: binding.copy_outputs_to_cpu()[0]

    return load


def openvino(options, images):
    import openvino

    def load():
        core = openvino.Core()
        name = "openvino_int8.xml" if options.precision == "int8" else "float32.onnx"
        model = core.read_model(options.folder / name)
        model.reshape([options.batch, 3, *images.shape[1:3]])
        compiled = core.compile_model(model, "CPU", {
            "PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": "1", "INFERENCE_NUM_THREADS": str(options.threads),
            "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bfloat16" else "f32"})
        request = compiled.create_infer_request()
        request.set_input_tensor(openvino.Tensor(nchw(images)))
        return request.infer, lambda: request.get_output_tensor().data.copy()

    return load


def ncnn(options, images):
    import ncnn

    def load():
        network = ncnn.Net()
        network.opt.num_threads = options.threads
        network.opt.use_vulkan_compute = False
        network.opt.use_fp16_packed = network.opt.use_fp16_storage = network.opt.use_fp16_arithmetic = False
        network.opt.use_bf16_storage = options.precision == "bfloat16"
        if network.load_param(str(options.folder / "ncnn.param")) or network.load_model(
                str(options.folder / "ncnn.bin")):
            raise RuntimeError("ncnn cannot load the network")
        inputs = [ncnn.Mat(image).clone() for image in nchw(images)]

        def run():  # ncnn takes one image at a time
            outputs = []
            for image in inputs:
                extractor = network.create_extractor()
                extractor.input("in0", image)
                outputs.append(extractor.extract("out0")[1])
            return outputs

        return run, lambda: numpy.stack([numpy.array(output) for output in run()])

    return load


def tflite(options, images):
    from ai_edge_litert.interpreter import Interpreter

    def load():
        network = Interpreter(str(options.folder / f"{options.precision}.tflite"), num_threads=options.threads)
        inputs, outputs = network.get_input_details()[0]["index"], network.get_output_details()[0]["index"]
        network.resize_tensor_input(inputs, images.shape)
        network.allocate_tensors()
        network.set_tensor(inputs, images)
        return network.invoke, lambda: network.get_tensor(outputs)

    return load


def resident_mebibytes():
    import resource

    pages = int(pathlib.Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peer", required=True, choices=PEERS)
    parser.add_argument("--precision", required=True)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help="what export_peers.py made")
    parser.add_argument("--input", required=True, help="file of float32 images in NHWC, then int32 labels")
    parser.add_argument("--output", required=True, help="file for the logits, float32")
    parser.add_argument("--width", type=float, required=True)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--warm-ups", type=int, default=3)
    options = parser.parse_args()

    shape = (options.batch, options.size, options.size, 3)
    images = numpy.fromfile(options.input, numpy.float32, numpy.prod(shape)).reshape(shape)
    load = globals()[options.peer.replace("-", "_")](options, images)
    before = resident_mebibytes()
    run, output = load()
    for _ in range(options.warm_ups):
        run()
    grown = resident_mebibytes() - before
    logits = output()
    logits.astype(numpy.float32).tofile(options.output)
    print("ready", grown, flush=True)
    for line in sys.stdin:
        assert line == "run\n", line
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) * 1e3, logits.flat[0], flush=True)


if __name__ == "__main__":
    main()
