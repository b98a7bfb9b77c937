#!/usr/bin/env python3
"""bench_shapes.py - training steps of convolutions that are in no workload, beside PyTorch's better of eager and
channels_last, the worst ratio first: first layers of 1..4 channels, 5x5 and 7x7 kernels, odd channels, batches and maps,
strides, dilation, Conv1d and ConvTranspose2d; whole nets as people send them (nets.py); and all other layers by themselves
(layers.py).

  make shapes                                                       all of them, one thread
  make shapes SHAPES="--threads 2 --only 5x5,conv1d --turns 5"      those whose names hold one of the words

Needs a PYTHON that has torch. Of layers, a case is a net of one to three, each with a ReLU behind it, then a global
mean and a linear layer: in "first" ones the layer sees the input, so no gradient goes through it, in others two of three
see another layer. The contenders take --turns turns in turn, in windows of --secs seconds; a figure is the best window,
for what else runs on the machine only ever slows one. On one thread the clock is the process's own. PyTorch's turns share
a process, ours is a fresh one each.
"""
import argparse
import json
import os
import subprocess
import sys
import tempfile
import time

import layers as single
import nets
from workloads import DAEMON

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
VARIANTS = ("eager", "cl")


def net(shape, convs):
    """convs: (type, arguments) each."""
    layers = []
    for kind, args in convs:
        layers += [dict(args, type=kind), nets.RELU]
    layers += [{"type": "AdaptiveAvgPool%dd" % (len(shape) - 1), "output_size": 1}, nets.FLATTEN, nets.linear(10)]
    return nets.definition(shape, layers)


