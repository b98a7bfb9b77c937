"""PyTorch: eager, channels_last, compiled, and under autocast to bfloat16."""
import workloads

PACKAGES = ["torch==2.13.0", "numpy"]
VARIANTS = {"torch": "eager", "torch_cl": "cl", "torch_compiled": "compile_cl", "torch_bf16": "bf16_cl"}
REDUCED = ["torch_bf16"]


def join(kind, values):
    import torch

    if kind == "Concat":
        return torch.cat(values, 1)
    whole = values[0]
    for other in values[1:]:
        whole = whole + other if kind == "Add" else whole * other
    return whole


def build(workload):
    """The definition as a torch.nn.Module: modules, and the names of their inputs."""
    import torch
    from torch import nn

    sample, layers = workloads.definition(workload)

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.mods = nn.ModuleList()
            self.wires = []
            shape = {"input": tuple(sample)}
            for name, kind, args, inputs in layers:
                joins = kind in ("Add", "Mul", "Concat")
                mod = nn.Identity() if joins else self.make(kind, dict(args), shape[inputs[0]])
                with torch.no_grad():
                    x = [torch.zeros(2, *shape[i]) for i in inputs]
                    shape[name] = tuple((join(kind, x) if joins else mod(x[0])).shape[1:])
                self.mods.append(mod)
                self.wires.append((name, inputs, kind if joins else None))
            self.out = layers[-1][0]

        @staticmethod
        def make(kind, a, shape):
            if kind.startswith("Conv"):
                return getattr(nn, kind)(shape[0], a.pop("out_channels"), **a)
            if kind == "Linear":
                return nn.Linear(shape[0], a.pop("out_features"), **a)
            if kind.startswith("BatchNorm"):
                return getattr(nn, kind)(shape[0], **a)
            if kind == "GroupNorm":
                return nn.GroupNorm(a.pop("num_groups"), shape[0], **a)
            if kind in ("ReLU", "ReLU6", "SiLU", "Hardswish"):
                return getattr(nn, kind)(inplace=True)
            return getattr(nn, kind)(**a)

        def forward(self, x):
            value = {"input": x}
            for mod, (name, inputs, kind) in zip(self.mods, self.wires):
                value[name] = join(kind, [value[i] for i in inputs]) if kind else mod(value[inputs[0]])
            return value[self.out]

    return Net().train(), sample, workloads.classes(layers)


def make(workload, threads, variant):
    import torch
    import torch.nn.functional as F

    w = workloads.WORKLOADS[workload]
    torch.set_num_threads(threads)
    torch.set_flush_denormal(True)
    torch.manual_seed(0)
    net, shape, classes = build(workload)
    xs = [torch.randn(w.batch, *shape) for _ in range(workloads.BATCHES)]
    ys = [torch.randint(0, classes, (w.batch,)) for _ in range(workloads.BATCHES)]
    if variant.endswith("cl") and len(shape) == 3:
        net = net.to(memory_format=torch.channels_last)
        xs = [x.to(memory_format=torch.channels_last) for x in xs]
    params = list(net.parameters())
    if w.optimizer == "adam":
        optimizer = torch.optim.Adam(params, workloads.LR["adam"], fused=True)
    else:
        optimizer = torch.optim.SGD(params, workloads.LR["sgd"], momentum=workloads.MOMENTUM, fused=True)

    def forward(x, y):
        if variant.startswith("bf16"):
            with torch.autocast("cpu", torch.bfloat16):
                z = net(x)
            return F.cross_entropy(z.float(), y)
        return F.cross_entropy(net(x), y)

    if variant.startswith("compile"):
        forward = torch.compile(forward)
    at = 0

    def run(n):
        nonlocal at
        for _ in range(n):
            optimizer.zero_grad(set_to_none=True)
            forward(xs[at % len(xs)], ys[at % len(xs)]).backward()
            optimizer.step()
            at += 1

    return run
