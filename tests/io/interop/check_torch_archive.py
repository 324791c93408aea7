#!/usr/bin/env python3
"""Checks that torch archives mean the same to this library and to Python's torch.

check_torch_archive.py check FILE JSON
    torch.load(FILE) must hold the tensors that JSON lists (name, dtype, shape, hex of the values, in this order).
check_torch_archive.py exchange TOOL
    TOOL (torch_archive_tool) writes a file that torch must read, then reads files that torch wrote, and the pretrained
    models under $SCVI_TEST_DATA (or ../shared/data beside the source).

Exit status: 0 as expected, 1 not, 77 torch is missing.
"""

import collections
import inspect
import json
import os
import pickle
import subprocess
import sys
import tempfile
import types

try:
    import numpy  # noqa: F401 (tensor.numpy() needs it)
    import torch
except ImportError as error:
    print(f"NO TORCH in {sys.executable} ({error}): install python3-torch; this test did not run")
    sys.exit(77)

LOAD_OPTIONS = inspect.signature(torch.load).parameters
WIDENED = {"bfloat16": torch.float32, "int8": torch.int32, "int16": torch.int32}


class Inert:
    """Stands for every class that is not of torch, so that no pandas or scvi is needed."""

    def __init__(self, *args, **kwargs):
        pass

    def __setstate__(self, state):
        pass


class InertUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if module.split(".")[0] in ("torch", "collections"):
            return super().find_class(module, name)
        if module in ("builtins", "__builtin__"):
            return {"list": list, "dict": dict, "set": set, "bytes": bytes, "slice": slice}[name]
        return Inert


inert_pickle = types.SimpleNamespace(
    Unpickler=InertUnpickler, load=lambda file, **_: InertUnpickler(file).load(), __name__="inert_pickle"
)


def load(path, weights_only, **options):
    if "weights_only" in LOAD_OPTIONS:
        options["weights_only"] = weights_only
    if not weights_only:
        options["pickle_module"] = inert_pickle
    return torch.load(path, map_location="cpu", **options)


def flatten(value, prefix=""):
    """Yields (name, tensor) of nested dictionaries, names joined by '/'."""
    for key, item in value.items():
        name = f"{prefix}/{key}" if prefix else str(key)
        if isinstance(item, torch.Tensor):
            yield name, item
        elif isinstance(item, dict):
            yield from flatten(item, name)


def describe(name, tensor):
    dtype = str(tensor.dtype).replace("torch.", "")
    tensor = tensor.detach().to(WIDENED.get(dtype, tensor.dtype)).contiguous()
    return {
        "name": name,
        "dtype": str(tensor.dtype).replace("torch.", ""),
        "shape": list(tensor.shape),
        "hex": tensor.numpy().tobytes().hex(),
    }


def expect(condition, message):
    if not condition:
        print(f"FAILED: {message}")
        sys.exit(1)


def compare(value, expected, what):
    found = [describe(name, tensor) for name, tensor in flatten(value)]
    names = [tensor["name"] for tensor in found]
    expect(names == [tensor["name"] for tensor in expected], f"{what}: other names or order: {names}")
    for ours, theirs in zip(expected, found):
        for part in ("dtype", "shape", "hex"):
            expect(ours[part] == theirs[part], f"{what}: {ours['name']}: other {part}")
    print(f"ok: {what}: {len(found)} tensors")


def check(path, json_path):
    with open(json_path, encoding="utf-8") as file:
        expected = json.load(file)
    compare(load(path, weights_only=False), expected, path)


def run_tool(tool, *args):
    result = subprocess.run([tool, *args], stderr=subprocess.PIPE, text=True, check=False)
    expect(result.returncode in (0, 3), f"{tool} {args} ended with {result.returncode}: {result.stderr}")
    return result.stderr if result.returncode == 3 else None


def check_written(tool, folder):
    path, json_path = os.path.join(folder, "written.pt"), os.path.join(folder, "written.json")
    expect(run_tool(tool, "write", path, json_path) is None, "the sample was not written")
    with open(json_path, encoding="utf-8") as file:
        expected = json.load(file)
    loaded = load(path, weights_only=True)
    expect(type(loaded) is collections.OrderedDict, f"torch.load gives a {type(loaded)}")
    expect(not any(tensor.requires_grad for tensor in loaded.values()), "a tensor requires a gradient")
    compare(loaded, expected, "written here, weights_only")
    compare(load(path, weights_only=False), expected, "written here")
    if "mmap" in LOAD_OPTIONS:
        compare(load(path, weights_only=True, mmap=True), expected, "written here, memory-mapped")


