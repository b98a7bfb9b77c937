"""workloads.py - the reference workloads W1..W7, told once for backpropd and for its peers."""
import collections
import json
import os

HERE = os.path.dirname(os.path.abspath(__file__))

# model: the definition in models/; goal: as a ratio to the best fp32 peer of the run.
Workload = collections.namedtuple("Workload", "model batch optimizer goal")
WORKLOADS = {
    "w1sgd": Workload("w1.json", 128, "sgd", 1.3),
    "w1adam": Workload("w1.json", 128, "adam", 1.3),
    "w2": Workload("w2.json", 64, "adam", 2.2),
    "w3": Workload("w3.json", 128, "sgd", 2.2),
    "w4": Workload("w4.json", 128, "sgd", 1.8),
    "w5": Workload("w5.json", 128, "sgd", 2.5),
    "w6": Workload("w6.json", 32, "sgd", 1.8),
    "w7": Workload("w7.json", 16, "sgd", 1.5),
}
BATCHES = 8  # that rotate: a step takes the next of them
LR = {"sgd": 0.01, "adam": 1e-3}
MOMENTUM = 0.9
DAEMON = {"OMP_WAIT_POLICY": "passive", "GOMP_SPINCOUNT": "1000"}  # environment, as server/main.c sets it


class Unknown(Exception):
    """The peer cannot train this net."""


def model_path(workload):
    return os.path.join(HERE, "models", WORKLOADS[workload].model)


def definition(workload):
    """(shape of a sample, layers as (name, type, arguments, names of inputs)); the net's input is called "input"."""
    with open(model_path(workload)) as f:
        spec = json.load(f)
    layers, before = [], "input"
    for i, layer in enumerate(spec["layers"]):
        a = dict(layer)
        kind, name = a.pop("type"), a.pop("name", "layer%d" % i)
        layers.append((name, kind, a, a.pop("inputs", [before])))
        before = name
    return spec["input"]["shape"], layers


def classes(layers):
    return layers[-1][2]["out_features"]


def same_padding(size, a):
    """Whether "same" padding gives maps of the size that the symmetric padding of the definition gives. It is no more
    work, and saves such a peer a pass that pads."""
    k, s, p = a["kernel_size"], a.get("stride", 1), a.get("padding", 0)
    return (size + 2 * p - k) // s + 1 == -(-size // s)
