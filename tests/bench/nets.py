"""nets.py - whole nets as people send them, for bench_shapes.py: name, batch and definition of each.

LeNet-5 with both of its activations; the net of PyTorch's CIFAR-10 tutorial, with its batch of 4 and with 64; perceptrons
with the norms and activations of today; M5 for sound; blocks of MobileNetV2, ConvNeXt (with GroupNorm for its norm) and a
ResNet of GroupNorms, on maps of 32x32; a small AlexNet; a decoder of transposed convolutions and a discriminator of strided
ones; the stem and first blocks of a ResNet-18; blocks of EfficientNet, MobileNetV3, DenseNet, Inception, ResNet-50 and
ResNeXt, and a SqueezeNet; six 3x3 convolutions without norms.
"""


def layer(kind, **args):
    return dict(args, type=kind)


def conv(channels, kernel, **more):
    return layer("Conv2d", out_channels=channels, kernel_size=kernel, **more)


def conv1d(channels, kernel, **more):
    return layer("Conv1d", out_channels=channels, kernel_size=kernel, **more)


def linear(features):
    return layer("Linear", out_features=features)


RELU, FLATTEN, NORM, NORM1D = layer("ReLU"), layer("Flatten"), layer("BatchNorm2d"), layer("BatchNorm1d")
POOL = layer("MaxPool2d", kernel_size=2)
END = [layer("AdaptiveAvgPool2d", output_size=1), FLATTEN, linear(10)]


def lenet(activation, **first):
    return [conv(6, 5, **first), activation, POOL, conv(16, 5), activation, POOL, FLATTEN, linear(120), activation,
            linear(84), activation, linear(10)]


def perceptron(width, *between):
    return [linear(width), *between, linear(width), *between, linear(10)]


def sound():
    layers = []
    for channels, kernel, stride in (32, 80, 16), (32, 3, 1), (64, 3, 1):
        layers += [conv1d(channels, kernel, stride=stride), NORM1D, RELU, layer("MaxPool1d", kernel_size=4)]
    return layers + [FLATTEN, linear(35)]


class Join:
    """Branches from one value, each a list of layers (the empty one is the value itself), whose results are joined."""

    def __init__(self, kind, *branches):
        self.kind, self.branches = kind, branches


def residual(layers):
    return Join("Add", layers, [])


def inverted(before, channels, stride=1):
    relu6, hidden = layer("ReLU6"), 6 * before
    layers = [conv(hidden, 1, bias=False), NORM, relu6,
              conv(hidden, 3, padding=1, stride=stride, groups=hidden, bias=False), NORM, relu6,
              conv(channels, 1, bias=False), NORM]
    return [residual(layers)] if stride == 1 and before == channels else layers


def mobile():
    return [conv(16, 3, padding=1, bias=False), NORM, layer("ReLU6"), *inverted(16, 24), *inverted(24, 24),
            *inverted(24, 32, 2), *inverted(32, 32), *inverted(32, 64, 2), *inverted(64, 64), *END]


def convnext():
    def block(c):
        return residual([conv(c, 7, padding=3, groups=c), layer("GroupNorm", num_groups=1), conv(4 * c, 1),
                         layer("GELU"), conv(c, 1)])

    return [conv(48, 2, stride=2), block(48), block(48), conv(96, 2, stride=2), block(96), block(96), *END]


def resnet():
    norm = layer("GroupNorm", num_groups=8)

    def block(c):
        return [residual([conv(c, 3, padding=1), norm, RELU, conv(c, 3, padding=1), norm]), RELU]

    return [conv(32, 3, padding=1), *block(32), *block(32), conv(64, 3, padding=1, stride=2), *block(64), *END]


def alexnet():
    def pair(*layers):
        return [each for one in layers for each in (one, RELU)]

    drop = layer("Dropout", p=0.5)
    return [*pair(conv(64, 3, stride=2, padding=1)), POOL, *pair(conv(192, 3, padding=1)), POOL,
            *pair(conv(384, 3, padding=1), conv(256, 3, padding=1), conv(256, 3, padding=1)), POOL, FLATTEN,
            drop, *pair(linear(1024)), drop, *pair(linear(1024)), linear(10)]


