"""layers.py - layers by themselves, for bench_shapes.py: name, batch and definition of each.

A case is up to three of a layer in a row, on maps of 64 channels that a 1x1 convolution made of three, before a global
mean and a linear layer; or on rows of 1024, before a linear layer of them. So every one of them has a gradient to give on.
"""
from nets import END, conv, definition, layer, linear

BATCH, CHANNELS, SIDE, WIDTH = 32, 64, 28, 1024
IN_PLACE = "ReLU", "ReLU6", "SiLU", "Hardswish"  # with PyTorch, which then takes one in a row


def on_maps(one, times=3, side=SIDE):
    return [3, side, side], [conv(CHANNELS, 1), *[one] * times, *END]


def on_rows(one, times=3):
    return [16], [linear(WIDTH), *[one] * times, linear(10)]


def cases():
    for kind in IN_PLACE:
        yield kind, on_maps(layer(kind), 1)
    for kind in ("LeakyReLU", "PReLU", "Hardtanh", "Sigmoid", "Hardsigmoid", "Tanh", "ELU", "SELU", "Softplus", "GELU",
                 "Mish", "Dropout", "Dropout2d", "BatchNorm2d"):
        yield kind, on_maps(layer(kind))
    yield "PReLU of channels", on_maps(layer("PReLU", num_parameters=CHANNELS))
    yield "GELU tanh", on_maps(layer("GELU", approximate="tanh"))
    yield "GLU", on_maps(layer("GLU", dim=1))
    for kind in "Softmax", "LogSoftmax":
        yield kind + " of channels", on_maps(layer(kind, dim=1))
        yield kind + " of rows", on_rows(layer(kind, dim=1))
    yield "GroupNorm 8", on_maps(layer("GroupNorm", num_groups=8))
    yield "GroupNorm 1", on_maps(layer("GroupNorm", num_groups=1))
    yield "LayerNorm of maps", on_maps(layer("LayerNorm", normalized_shape=[CHANNELS, SIDE, SIDE]))
    yield "LayerNorm of lines", on_maps(layer("LayerNorm", normalized_shape=[SIDE]))
    yield "LayerNorm of rows", on_rows(layer("LayerNorm", normalized_shape=[WIDTH]))
    yield "BatchNorm1d of rows", on_rows(layer("BatchNorm1d"))
    for kind in "MaxPool2d", "AvgPool2d":
        yield kind + " 2", on_maps(layer(kind, kernel_size=2), 2)
        yield kind + " 3 s2", on_maps(layer(kind, kernel_size=3, stride=2, padding=1), 2)
        yield kind + " 3 s1", on_maps(layer(kind, kernel_size=3, stride=1, padding=1))
    for kind in "AdaptiveAvgPool2d", "AdaptiveMaxPool2d":
        yield kind + " 7", on_maps(layer(kind, output_size=7), 1)
        yield kind + " 10", on_maps(layer(kind, output_size=10), 1)
    yield "Upsample nearest", on_maps(layer("Upsample", scale_factor=2), 2, 14)
    yield "Upsample bilinear", on_maps(layer("Upsample", scale_factor=2, mode="bilinear"), 2, 14)
    yield "ZeroPad2d", on_maps(layer("ZeroPad2d", padding=[1, 1, 1, 1]))


def all_layers():
    for name, (shape, layers) in cases():
        yield "layer " + name, BATCH, definition(shape, layers)
