"""slow_clients.py BUILD - the daemon against slowhttptest: slow headers, slow bodies and slow reading, 1,000 connections each,
while a probe asks for /healthz every 100 ms on a connection of its own. `make torture-http` runs it.

It fails when a probe is not answered with 200 within a second. SLOW_SECONDS=n: how long each of the three lasts (30).
"""
import http.client
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

CONNECTIONS, RATE, LIMIT, EVERY = 1000, 200, 1.0, 0.1
ATTACKS = {
    "headers": ["-H", "-i", "5", "-t", "GET", "-x", "24"],
    "bodies": ["-B", "-i", "5", "-t", "POST", "-s", "8192", "-x", "10", "-f", "application/json"],
    "reading": ["-X", "-i", "5", "-t", "GET", "-n", "3", "-z", "16", "-w", "64", "-y", "128", "-k", "5"],
}
TARGETS = {"headers": "/v1/jobs", "bodies": "/v1/models", "reading": "/openapi.json"}


def daemon_start(build, folder):
    port_file = os.path.join(folder, "port")
    args = [os.path.join(build, "backpropd"), "--auth=none", "--port=0", "--port-file=" + port_file,
            "--state-dir=" + os.path.join(folder, "state")]
    daemon = subprocess.Popen(args, stderr=open(os.path.join(folder, "stderr"), "w"))
    while not os.path.exists(port_file):
        if daemon.poll() is not None:
            sys.exit("the daemon does not start: " + open(os.path.join(folder, "stderr")).read())
        time.sleep(0.02)
    return daemon, int(open(port_file).read())


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
        while slow.poll() is None and time.monotonic() < until:
            time.sleep(0.5)
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
        daemon, port = daemon_start(sys.argv[1], folder)
        good = [attack(name, port, seconds) for name in ATTACKS]
        daemon.send_signal(signal.SIGTERM)
        ended = daemon.wait(30)
        log = open(os.path.join(folder, "stderr")).read()
    if ended != 0 or " error " in log:
        print("the daemon complained:\n" + log)
    return 0 if all(good) and ended == 0 else 1


sys.exit(main())
