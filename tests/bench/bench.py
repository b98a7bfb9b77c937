#!/usr/bin/env python3
"""bench.py - backpropd's training core beside its peers, on the same model definitions, in the same run.

  make bench                                                        all workloads and peers, 1 and 2 threads
  make bench BENCH="--workload w2,w3 --threads 2 --peers torch"     some of them
  make bench BENCH=--quick                                          all, in about a quarter of an hour
  make bench BENCH="--statistics"                                   what the gradients' statistics cost, and no more

The peers are those of peers/. Each is installed into BUILD/bench-env, in the version that its file names, unless the
interpreter that runs this has it; one that cannot be installed is "missing", one that cannot train a net is "-":
neither counts as beaten. For every workload W1..W7 (models/*.json) and number of threads the contenders take turns,
--repeat times. A turn is a fresh process that warms up and times --rounds rounds of --secs seconds; a contender's
figure is the median of its turns' medians.

PyTorch's bf16 is a column and never the best fp32 peer. Where the processor has no bf16 arithmetic it is emulated,
which can take minutes for one step: then it gets one turn, which ends after --emulated-secs seconds; "<" says that not
even one step was done by then.
"""
import argparse
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time

import peers
import table
from workloads import DAEMON, WORKLOADS, Unknown, model_path

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
STATISTICS = ["w1sgd", "w3", "w6", "w7"]
UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "PYTHONPATH")


def has_bf16():
    with open("/proc/cpuinfo") as f:
        return re.search(r"\b(avx512_bf16|amx_bf16|bf16)\b", f.read()) is not None


# ---- a turn of a peer, in a process of its own -----------------------------------------------------------------------


def peak_rss():
    """Of this process alone: getrusage's begins with what its parent had."""
    with open("/proc/self/status") as f:
        return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) * 1024


def tell(batch, rates, first):
    print(json.dumps({
        "samples_per_second": {"median": statistics.median(rates) * batch, "min": min(rates) * batch,
                               "max": max(rates) * batch},
        "peak_rss_bytes": peak_rss(), "first_step_seconds": first}), flush=True)


def timed(run, n):
    t = time.perf_counter()
    run(n)
    return time.perf_counter() - t


