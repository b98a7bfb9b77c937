"""bench_api.py BUILD [SECONDS] - how long the API's answers take while two jobs train with all threads.

One client asks every route that reads, and submits jobs, one request after the other; p50, p99 and the slowest are told for
all and for the slowest routes, without and with the trainings. It fails when the p99 under load is above 50 ms.
"""
import http.client
import json
import os
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from daemon import Daemon

P99_MS = 50
MODEL = {"name": "busy", "input": {"shape": [1, 28, 28]}, "layers": [
    {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
    {"type": "Conv2d", "out_channels": 32, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
    {"type": "MaxPool2d", "kernel_size": 2}, {"type": "Flatten"}, {"type": "Linear", "out_features": 10}]}


class Api:
    def __init__(self, port):
        self.http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def ask(self, method, target, body=None, accept="application/json, */*"):
        headers = {"Accept": accept}
        if isinstance(body, dict):
            body, headers["Content-Type"] = json.dumps(body), "application/json"
        self.http.request(method, target, body, headers)
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status >= 400:
            sys.exit("%s %s: %d %s" % (method, target, answer.status, text.decode()[:300]))
        return text

    def json(self, *args):
        return json.loads(self.ask(*args))


def upload(api, samples=8192):
    api.ask("PUT", "/v1/datasets/noise/files/train-images-idx3-ubyte",
            struct.pack(">IIII", 0x803, samples, 28, 28) + os.urandom(samples * 784))
    api.ask("PUT", "/v1/datasets/noise/files/train-labels-idx1-ubyte",
            struct.pack(">II", 0x801, samples) + bytes(i % 10 for i in range(samples)))
    api.ask("POST", "/v1/datasets/noise/commit", b"")


def submit(api, epochs):
    job = {"name": "busy", "dataset": "noise", "model": MODEL, "training": {"epochs": epochs, "batch_size": 64}}
    return api.json("POST", "/v1/jobs", job)["id"]


def wait_status(api, job, status):
    now = {"version": 0, "status": ""}
    while now["status"] != status:
        now = api.json("GET", "/v1/jobs/%s?wait=30&version=%d" % (job, now["version"]))


def requests(api, job, model):
    """Every GET of the API document, its names filled in, and what submits."""
    fill = {"{id}": job, "{name}": "noise", "{i}": "0", "{which}": "last", "{file}": "a"}
    for path, methods in api.json("GET", "/openapi.json")["paths"].items():
        if "get" in methods and not path.startswith(("/v1/tokens", "/assets/")):
            target = path.replace("/v1/models/{id}", "/v1/models/" + model)
            for name, value in fill.items():
                target = target.replace(name, value)
            yield "GET", target, None
    yield "POST", "/v1/models/validate", MODEL
    yield "POST", "/v1/jobs", {"dataset": "noise", "model": MODEL, "training": {"epochs": 1}}


def measure(api, wanted, seconds):
    times = []
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for method, target, body in wanted:
            begin = time.monotonic()
            text = api.ask(method, target, body)
            times.append(((time.monotonic() - begin) * 1000, method + " " + target))
            if (method, target) == ("POST", "/v1/jobs"):
                api.ask("POST", "/v1/jobs/%s/cancel" % json.loads(text)["id"], b"")
    return times


def tell(what, times):
    ordered = sorted(t for t, _ in times)
    p99 = ordered[len(ordered) * 99 // 100]
    print("%s: %d requests, p50 %.1f ms, p99 %.1f ms, slowest %.1f ms" %
          (what, len(ordered), ordered[len(ordered) // 2], p99, ordered[-1]))
    for name in sorted({n for _, n in times}, key=lambda n: -max(t for t, m in times if m == n))[:4]:
        mine = sorted(t for t, m in times if m == name)
        print("    %-60s p50 %.1f, slowest %.1f ms" % (name, mine[len(mine) // 2], mine[-1]))
    return p99


def compare(port, seconds):
    api = Api(port)
    upload(api)
    first = submit(api, 1)
    wait_status(api, first, "succeeded")
    model = api.json("POST", "/v1/models", MODEL)["id"]
    wanted = list(requests(api, first, model))
    tell("quiet", measure(api, wanted, seconds / 4))
    busy = [submit(api, 100000) for _ in range(2)]
    for job in busy:
        wait_status(api, job, "running")
    return tell("two jobs train", measure(api, wanted, seconds))


def main():
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else 20
    with tempfile.TemporaryDirectory(prefix="backpropd-api-") as folder:
        daemon = Daemon(folder, ("--auth=none", "--workers=2"), os.path.join(sys.argv[1], "backpropd"), subprocess.DEVNULL)
        try:
            p99 = compare(daemon.port, seconds)
        finally:
            daemon.stop()
    return 0 if p99 <= P99_MS else 1


if __name__ == "__main__":
    sys.exit(main())
