"""JAX: a jitted step whose state is given over from step to step; maps channels-last."""
import os

import workloads

PACKAGES = ["jax==0.10.2", "numpy"]
VARIANTS = {"jax": "jit"}
REDUCED = []


def environment(threads):
    return {"JAX_PLATFORMS": "cpu", "NPROC": str(threads)}


def init(workload):
    """(parameters by layer, running statistics by layer), by the shapes that flow through the net."""
    import numpy as np

    rng = np.random.default_rng(0)
    shape, layers = workloads.definition(workload)
    shapes = {"input": shape if len(shape) == 1 else [shape[1], shape[2], shape[0]]}
    params, state = {}, {}
    for name, kind, a, inputs in layers:
        s = list(shapes[inputs[0]])
        if kind == "Conv2d":
            k, g = a["kernel_size"], a.get("groups", 1)
            fan = k * k * s[2] // g
            params[name] = {"w": rng.standard_normal((k, k, s[2] // g, a["out_channels"]), "f") * (2 / fan) ** 0.5}
            if a.get("bias", True):
                params[name]["b"] = np.zeros(a["out_channels"], "f")
            s = [(d + 2 * a.get("padding", 0) - k) // a.get("stride", 1) + 1 for d in s[:2]] + [a["out_channels"]]
        elif kind == "Linear":
            params[name] = {"w": rng.standard_normal((s[0], a["out_features"]), "f") * (2 / s[0]) ** 0.5,
                            "b": np.zeros(a["out_features"], "f")}
            s = [a["out_features"]]
        elif kind == "BatchNorm2d":
            params[name] = {"w": np.ones(s[2], "f"), "b": np.zeros(s[2], "f")}
            state[name] = {"mean": np.zeros(s[2], "f"), "var": np.ones(s[2], "f")}
        elif kind == "MaxPool2d":
            k = a["kernel_size"]
            s = [(d + 2 * a.get("padding", 0) - k) // a.get("stride", k) + 1 for d in s[:2]] + [s[2]]
        elif kind == "AdaptiveAvgPool2d" and a.get("output_size") == 1:
            s = [1, 1, s[2]]
        elif kind == "Flatten":
            s = [int(np.prod(s))]
        elif kind not in ("ReLU", "Add"):
            raise workloads.Unknown(kind)
        shapes[name] = s
    return params, state


def apply(layers, params, state, x):
    import jax
    import jax.numpy as jnp

    values, moved = {"input": x}, {}
    for name, kind, a, inputs in layers:
        x, p = values[inputs[0]], params.get(name)
        pad = a.get("padding", 0)
        if kind == "Conv2d":
            x = jax.lax.conv_general_dilated(
                x, p["w"], (a.get("stride", 1),) * 2, [(pad, pad)] * 2, feature_group_count=a.get("groups", 1),
                dimension_numbers=("NHWC", "HWIO", "NHWC"))
            x = x + p["b"] if "b" in p else x
        elif kind == "Linear":
            x = x @ p["w"] + p["b"]
        elif kind == "BatchNorm2d":
            mean, var = jnp.mean(x, (0, 1, 2)), jnp.var(x, (0, 1, 2))
            moved[name] = {"mean": 0.9 * state[name]["mean"] + 0.1 * mean, "var": 0.9 * state[name]["var"] + 0.1 * var}
            x = (x - mean) * (jax.lax.rsqrt(var + 1e-5) * p["w"]) + p["b"]
        elif kind == "ReLU":
            x = jnp.maximum(x, 0)
        elif kind == "Add":
            for other in inputs[1:]:
                x = x + values[other]
        elif kind == "MaxPool2d":
            k, s = a["kernel_size"], a.get("stride", a["kernel_size"])
            x = jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, k, k, 1), (1, s, s, 1),
                                      [(0, 0), (pad, pad), (pad, pad), (0, 0)])
        elif kind == "AdaptiveAvgPool2d":
            x = jnp.mean(x, (1, 2), keepdims=True)
        elif kind == "Flatten":
            x = x.reshape(x.shape[0], -1)
        values[name] = x
    return x, moved


def make(workload, threads, variant):
    # Its pool has as many threads as the process has processors.
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    import jax
    import jax.numpy as jnp
    import numpy as np

    w = workloads.WORKLOADS[workload]
    shape, layers = workloads.definition(workload)
    params, state = init(workload)
    shape = shape if len(shape) == 1 else (shape[1], shape[2], shape[0])
    rng = np.random.default_rng(0)
    xs = [jnp.asarray(rng.standard_normal((w.batch, *shape), "f")) for _ in range(workloads.BATCHES)]
    ys = [jnp.asarray(rng.integers(0, workloads.classes(layers), w.batch)) for _ in range(workloads.BATCHES)]
    zeros = jax.tree.map(np.zeros_like, params)
    lr = workloads.LR[w.optimizer]
    moments = (zeros, zeros, np.float32(0)) if w.optimizer == "adam" else (zeros,)

    def update(params, g, moments):
        if w.optimizer == "sgd":
            v = jax.tree.map(lambda v, g: workloads.MOMENTUM * v + g, moments[0], g)
            return jax.tree.map(lambda p, v: p - lr * v, params, v), (v,)
        t = moments[2] + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, moments[0], g)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, moments[1], g)
        a, b = lr / (1 - 0.9 ** t), 1 / jnp.sqrt(1 - 0.999 ** t)
        return jax.tree.map(lambda p, m, v: p - a * m / (jnp.sqrt(v) * b + 1e-8), params, m, v), (m, v, t)

    def loss(params, state, x, y):
        z, moved = apply(layers, params, state, x)
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(z), y[:, None], 1)), moved

    def step(params, state, moments, x, y):
        g, moved = jax.grad(loss, has_aux=True)(params, state, x, y)
        params, moments = update(params, g, moments)
        return params, moved, moments

    jitted = jax.jit(step, donate_argnums=(0, 1, 2))
    kept, at = jax.tree.map(jnp.array, (params, state, moments)), 0

    def run(n):
        nonlocal kept, at
        for _ in range(n):
            kept = jitted(*kept, xs[at % len(xs)], ys[at % len(xs)])
            at += 1
        jax.block_until_ready(kept)

    return run