def conv(channels, kernel, kind="Conv2d", **more):
    return kind, dict({"out_channels": channels, "kernel_size": kernel, "padding": kernel // 2}, **more)


def first_layers():
    for c in 1, 2, 3, 4:
        yield "first %d->32 3x3 28" % c, 64, [c, 28, 28], [conv(32, 3)]
        yield "first %d->24 5x5 31" % c, 64, [c, 31, 31], [conv(24, 5)]
    yield "first 1->32 3x3 28 no padding", 64, [1, 28, 28], [conv(32, 3, padding=0)]
    yield "first 3->64 3x3 32", 128, [3, 32, 32], [conv(64, 3)]
    yield "first 3->16 3x3 32", 128, [3, 32, 32], [conv(16, 3)]
    yield "first 3->32 3x3 97 s2", 31, [3, 97, 97], [conv(32, 3, stride=2)]
    yield "first 3->64 7x7 97 s2", 16, [3, 97, 97], [conv(64, 7, stride=2)]
    yield "first 1->64 7x7 97 s2", 16, [1, 97, 97], [conv(64, 7, stride=2)]
    yield "first 3->50 5x5 31 batch 7", 7, [3, 31, 31], [conv(50, 5)]
    yield "first 1->6 5x5 28", 64, [1, 28, 28], [conv(6, 5)]


def deep(c, kernel, size, batch, **more):
    name = " ".join(["%d %dx%d %dx%d batch %d" % (c, kernel, kernel, size, size, batch)] +
                    ["%s %s" % m for m in more.items()])
    return name, batch, [c, size, size], [conv(c, kernel, **more)] * 3


def deep_layers():
    for c in 24, 33, 48, 50, 100, 130:
        yield deep(c, 3, 17, 31)
    for c in 16, 33, 64:
        yield deep(c, 5, 17, 31)
        yield deep(c, 7, 17, 31)
    for batch in 1, 7, 100:
        yield deep(48, 3, 31, batch)
        yield deep(100, 3, 17, batch)
    yield deep(6, 5, 31, 64)
    yield deep(10, 3, 31, 64)
    yield deep(32, 3, 97, 7)
    yield deep(64, 3, 31, 16, dilation=2, padding=2)
    yield deep(33, 3, 31, 16, dilation=2, padding=2)
    yield deep(64, 3, 56, 16, stride=2)
    yield deep(33, 3, 31, 31, stride=2)
    yield deep(100, 1, 17, 31)
    yield deep(130, 1, 31, 16)
    yield deep(64, 1, 31, 31, stride=2)
    for c, groups, size in (96, 6, 31), (256, 16, 31), (512, 32, 17), (96, 3, 31), (512, 16, 17):
        yield deep(c, 3, size, 31, groups=groups)


def others():
    for c, k in (32, 3), (64, 5), (50, 7):
        yield "conv1d %d k%d 500 batch 31" % (c, k), 31, [c, 500], [conv(c, k, "Conv1d")] * 3
    yield "conv1d first 1->32 k7 1000", 64, [1, 1000], [conv(32, 7, "Conv1d")]
    yield "transpose 64 4x4 s2 16", 31, [64, 16, 16], [conv(64, 4, "ConvTranspose2d", stride=2, padding=1)] * 2
    yield "transpose 48 2x2 s2 17", 31, [48, 17, 17], [conv(48, 2, "ConvTranspose2d", stride=2, padding=0)] * 2
    yield "transpose 33 3x3 31", 16, [33, 31, 31], [conv(33, 3, "ConvTranspose2d", padding=1)] * 3


def ours(args, path, batch):
    command = [os.path.join(args.build, "bench_train"), "--model", path, "--batch", str(batch), "--threads",
               str(args.threads), "--secs", str(args.secs), "--rounds", "2",
               "--clock", "process" if args.threads == 1 else "wall"]
    command += ["--isa", args.isa] if args.isa else []
    got = json.loads(subprocess.run(command, env=os.environ | DAEMON, stdout=subprocess.PIPE, check=True).stdout)
    return got["samples_per_second"]["max"], got["gflops"] * got["samples_per_second"]["max"] / \
        got["samples_per_second"]["median"]


def window(run, batch, args):
    now = time.process_time if args.threads == 1 else time.perf_counter
    steps, start = 0, now()
    while steps < 2 or now() - start < args.secs:
        run(1)
        steps += 1
    return steps * batch / (now() - start)


def measure(args, case, directory):
    import peers.torch
    from workloads import WORKLOADS, Workload

    name, batch, definition = case
    path = os.path.join(directory, "shape.json")
    with open(path, "w") as f:
        json.dump(definition, f)
    WORKLOADS[name] = Workload(path, batch, "sgd", 1)
    runs = {} if args.alone else {v: peers.torch.make(name, args.threads, v) for v in VARIANTS}
    best, mine, gflops = {v: 0.0 for v in VARIANTS}, 0.0, 0.0
    for run in runs.values():
        run(3)
    for _ in range(args.turns):
        rate, speed = ours(args, path, batch)
        mine, gflops = max(mine, rate), max(gflops, speed)
        for variant, run in runs.items():
            best[variant] = max(best[variant], window(run, batch, args), window(run, batch, args))
    peer = max(best.values())
    return {"case": name, "batch": batch, "ours": mine, "gflops": gflops, **best, "ratio": mine / peer if peer else 0}


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--only", default="", help="cases whose names hold one of these, separated by commas")
    p.add_argument("--threads", type=int, default=1)
    p.add_argument("--turns", type=int, default=2)
    p.add_argument("--secs", type=float, default=0.2)
    p.add_argument("--isa", default="", help="hold backpropd to this instruction set")
    p.add_argument("--alone", action="store_true", help="without PyTorch")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    return p.parse_args()


def main():
    args = arguments()
    for name in UNSET:
        os.environ.pop(name, None)
    words = args.only.split(",")
    cases = [(name, batch, net(shape, convs)) for make in (first_layers, deep_layers, others)
             for name, batch, shape, convs in make()]
    cases = [c for c in (*cases, *nets.whole_nets(), *single.all_layers()) if any(w in c[0] for w in words)]
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        for case in cases:
            rows.append(measure(args, case, directory))
            print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    print("%-40s %6s %10s %8s %10s %14s %6s" % ("case", "batch", "backpropd", "GFLOP/s", "eager", "channels_last",
                                                "ratio"))
    for r in sorted(rows, key=lambda row: row["ratio"]):
        print("%-40s %6d %10.1f %8.1f %10.1f %14.1f %6.2f" % (r["case"], r["batch"], r["ours"], r["gflops"],
                                                             r["eager"], r["cl"], r["ratio"]))


if __name__ == "__main__":
    main()
