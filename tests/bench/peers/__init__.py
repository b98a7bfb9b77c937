"""peers - what `make bench` trains beside backpropd: a file each, and a line here.

A peer's module has
  PACKAGES               what pip installs for it, with the versions that were compared
  VARIANTS               name in the table: what `make` understands by it
  REDUCED                variants that do not compute in fp32, and so are never the best peer
  environment(threads)   (optional) what must be in the environment before it is imported
  make(workload, threads, variant)  -> run(n), which trains n steps and returns when they are done.
                         workloads.Unknown when it cannot train that net
A peer that is no Python library has install(directory, python) and command(directory, workload, threads, variant,
options) instead of make: a program that prints bench_train's line.

One step is forward, loss, backward and the optimizer's step on a batch in memory, a fresh one of eight each time.
"""
import importlib

PEERS = ["torch", "keras", "jax", "kann"]


def load(name):
    return importlib.import_module("peers." + name)
