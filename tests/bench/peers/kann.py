"""KANN r557, a library of two C files: as it is, and with OpenBLAS for its products.

The files are taken out of a source package that carries them, checked, and compiled into the bench's directory.
"""
import hashlib
import os
import subprocess
import tarfile

import workloads

HERE = os.path.dirname(os.path.abspath(__file__))
PACKAGES = ["scipy-openblas32==0.3.34.481.3"]
SOURCE = "cynn==0.1.5"
ARCHIVE = "cynn-0.1.5.tar.gz"
SHA256 = "b5c3c9586fa9f38437f3f102d201ff2237d9309ea382e21af4e475ee25f005c0"
FILES = ["kann.c", "kann.h", "kautodiff.c", "kautodiff.h"]
VARIANTS = {"kann": "own", "kann_blas": "blas"}
REDUCED = []


def fetch(directory, python):
    """The sources, in directory/kann."""
    sources = os.path.join(directory, "kann")
    if all(os.path.exists(os.path.join(sources, f)) for f in FILES):
        return sources
    subprocess.run([python, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "cynn", "-d", directory, SOURCE],
                   check=True, capture_output=True)
    archive = os.path.join(directory, ARCHIVE)
    with open(archive, "rb") as f:
        found = hashlib.sha256(f.read()).hexdigest()
    if found != SHA256:
        raise OSError("%s has the SHA-256 %s, not %s" % (ARCHIVE, found, SHA256))
    os.makedirs(sources, exist_ok=True)
    with tarfile.open(archive) as tar:
        for name in FILES:
            member = tar.extractfile("cynn-0.1.5/thirdparty/kann/" + name)
            with open(os.path.join(sources, name), "wb") as f:
                f.write(member.read())
    return sources


def install(directory, python):
    sources = fetch(directory, python)
    compiler = os.environ.get("CC", "cc").split()
    driver = os.path.join(HERE, "kann.c")
    cc = compiler + ["-O3", "-march=native", "-D_GNU_SOURCE", "-DHAVE_PTHREAD", "-I" + sources, driver,
                     os.path.join(sources, "kann.c"), os.path.join(sources, "kautodiff.c"), "-lm", "-pthread"]
    subprocess.run(cc + ["-o", os.path.join(directory, "kann_own")], check=True, capture_output=True)
    ask = "import scipy_openblas32 as s; print(s.get_include_dir()); print(s.get_lib_dir())"
    include, lib = subprocess.run([python, "-c", ask], check=True, capture_output=True, text=True).stdout.split()
    blas = ["-DHAVE_CBLAS", "-DBLAS_SYMBOL_PREFIX=scipy_", "-Dcblas_sgemm=scipy_cblas_sgemm", "-I" + include,
            os.path.join(lib, "libscipy_openblas.so"), "-Wl,-rpath," + lib]
    subprocess.run(cc + blas + ["-o", os.path.join(directory, "kann_blas")], check=True, capture_output=True)


def command(directory, workload, threads, variant, options):
    shape, layers = workloads.definition(workload)
    words = ["input"] + [str(d) for d in shape]
    before = "input"
    for name, kind, a, inputs in layers:
        if inputs != [before]:
            raise workloads.Unknown("a net that is no chain")
        before = name
        stride, padding = a.get("stride", 1), a.get("padding", 0)
        if kind == "Linear":
            words += ["linear", str(a["out_features"])]
        elif kind == "Conv2d" and a.get("groups", 1) == 1 and a.get("bias", True):
            words += ["conv", str(a["out_channels"]), str(a["kernel_size"]), str(stride), str(padding)]
        elif kind == "MaxPool2d":
            words += ["pool", str(a["kernel_size"]), str(a.get("stride", a["kernel_size"])), str(padding)]
        elif kind == "ReLU":
            words.append("relu")
        elif kind != "Flatten":
            raise workloads.Unknown(kind)
    return [os.path.join(directory, "kann_" + variant), str(threads), str(workloads.WORKLOADS[workload].batch),
            str(options.secs), str(options.rounds)] + words


def environment(threads):
    return {"OPENBLAS_NUM_THREADS": "1"}  # its own threads cut the batch
