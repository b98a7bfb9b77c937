"""nets.py - whole nets as people send them, for bench_shapes.py: name, batch and definition of each.

LeNet-5 with both of its activations; the net of PyTorch's CIFAR-10 tutorial, with its batch of 4 and with 64; perceptrons
with the norms and activations of today; M5 for sound; blocks of MobileNetV2, ConvNeXt (with GroupNorm for its norm) and a
ResNet of GroupNorms, on maps of 32x32; a small AlexNet; a decoder of transposed convolutions.
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


class Residual(list):
    """Layers to whose output their input is added."""


def inverted(before, channels, stride=1):
    relu6, hidden = layer("ReLU6"), 6 * before
    layers = [conv(hidden, 1, bias=False), NORM, relu6,
              conv(hidden, 3, padding=1, stride=stride, groups=hidden, bias=False), NORM, relu6,
              conv(channels, 1, bias=False), NORM]
    return [Residual(layers)] if stride == 1 and before == channels else layers


def mobile():
    return [conv(16, 3, padding=1, bias=False), NORM, layer("ReLU6"), *inverted(16, 24), *inverted(24, 24),
            *inverted(24, 32, 2), *inverted(32, 32), *inverted(32, 64, 2), *inverted(64, 64), *END]


def convnext():
    def block(c):
        return Residual([conv(c, 7, padding=3, groups=c), layer("GroupNorm", num_groups=1), conv(4 * c, 1),
                         layer("GELU"), conv(c, 1)])

    return [conv(48, 2, stride=2), block(48), block(48), conv(96, 2, stride=2), block(96), block(96), *END]


def resnet():
    norm = layer("GroupNorm", num_groups=8)

    def block(c):
        return [Residual([conv(c, 3, padding=1), norm, RELU, conv(c, 3, padding=1), norm]), RELU]

    return [conv(32, 3, padding=1), *block(32), *block(32), conv(64, 3, padding=1, stride=2), *block(64), *END]


def alexnet():
    def pair(*layers):
        return [each for one in layers for each in (one, RELU)]

    drop = layer("Dropout", p=0.5)
    return [*pair(conv(64, 3, stride=2, padding=1)), POOL, *pair(conv(192, 3, padding=1)), POOL,
            *pair(conv(384, 3, padding=1), conv(256, 3, padding=1), conv(256, 3, padding=1)), POOL, FLATTEN,
            drop, *pair(linear(1024)), drop, *pair(linear(1024)), linear(10)]


def decoder():
    def up(channels):
        return [layer("ConvTranspose2d", out_channels=channels, kernel_size=4, stride=2, padding=1), NORM, RELU]

    return [conv(128, 1), RELU, *up(64), *up(32), conv(16, 3, padding=1), *END]


def definition(shape, layers):
    """The layers named, and residual ones written out."""
    out = []

    def append(one, **more):
        out.append(dict(one, name="layer%d" % len(out), **more))
        return out[-1]["name"]

    before = "input"
    for one in layers:
        if isinstance(one, Residual):
            start = before
            for inner in one:
                before = append(inner)
            before = append(layer("Add"), inputs=[before, start])
        else:
            before = append(one)
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
            ("decoder 4x4", 32, [64, 4, 4], decoder())):
        yield "net %s batch %d" % (name, batch), batch, definition(shape, layers)
