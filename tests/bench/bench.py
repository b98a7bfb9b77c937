#!/usr/bin/env python3
"""bench.py - backpropd's training core beside PyTorch, on the same model definitions, in the same run.

  make bench                                            all workloads, 1 and 2 threads
  make bench BENCH="--workload w2,w3 --threads 2"       some of them

For every workload W1..W7 (models/*.json) and thread count the contenders take turns, --repeat times: build/bench_train,
then PyTorch in each --variant (eager; cl = channels_last; compile_cl = torch.compile on channels_last; bf16_cl = autocast,
shown for comparison and never the best fp32 peer, and left out where the processor has no bf16 arithmetic: emulated, a turn
takes minutes). Each turn is a fresh process that warms up and times --rounds rounds of
--secs seconds; a contender's figure is the median of its turns' medians. Last the table: ratio to the best fp32 variant,
share of the FMA peak (measured with build/bench_peak where it is built), peak memory of both.

PyTorch's nets are built from the same JSON: shapes, padding, bias and order are the definition's. One step is zero_grad,
forward, loss, backward and a fused optimizer step on a batch in memory, a fresh one of eight each time.
"""
import argparse
import json
import os
import re
import resource
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# workload: (definition, batch, optimizer)
WORKLOADS = {
    "w1sgd": ("w1.json", 128, "sgd"),
    "w1adam": ("w1.json", 128, "adam"),
    "w2": ("w2.json", 64, "adam"),
    "w3": ("w3.json", 128, "sgd"),
    "w4": ("w4.json", 128, "sgd"),
    "w5": ("w5.json", 128, "sgd"),
    "w6": ("w6.json", 32, "sgd"),
    "w7": ("w7.json", 16, "sgd"),
}


def has_bf16():
    with open("/proc/cpuinfo") as f:
        return re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", f.read()) is not None


def definition(workload):
    with open(os.path.join(HERE, "models", WORKLOADS[workload][0])) as f:
        return json.load(f)


# ---- PyTorch's side, in a process of its own ---------------------------------------------------------------------------


def torch_net(spec):
    """The definition as a torch.nn.Module: a list of (module, names of inputs)."""
    import torch
    from torch import nn

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mods = nn.ModuleList()
            self.wires = []
            shape = {"input": tuple(spec["input"]["shape"])}
            before = "input"
            for i, layer in enumerate(spec["layers"]):
                a = dict(layer)
                kind, name = a.pop("type"), a.pop("name", "layer%d" % i)
                inputs = a.pop("inputs", [before])
                mod = self.make(nn, kind, a, shape[inputs[0]])
                with torch.no_grad():
                    xs = [torch.zeros(2, *shape[n]) for n in inputs]
                    shape[name] = tuple((xs[0] if mod is None else mod(xs[0])).shape[1:])
                self.mods.append(mod if mod is not None else nn.Identity())
                self.wires.append((name, inputs, kind == "Add"))
                before = name
            self.out = before

        @staticmethod
        def make(nn, kind, a, shape):
            if kind == "Add":
                return None
            if kind == "Conv2d":
                return nn.Conv2d(shape[0], a.pop("out_channels"), **a)
            if kind == "Linear":
                return nn.Linear(shape[0], a.pop("out_features"), **a)
            if kind.startswith("BatchNorm"):
                return getattr(nn, kind)(shape[0], **a)
            if kind == "ReLU":
                return nn.ReLU(inplace=True)
            return getattr(nn, kind)(**a)

        def forward(self, x):
            value = {"input": x}
            for mod, (name, inputs, add) in zip(self.mods, self.wires):
                y = value[inputs[0]]
                for other in inputs[1:]:
                    y = y + value[other]
                value[name] = y if add else mod(y)
            return value[self.out]

    return Net()


def torch_run(workload, threads, variant, secs, rounds):
    import torch
    import torch.nn.functional as F

    _, batch, opt = WORKLOADS[workload]
    spec = definition(workload)
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    net = torch_net(spec).train()
    shape = spec["input"]["shape"]
    with torch.no_grad():
        classes = net(torch.zeros(2, *shape)).shape[1]
    xs = [torch.randn(batch, *shape) for _ in range(8)]
    ys = [torch.randint(0, classes, (batch,)) for _ in range(8)]
    if variant.endswith("cl") and len(shape) == 3:
        net = net.to(memory_format=torch.channels_last)
        xs = [x.to(memory_format=torch.channels_last) for x in xs]
    params = list(net.parameters())
    if opt == "adam":
        optimizer = torch.optim.Adam(params, 1e-3, fused=True)
    else:
        optimizer = torch.optim.SGD(params, 0.01, momentum=0.9, fused=True)

    def forward(x, y):
        if variant.startswith("bf16"):
            with torch.autocast("cpu", torch.bfloat16):
                z = net(x)
            return F.cross_entropy(z.float(), y)
        return F.cross_entropy(net(x), y)

    if variant.startswith("compile"):
        forward = torch.compile(forward)
    count = [0]

    def step():
        i = count[0] & 7
        count[0] += 1
        optimizer.zero_grad(set_to_none=True)
        forward(xs[i], ys[i]).backward()
        optimizer.step()

    t = time.perf_counter()
    step()
    first = time.perf_counter() - t
    t, n = time.perf_counter(), 0
    while n < 3 or time.perf_counter() - t < min(1.0, secs):
        step()
        n += 1
    n = max(2, int(secs / ((time.perf_counter() - t) / n)))
    rates = []
    for _ in range(rounds):
        t = time.perf_counter()
        for _ in range(n):
            step()
        rates.append(n * batch / (time.perf_counter() - t))
    print(json.dumps({
        "samples_per_second": {"median": statistics.median(rates), "min": min(rates), "max": max(rates)},
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "first_step_seconds": first,
    }))