def python_files():
    base = torch.arange(60.0).reshape(3, 4, 5)
    parameter = torch.nn.Parameter(torch.randn(3, 2))
    tagged = torch.nn.Parameter(torch.randn(2))
    tagged.note = "kept by torch"
    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    optimizer = torch.optim.Adam(network.parameters())
    network(torch.randn(5, 4)).sum().backward()
    optimizer.step()
    yield "views", {
        "transposed": base.transpose(0, 2),
        "slice": base[1:, ::2, 1],
        "whole": base,
        "expanded": torch.tensor([1.0, 2.0]).expand(3, 2),
        "diagonal": torch.eye(4).diagonal(),
        "element": base[2, 3, 4],
        "empty": base[:0],
    }
    yield "types", {
        str(dtype): torch.tensor([0, 1, 1, 0]).to(dtype)
        for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.uint8, torch.int8,
                      torch.int16, torch.int32, torch.int64, torch.bool)
    }
    yield "bfloat16", {"b": torch.randn(7, 3).to(torch.bfloat16).t(), "small": torch.tensor([-5, 7], dtype=torch.int8)}
    yield "parameters", {"plain": parameter, "view": parameter.t(), "tagged": tagged}
    yield "module", network.state_dict()
    yield "checkpoint", {"model": network.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "note": "é",
                         "list": [1, 2.5, None], "tuple": (True, b"bytes"), "large": 2**70}
    yield "many", {f"t{i}": torch.full((2,), float(i)) for i in range(1500)}
    yield "empty", {}


def check_read(tool, folder, path, value, what):
    json_path = os.path.join(folder, "read.json")
    message = run_tool(tool, "dump", path, json_path)
    expect(message is None, f"{what}: {message}")
    with open(json_path, encoding="utf-8") as file:
        compare(value, json.load(file), what)


def check_refused(tool, folder, value, word, **options):
    path = os.path.join(folder, "refused.pt")
    torch.save(value, path, **options)
    message = run_tool(tool, "dump", path, os.path.join(folder, "refused.json"))
    expect(message is not None and word in message, f"should be refused with '{word}', but: {message}")
    print(f"ok: refused: {message.strip()}")


def pretrained_files():
    source = os.path.dirname(os.path.abspath(__file__))
    default = os.path.join(source, "..", "..", "..", "..", "shared", "data")
    root = os.path.join(os.environ.get("SCVI_TEST_DATA", default), "pretrained")
    found = sorted(os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names)
    return [path for path in found if path.endswith(".pt")]


def exchange(tool):
    print(f"torch {torch.__version__} of {sys.executable}")
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as folder:
        check_written(tool, folder)
        for name, value in python_files():
            path = os.path.join(folder, name + ".pt")
            torch.save(value, path)
            check_read(tool, folder, path, value, f"written by torch: {name}")
            torch.save(value, path, pickle_protocol=4)
            check_read(tool, folder, path, value, f"written by torch with protocol 4: {name}")
        check_refused(tool, folder, {"a": torch.ones(2)}, "1.6", _use_new_zipfile_serialization=False)
        check_refused(tool, folder, {"a": torch.eye(2).to_sparse()}, "'a'")
        check_refused(tool, folder, {"a": torch.ones(2, dtype=torch.complex64)}, "ComplexFloat")
        check_refused(tool, folder, torch.ones(2), "single tensor")
        check_refused(tool, folder, torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear")
        paths = pretrained_files()
        if not paths:
            print("NO PRETRAINED MODELS: set SCVI_TEST_DATA to the folder shared/data")
        for path in paths:
            check_read(tool, folder, path, load(path, weights_only=False), path)


def main():
    commands = {("check", 4): check, ("exchange", 3): exchange}
    command = commands.get((sys.argv[1] if len(sys.argv) > 1 else "", len(sys.argv)))
    if command is None:
        print(__doc__)
        sys.exit(2)
    command(*sys.argv[2:])


main()
