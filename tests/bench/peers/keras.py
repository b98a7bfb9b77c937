"""Keras on TensorFlow: one graph function a step; maps channels-last, as its kernels for CPUs want them."""
import workloads

PACKAGES = ["keras==3.15.1", "tensorflow-cpu==2.21.0"]
VARIANTS = {"keras": "graph"}
REDUCED = []


def environment(threads):
    return {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}


def convolution(keras, x, a):
    L, groups, out = keras.layers, a.get("groups", 1), a["out_channels"]
    padding = "valid"
    if a.get("padding", 0) > 0 and workloads.same_padding(x.shape[1], a):
        padding = "same"
    elif a.get("padding", 0) > 0:
        x = L.ZeroPadding2D(a["padding"])(x)
    common = {"strides": a.get("stride", 1), "padding": padding, "use_bias": a.get("bias", True)}
    if groups > 1 and groups == x.shape[-1] == out:
        return L.DepthwiseConv2D(a["kernel_size"], **common)(x)
    return L.Conv2D(out, a["kernel_size"], groups=groups, **common)(x)


def pooling(keras, x, a):
    same = a.get("padding", 0) > 0
    if same and not workloads.same_padding(x.shape[1], dict(a, stride=a.get("stride", a["kernel_size"]))):
        raise workloads.Unknown("padding of a pooling")
    return keras.layers.MaxPooling2D(a["kernel_size"], a.get("stride"), padding="same" if same else "valid")(x)


def layer(keras, kind, a, xs):
    L = keras.layers
    if kind == "Add":
        return L.Add()(xs)
    if kind == "Conv2d":
        return convolution(keras, xs[0], a)
    if kind == "Linear":
        return L.Dense(a["out_features"])(xs[0])
    if kind.startswith("BatchNorm"):
        return L.BatchNormalization(momentum=0.9, epsilon=1e-5)(xs[0])
    if kind == "ReLU":
        return L.Activation("relu")(xs[0])
    if kind == "MaxPool2d":
        return pooling(keras, xs[0], a)
    if kind == "AdaptiveAvgPool2d" and a.get("output_size") == 1:
        return L.GlobalAveragePooling2D()(xs[0])
    if kind == "Flatten":
        return L.Flatten()(xs[0])
    raise workloads.Unknown(kind)


def make(workload, threads, variant):
    import numpy
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    import keras

    w = workloads.WORKLOADS[workload]
    keras.utils.set_random_seed(0)
    shape, layers = workloads.definition(workload)
    shape = shape if len(shape) == 1 else (shape[1], shape[2], shape[0])
    values = {"input": keras.Input(shape)}
    for name, kind, args, inputs in layers:
        values[name] = layer(keras, kind, args, [values[i] for i in inputs])
    net = keras.Model(values["input"], values[layers[-1][0]])
    rng = numpy.random.default_rng(0)
    xs = [tf.constant(rng.standard_normal((w.batch, *shape), "f")) for _ in range(workloads.BATCHES)]
    ys = [tf.constant(rng.integers(0, workloads.classes(layers), w.batch)) for _ in range(workloads.BATCHES)]
    if w.optimizer == "adam":
        optimizer = keras.optimizers.Adam(workloads.LR["adam"])
    else:
        optimizer = keras.optimizers.SGD(workloads.LR["sgd"], momentum=workloads.MOMENTUM)
    optimizer.build(net.trainable_variables)

    @tf.function
    def step(x, y):
        with tf.GradientTape() as tape:
            z = net(x, training=True)
            loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(y, z))
        optimizer.apply(tape.gradient(loss, net.trainable_variables), net.trainable_variables)
        return loss

    at = 0

    def run(n):
        nonlocal at
        for _ in range(n):
            loss = step(xs[at % len(xs)], ys[at % len(xs)])
            at += 1
        loss.numpy()

    return run