# ---- the comparison ----------------------------------------------------------------------------------------------------


def turn(command, env):
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        print("failed: %s\n%s" % (" ".join(command), done.stderr[-2000:]), file=sys.stderr)
        return None
    return json.loads(done.stdout.strip().splitlines()[-1])


def compare(args, workload, threads, env):
    model, batch, opt = WORKLOADS[workload]
    common = ["--secs", str(args.secs), "--rounds", str(args.rounds)]
    ours = [os.path.join(args.build, "bench_train"), "--model", os.path.join(HERE, "models", model), "--batch", str(batch),
            "--optimizer", opt, "--threads", str(threads)] + common + (["--isa", args.isa] if args.isa else [])
    contenders = {"backpropd": ours}
    for variant in args.variant.split(","):
        contenders[variant] = [sys.executable, os.path.abspath(__file__), "--torch", workload, "--threads", str(threads),
                               "--variant", variant] + common
    results = {name: [] for name in contenders}
    for _ in range(args.repeat):
        for name, command in contenders.items():
            result = turn(command, env)
            if result:
                results[name].append(result)
    row = {"workload": workload, "threads": threads}
    for name, turns in results.items():
        if turns:
            rates = [t["samples_per_second"]["median"] for t in turns]
            row[name] = {"median": statistics.median(rates), "min": min(rates), "max": max(rates),
                         "rss": max(t["peak_rss_bytes"] for t in turns)}
            if name == "backpropd":
                row["gflops"] = statistics.median(t["gflops"] for t in turns)
                row["isa"] = turns[0]["isa"]
    return row


def figure(cell):
    if not cell:
        return "-"
    digits = 0 if cell["median"] >= 1000 else 1
    return "{:,.{d}f} ({:,.{d}f}-{:,.{d}f})".format(cell["median"], cell["min"], cell["max"], d=digits)


def peak_gflops(args, threads, env):
    program = os.path.join(args.build, "bench_peak")
    if not os.path.exists(program):
        return None
    done = subprocess.run([program, str(threads)], env=env, capture_output=True, text=True)
    found = re.search(r"([\d.]+) GFLOP/s", done.stdout)
    return float(found.group(1)) if found else None


def report(args, rows, peaks):
    variants = args.variant.split(",")
    head = ["workload", "threads", "backpropd"] + variants + ["ratio to best fp32", "GFLOP/s", "of peak", "MB / PyTorch's MB"]
    print("\n| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows:
        mine = row.get("backpropd")
        peers = [row[v]["median"] for v in variants if v in row and not v.startswith("bf16")]
        ratio = "%.2f" % (mine["median"] / max(peers)) if mine and peers else "-"
        peak = peaks.get(row["threads"])
        share = "%.0f %%" % (100 * row["gflops"] / peak) if mine and peak else "-"
        theirs = [row[v]["rss"] for v in variants if v in row and not v.startswith("bf16")]
        memory = "%.0f / %.0f" % (mine["rss"] / 1e6, min(theirs) / 1e6) if mine and theirs else "-"
        cells = [row["workload"], str(row["threads"]), figure(mine)] + [figure(row.get(v)) for v in variants]
        print("| " + " | ".join(cells + [ratio, "%.0f" % row.get("gflops", 0), share, memory]) + " |")
    print("\nsamples/s, median (min-max) of %d turns; fp32; instruction set %s" % (args.repeat, rows[0].get("isa", "?")))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--workload", default=",".join(WORKLOADS))
    p.add_argument("--threads", default="1,2")
    p.add_argument("--variant", default="eager,cl,compile_cl" + (",bf16_cl" if has_bf16() else ""))
    p.add_argument("--secs", type=float, default=1.0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--isa", default="", help="hold backpropd to this instruction set")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--json", help="append one line a row here")
    p.add_argument("--torch", help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.torch:
        torch_run(args.torch, int(args.threads), args.variant, args.secs, args.rounds)
        return
    env = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    rows, peaks = [], {}
    for threads in (int(t) for t in args.threads.split(",")):
        peaks[threads] = peak_gflops(args, threads, env)
        for workload in args.workload.split(","):
            row = compare(args, workload, threads, env)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.json:
                with open(args.json, "a") as f:
                    f.write(json.dumps(row) + "\n")
    report(args, rows, peaks)


if __name__ == "__main__":
    main()