def measure(run, batch, args):
    if args.limit:  # a slow one: the alarm ends the process, and what it has told by then counts
        signal.setitimer(signal.ITIMER_REAL, args.limit)
    first = timed(run, 1)
    if args.limit:
        tell(batch, [1 / first], first)
        tell(batch, [1 / timed(run, 1)], first)
        return
    done, spent = 0, 0.0
    while done < 3 or spent < min(1.0, args.secs):
        n = max(1, done // 4)
        spent += timed(run, n)
        done += n
    n = max(2, int(args.secs * done / spent))
    tell(batch, [n / timed(run, n) for _ in range(args.rounds)], first)


def turn_main(args):
    name, variant = args.turn.split(":")
    try:
        run = peers.load(name).make(args.workload, int(args.threads), variant)
    except Unknown as e:
        print(json.dumps({"unknown": str(e)}))
        return
    measure(run, WORKLOADS[args.workload].batch, args)


# ---- contenders -----------------------------------------------------------------------------------------------------


class Contender:
    """What takes turns. emulated: one short turn. missing: why it takes none."""

    def __init__(self, name, reduced=False):
        self.name, self.reduced, self.emulated, self.missing = name, reduced, False, None

    def command(self, args, workload, threads):
        raise NotImplementedError

    def environment(self, threads):
        return {}


class Ours(Contender):
    def command(self, args, workload, threads):
        w = WORKLOADS[workload]
        return [os.path.join(args.build, "bench_train"), "--model", model_path(workload), "--batch", str(w.batch),
                "--optimizer", w.optimizer, "--threads", str(threads), "--secs", str(args.secs),
                "--rounds", str(args.rounds)] + (["--isa", args.isa] if args.isa else [])

    def environment(self, threads):
        return DAEMON


class Peer(Contender):
    def __init__(self, name, peer, python, directory):
        module = peers.load(peer)
        super().__init__(name, name in module.REDUCED)
        self.peer, self.module, self.variant = peer, module, module.VARIANTS[name]
        self.python, self.directory = python, directory
        self.emulated = self.reduced and not has_bf16()

    def command(self, args, workload, threads):
        if hasattr(self.module, "command"):
            return self.module.command(self.directory, workload, threads, self.variant, args)
        return [self.python, os.path.join(HERE, "bench.py"), "--turn", self.peer + ":" + self.variant,
                "--workload", workload, "--threads", str(threads), "--secs", str(args.secs),
                "--rounds", str(args.rounds)] + (["--limit", str(args.emulated_secs)] if self.emulated else [])

    def environment(self, threads):
        return self.module.environment(threads) if hasattr(self.module, "environment") else {}


def has_packages(python, packages):
    ask = ("import sys; from importlib.metadata import version\n"
           "for p in sys.argv[1:]:\n n, _, v = p.partition('==')\n assert version(n).split('+')[0] == v or not v\n")
    return subprocess.run([python, "-c", ask] + packages, capture_output=True).returncode == 0


def install(args, peer):
    """The interpreter that has the peer's packages, and the directory that is its own."""
    module, home = peers.load(peer), os.path.join(args.build, "bench-env")
    python, directory = sys.executable, os.path.join(home, peer)
    if not has_packages(python, module.PACKAGES):
        python = os.path.join(home, "bin", "python")
        if not os.path.exists(python):
            subprocess.run([sys.executable, "-m", "venv", home], check=True, capture_output=True)
        if not has_packages(python, module.PACKAGES):
            print("%s is installed into %s" % (", ".join(module.PACKAGES), home), file=sys.stderr)
            subprocess.run([python, "-m", "pip", "install", "-q"] + module.PACKAGES, check=True, capture_output=True)
    if hasattr(module, "install"):
        os.makedirs(directory, exist_ok=True)
        module.install(directory, python)
    return python, directory


def contenders(args):
    found = [Ours("backpropd")]
    for peer in args.peers.split(","):
        missing, python, directory = None, None, None
        try:
            python, directory = install(args, peer)
        except (OSError, subprocess.CalledProcessError) as e:
            missing = (getattr(e, "stderr", None) or str(e).encode()).decode(errors="replace").strip()[-300:]
            print("%s is missing: %s" % (peer, missing), file=sys.stderr)
        for name in peers.load(peer).VARIANTS:
            c = Peer(name, peer, python, directory)
            c.missing = missing
            if not args.variant or name in args.variant.split(","):
                found.append(c)
    return found


# ---- the comparison -------------------------------------------------------------------------------------------------


def turn(command, env):
    """The last line that it printed, also of one that its alarm ended; None: it failed; {}: it told nothing in time."""
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode not in (0, -signal.SIGALRM):
        print("failed: %s\n%s" % (" ".join(command), done.stderr[-2000:]), file=sys.stderr)
        return None
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(lines[-1]) if lines else {}


def cell_of(c, turns, args, workload):
    rates = [t["samples_per_second"]["median"] for t in turns if t]
    if rates:
        return {"median": statistics.median(rates), "min": min(rates), "max": max(rates),
                "rss": max(t["peak_rss_bytes"] for t in turns if t), "emulated": c.emulated, "reduced": c.reduced}
    if c.emulated and turns:
        return {"below": WORKLOADS[workload].batch / args.emulated_secs, "emulated": True, "reduced": True}
    return {"missing": c.missing is not None}


def take_turn(c, args, workload, threads):
    """As turn; "unknown" in it: the net is none for this contender."""
    try:
        command = c.command(args, workload, threads)
    except Unknown as e:
        return {"unknown": str(e)}
    env = {k: v for k, v in os.environ.items() if k not in UNSET}
    env.update(c.environment(threads))
    return turn(command, env)


def compare(args, found, workload, threads):
    results = {c.name: [] for c in found}
    resting = {c.name for c in found if c.missing}
    for _ in range(args.repeat):
        for c in found:
            if c.name in resting:
                continue
            result = take_turn(c, args, workload, threads)
            if result is None or "unknown" in result:
                resting.add(c.name)
                continue
            results[c.name].append(result)
            if c.emulated:
                resting.add(c.name)
    row = {"workload": workload, "threads": threads,
           "cells": {c.name: cell_of(c, results[c.name], args, workload) for c in found}}
    mine = [t for t in results["backpropd"] if t]
    if mine:
        row["gflops"] = statistics.median(t["gflops"] for t in mine)
        row["planned"], row["data"], row["isa"] = mine[0]["planned_bytes"], mine[0]["data_bytes"], mine[0]["isa"]
    return row


def statistics_cost(args, threads):
    """Steps with and without them in turn, in one process (bench_train --compare)."""
    table.head("workload", "threads", "gradient statistics, share of a step: median (min to max of rounds)")
    for workload in (w for w in STATISTICS if w in args.workload.split(",")):
        command = Ours("backpropd").command(args, workload, threads) + ["--compare", "statistics"]
        got = turn(command, dict(os.environ))
        share = got and got["statistics_share"]
        if share:
            table.line(workload, str(threads), "%.2f %% (%.2f to %.2f)" % tuple(
                100 * share[k] for k in ("median", "min", "max")))


def peak_gflops(args, threads):
    program = os.path.join(args.build, "bench_peak")
    if not os.path.exists(program):
        return None
    done = subprocess.run([program, str(threads), args.isa], capture_output=True, text=True)
    found = re.search(r"([\d.]+) GFLOP/s", done.stdout)
    return float(found.group(1)) if found else None


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--workload", default=",".join(WORKLOADS))
    p.add_argument("--threads", default="1,2")
    p.add_argument("--peers", default=",".join(peers.PEERS))
    p.add_argument("--variant", help="of the peers' columns, only these")
    p.add_argument("--secs", type=float, default=1.0)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--repeat", type=int, default=3)
    p.add_argument("--quick", action="store_true", help="one short turn each")
    p.add_argument("--statistics", action="store_true", help="only what the gradients' statistics cost")
    p.add_argument("--emulated-secs", type=float, default=10)
    p.add_argument("--isa", default="", help="hold backpropd to this instruction set")
    p.add_argument("--build", default=os.path.join(ROOT, "build"))
    p.add_argument("--json", help="append one line a row here")
    p.add_argument("--turn", help=argparse.SUPPRESS)
    p.add_argument("--limit", type=float, default=0, help=argparse.SUPPRESS)
    args = p.parse_args()
    args.build = os.path.abspath(args.build)
    unknown = [w for w in args.workload.split(",") if w not in WORKLOADS]
    if unknown:
        p.error("--workload: no such as " + ", ".join(unknown) + "; there are " + ", ".join(WORKLOADS))
    if args.quick:
        args.secs, args.rounds, args.repeat, args.emulated_secs = 0.2, 3, 1, 4
    return args


def main():
    args = arguments()
    if args.turn:
        turn_main(args)
        return
    thread_counts = [int(t) for t in args.threads.split(",")]
    if args.statistics:
        for threads in thread_counts:
            statistics_cost(args, threads)
        return
    found, rows, peaks = contenders(args), [], {}
    for threads in thread_counts:
        peaks[threads] = peak_gflops(args, threads)
        for workload in args.workload.split(","):
            row = compare(args, found, workload, threads)
            rows.append(row)
            print(json.dumps(row), file=sys.stderr, flush=True)
            if args.json:
                with open(args.json, "a") as f:
                    f.write(json.dumps(row) + "\n")
    table.print_all(rows, [c.name for c in found], peaks, args.repeat)


if __name__ == "__main__":
    main()