def squeeze(c, activation, gate):
    """Squeeze and excitation: each channel by a number that all of them give."""
    return Join("Mul", [], [layer("AdaptiveAvgPool2d", output_size=1), conv(max(c // 4, 8), 1), activation, conv(c, 1),
                            gate])


def excited(before, channels, kernel, activation, gate, stride=1):
    hidden = 4 * before
    layers = [conv(hidden, 1, bias=False), NORM, activation,
              conv(hidden, kernel, padding=kernel // 2, stride=stride, groups=hidden, bias=False), NORM, activation,
              squeeze(hidden, layer("SiLU") if gate["type"] == "Sigmoid" else RELU, gate),
              conv(channels, 1, bias=False), NORM]
    return [residual(layers)] if stride == 1 and before == channels else layers


def efficient(activation, gate):
    def block(*a):
        return excited(*a[:3], activation, gate, *a[3:])

    return [conv(16, 3, padding=1, bias=False), NORM, activation, *block(16, 24, 3), *block(24, 24, 3),
            *block(24, 40, 5, 2), *block(40, 40, 5), *block(40, 80, 3, 2), *block(80, 80, 3), *END]


def densenet():
    def grow(c):
        return Join("Concat", [], [NORM, RELU, conv(48, 1, bias=False), NORM, RELU, conv(c, 3, padding=1, bias=False)])

    def between(c):
        return [NORM, RELU, conv(c, 1, bias=False), layer("AvgPool2d", kernel_size=2)]

    return [conv(24, 3, padding=1, bias=False), *[grow(12)] * 4, *between(36), *[grow(12)] * 4, *between(42),
            *[grow(12)] * 4, NORM, RELU, *END]


def squeezenet():
    def fire(c):
        return [conv(c // 4, 1), RELU, Join("Concat", [conv(c, 1), RELU], [conv(c, 3, padding=1), RELU])]

    return [conv(64, 3, padding=1), RELU, POOL, *fire(64), *fire(64), POOL, *fire(128), *fire(128), *END]


def inception():
    def block(a, b, c):
        return Join("Concat", [conv(a, 1), NORM, RELU], [conv(b // 2, 1), NORM, RELU, conv(b, 3, padding=1), NORM, RELU],
                    [conv(c // 2, 1), NORM, RELU, conv(c, 5, padding=2), NORM, RELU],
                    [layer("MaxPool2d", kernel_size=3, stride=1, padding=1), conv(c, 1), NORM, RELU])

    return [conv(64, 3, padding=1, bias=False), NORM, RELU, POOL, block(32, 64, 16), block(64, 96, 32), POOL,
            block(96, 128, 32), *END]


def bottlenecks(groups):
    def block(before, c, stride=1):
        layers = [conv(c, 1, bias=False), NORM, RELU, conv(c, 3, padding=1, stride=stride, groups=groups, bias=False),
                  NORM, RELU, conv(2 * c, 1, bias=False), NORM]
        short = [] if before == 2 * c and stride == 1 else [conv(2 * c, 1, stride=stride, bias=False), NORM]
        return [Join("Add", layers, short), RELU]

    return [conv(64, 3, padding=1, bias=False), NORM, RELU, *block(64, 64), *block(128, 64), *block(128, 128, 2),
            *block(256, 128), *END]


def plain(activation):
    layers = []
    for c in 32, 64, 128:
        layers += [conv(c, 3, padding=1), activation, conv(c, 3, padding=1), activation, POOL,
                   layer("Dropout2d", p=0.2)]
    return [*layers, FLATTEN, linear(128), activation, linear(10)]


def decoder():
    def up(channels):
        return [layer("ConvTranspose2d", out_channels=channels, kernel_size=4, stride=2, padding=1), NORM, RELU]

    return [conv(128, 1), RELU, *up(64), *up(32), conv(16, 3, padding=1), *END]


def discriminator():
    leaky = layer("LeakyReLU", negative_slope=0.2)

    def down(channels):
        return [conv(channels, 4, stride=2, padding=1, bias=False), NORM, leaky]

    return [conv(32, 4, stride=2, padding=1), leaky, *down(64), *down(128), FLATTEN, linear(10)]


def resnet18():
    """The stem and the first blocks of two stages, as for large images."""
    def block(channels, stride):
        shortcut = [] if stride == 1 else [conv(channels, 1, stride=stride, bias=False), NORM]
        return [Join("Add", [conv(channels, 3, padding=1, stride=stride, bias=False), NORM, RELU,
                             conv(channels, 3, padding=1, bias=False), NORM], shortcut), RELU]

    return [conv(64, 7, stride=2, padding=3, bias=False), NORM, RELU,
            layer("MaxPool2d", kernel_size=3, stride=2, padding=1), *block(64, 1), *block(128, 2), *END]


def definition(shape, layers):
    """The layers named, and joins written out."""
    out = []

    def append(one, **more):
        out.append(dict(one, name="layer%d" % len(out), **more))
        return out[-1]["name"]

    def append_all(layers, before):
        for one in layers:
            if isinstance(one, Join):
                ends = [append_all(branch, before) for branch in one.branches]
                before = append(layer(one.kind), inputs=ends)
            else:
                before = append(one, inputs=[before])
        return before

    append_all(layers, "input")
    return {"name": "shape", "input": {"shape": shape}, "layers": out}


def whole_nets():
    drop, gelu, norm = layer("Dropout", p=0.5), layer("GELU"), layer("LayerNorm", normalized_shape=[512])
    for name, batch, shape, layers in (
            ("LeNet-5 ReLU", 64, [1, 28, 28], lenet(RELU, padding=2)),
            ("LeNet-5 Tanh", 64, [1, 28, 28], lenet(layer("Tanh"), padding=2)),
            ("tutorial", 4, [3, 32, 32], lenet(RELU)),
            ("tutorial", 64, [3, 32, 32], lenet(RELU)),
            ("perceptron 1000 BatchNorm Dropout", 128, [784], perceptron(1000, NORM1D, RELU, drop)),
            ("perceptron 512 LayerNorm GELU", 128, [784], perceptron(512, norm, gelu)),
            ("M5 8000", 32, [1, 8000], sound()),
            ("MobileNetV2 blocks", 32, [3, 32, 32], mobile()),
            ("ConvNeXt blocks", 32, [3, 32, 32], convnext()),
            ("ResNet GroupNorm", 64, [3, 32, 32], resnet()),
            ("AlexNet 32x32", 64, [3, 32, 32], alexnet()),
            ("decoder 4x4", 32, [64, 4, 4], decoder()),
            ("discriminator 4x4", 64, [3, 32, 32], discriminator()),
            ("ResNet-18 stem 96x96", 16, [3, 96, 96], resnet18()),
            ("EfficientNet blocks", 32, [3, 32, 32], efficient(layer("SiLU"), layer("Sigmoid"))),
            ("MobileNetV3 blocks", 32, [3, 32, 32], efficient(layer("Hardswish"), layer("Hardsigmoid"))),
            ("DenseNet blocks", 32, [3, 32, 32], densenet()),
            ("SqueezeNet", 32, [3, 32, 32], squeezenet()),
            ("Inception blocks", 32, [3, 32, 32], inception()),
            ("ResNet bottlenecks", 32, [3, 32, 32], bottlenecks(1)),
            ("ResNeXt bottlenecks", 32, [3, 32, 32], bottlenecks(32)),
            ("plain ELU Dropout2d", 64, [3, 32, 32], plain(layer("ELU")))):
        yield "net %s batch %d" % (name, batch), batch, definition(shape, layers)
