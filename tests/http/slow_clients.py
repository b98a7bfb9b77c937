"""slow_clients.py BUILD - the daemon against slowhttptest: slow headers, slow bodies and slow reading, 1,000 connections each,
while a probe asks for /healthz every 100 ms on a connection of its own. `make torture-http` runs it.

It fails when a probe is not answered with 200 within a second. SLOW_SECONDS=n: how long each of the three lasts (30).
"""
import http.client
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from daemon import Daemon

CONNECTIONS, RATE, LIMIT, EVERY = 1000, 200, 1.0, 0.1
ATTACKS = {
    "headers": ["-H", "-i", "5", "-t", "GET", "-x", "24"],
    "bodies": ["-B", "-i", "5", "-t", "POST", "-s", "8192", "-x", "10", "-f", "application/json"],
    "reading": ["-X", "-i", "5", "-t", "GET", "-n", "3", "-z", "16", "-w", "64", "-y", "128", "-k", "5"],
}
TARGETS = {"headers": "/v1/jobs", "bodies": "/v1/models", "reading": "/openapi.json"}


class Probe(threading.Thread):
    def __init__(self, port):
        super().__init__()
        self.port, self.over, self.seconds, self.failed = port, threading.Event(), [], []

    def ask(self):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            c.request("GET", "/healthz")
            status = c.getresponse().status
        except (OSError, http.client.HTTPException) as e:
            status = repr(e)
        finally:
            c.close()
        return status

    def run(self):
        while not self.over.wait(EVERY):
            begin = time.monotonic()
            status = self.ask()
            self.seconds.append(time.monotonic() - begin)
            if status != 200:
                self.failed.append(status)


def connections(port):
    c = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        c.request("GET", "/metrics")
        text = c.getresponse().read().decode()
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        c.close()
    return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("backpropd_http_connections "))


def attack(name, port, seconds):
    probe = Probe(port)
    command = ["slowhttptest", *ATTACKS[name], "-c", str(CONNECTIONS), "-r", str(RATE), "-l", str(seconds), "-p", "5",
               "-u", "http://127.0.0.1:%d%s" % (port, TARGETS[name])]
    probe.start()
    most = 0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as slow:
        until = time.monotonic() + seconds + 15
        while time.monotonic() < until:
            try:
                slow.wait(0.5)
                break
            except subprocess.TimeoutExpired:
                most = max(most, connections(port))
        if slow.poll() is None:
            slow.kill()
    probe.over.set()
    probe.join()
    worst = max(probe.seconds)
    print("slow %-8s %5d probes, %d failed, slowest %.3f s; at most %d connections at once" %
          (name + ":", len(probe.seconds), len(probe.failed), worst, most), flush=True)
    for status in probe.failed[:5]:
        print("    got", status)
    return not probe.failed and worst < LIMIT and len(probe.seconds) >= seconds * 4


def main():
    if not shutil.which("slowhttptest"):
        print("slow clients: skipped, because slowhttptest is not installed (Debian package slowhttptest)")
        return 0
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    seconds = int(os.environ.get("SLOW_SECONDS", "30"))
    with tempfile.TemporaryDirectory(prefix="backpropd-slow-") as folder:
        with open(os.path.join(folder, "stderr"), "w") as log:
            daemon = Daemon(folder, program=os.path.join(sys.argv[1], "backpropd"), log=log)
        try:
            good = [attack(name, daemon.port, seconds) for name in ATTACKS]
        finally:
            daemon.stop()
        with open(os.path.join(folder, "stderr")) as log:
            complaints = [line for line in log if " error " in line]
    if complaints:
        print("the daemon complained:\n" + "".join(complaints))
    return 0 if all(good) and not complaints else 1


sys.exit(main())
