"""bench_sse.py BUILD [PAIRS [SECONDS [THREADS]]] - what 500 clients that follow a job's events cost its training.

One job trains in short epochs, an event each. Windows of SECONDS (6) without and with the clients take turns, PAIRS (5)
times; one client in ten never reads and one in ten vanishes without a word. Samples a second are counted by the times
of the job's own events. The job has THREADS threads: one processor fewer than there are unless told, because the
clients, one process, need some too. What these and the daemon's HTTP threads took of a processor is told beside it: the
latter, of all processors, is what is lost where training has them all. It fails when the median slowdown is above 2
percent.
"""
import ctypes
import multiprocessing
import os
import resource
import selectors
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from bench_api import Api, upload, wait_status
from daemon import Daemon

CLIENTS, SLOWDOWN, SAMPLES, BATCH = 500, 0.02, 8192, 64
SO_ATTACH_FILTER = 26
MODEL = {"name": "followed", "input": {"shape": [1, 28, 28]}, "layers": [
    {"type": "Flatten"}, {"type": "Linear", "out_features": 512}, {"type": "ReLU"},
    {"type": "Linear", "out_features": 10}]}


def vanish(client):
    """Every packet for it is lost from now on."""
    drop = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0))  # BPF_RET | BPF_K, 0 bytes
    client.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HP", 1, ctypes.addressof(drop)))


def follow(port, job, after, pipe):
    """Says that all are connected, reads until it is told to end, says how much came in how much of a processor."""
    waiting, clients, read = selectors.DefaultSelector(), [], 0
    for i in range(CLIENTS):
        client = socket.create_connection(("127.0.0.1", port))
        clients.append(client)
        client.sendall(b"GET /v1/jobs/%s/events?after=%d HTTP/1.1\r\nHost: localhost\r\n"
                       b"Accept: text/event-stream\r\n\r\n" % (job.encode(), after))
        if i % 10 == 3:
            continue
        assert client.recv(12) == b"HTTP/1.1 200"
        if i % 10 == 7:
            vanish(client)
        else:
            waiting.register(client, selectors.EVENT_READ)
    waiting.register(pipe, selectors.EVENT_READ)
    pipe.send(None)
    buffer = bytearray(1 << 16)
    while not pipe.poll():
        for key, _ in waiting.select():
            if key.fileobj is not pipe:
                read += key.fileobj.recv_into(buffer)
    used = resource.getrusage(resource.RUSAGE_SELF)
    pipe.send((read, used.ru_utime + used.ru_stime))


def http_seconds(pid):
    """What the threads that serve HTTP have used of the processors."""
    ticks = 0
    for task in os.listdir("/proc/%d/task" % pid):
        with open("/proc/%d/task/%s/stat" % (pid, task)) as f:
            name, fields = f.read().rsplit(")", 1)
        ticks += sum(int(n) for n in fields.split()[11:13]) if "(MHD" in name else 0
    return ticks / os.sysconf("SC_CLK_TCK")


class Run:
    def __init__(self, daemon, threads):
        self.api, self.daemon = Api(daemon.port), daemon
        upload(self.api, SAMPLES)
        self.job = self.api.json("POST", "/v1/jobs", {
            "name": "followed", "dataset": "noise", "model": MODEL, "resources": {"threads": threads},
            "training": {"epochs": 100000, "batch_size": BATCH, "checkpoint": {"every_epochs": 100000}}})["id"]
        wait_status(self.api, self.job, "running")

    def next_epoch(self):
        """The next epoch's event, and what HTTP had taken by then."""
        seq = self.api.json("GET", "/v1/jobs/" + self.job)["last_seq"]
        while True:
            path = "/v1/jobs/%s/events?after=%d&wait=10" % (self.job, seq)
            page = self.api.json("GET", path, None, "application/json")
            for event in page["data"]:
                seq = event["seq"]
                if event["type"] == "epoch":
                    return event, http_seconds(self.daemon.process.pid)

    def window(self, seconds):
        """Samples a second, HTTP's share of a processor, events a second."""
        first, before = self.next_epoch()
        took = 0
        while took < seconds:
            last, after = self.next_epoch()
            took = last["created_at"] - first["created_at"]
        samples = (last["step"] - first["step"]) * BATCH
        return samples / took, (after - before) / took, (last["epoch"] - first["epoch"]) / took

    def followed(self, seconds):
        here, there = multiprocessing.Pipe()
        child = multiprocessing.Process(
            target=follow, args=(self.daemon.port, self.job, self.next_epoch()[0]["seq"], there), daemon=True)
        begin = time.monotonic()
        child.start()
        here.recv()
        found = self.window(seconds)
        here.send(None)
        read, used = here.recv()
        child.join()
        print("    %.1f events a second, %.1f MB read, the clients used %.0f%% of a processor" %
              (found[2], read / 1e6, 100 * used / (time.monotonic() - begin)))
        return found


def compare(daemon, pairs, seconds, threads):
    run, slower, shares = Run(daemon, threads), [], []
    for i in range(pairs):
        if i % 2:
            on, off = run.followed(seconds), run.window(seconds)
        else:
            off, on = run.window(seconds), run.followed(seconds)
        slower.append(1 - on[0] / off[0])
        shares.append(on[1] - off[1])
        print("alone %.0f, with %d clients %.0f samples a second (%+.1f%%); HTTP takes %.1f%% of a processor more" %
              (off[0], CLIENTS, on[0], -100 * slower[-1], 100 * shares[-1]), flush=True)
    median = statistics.median(slower)
    print("medians: %.1f%% slower, HTTP takes %.1f%% of a processor" % (100 * median, 100 * statistics.median(shares)))
    return median


def main():
    numbers = [float(a) for a in sys.argv[2:]] + [5, 6, max(1, len(os.sched_getaffinity(0)) - 1)][len(sys.argv) - 2:]
    with tempfile.TemporaryDirectory(prefix="backpropd-sse-") as folder:
        daemon = Daemon(folder, ("--auth=none", "--workers=1", "--max-connections=1200"),
                        os.path.join(sys.argv[1], "backpropd"), subprocess.DEVNULL)
        try:
            median = compare(daemon, int(numbers[0]), numbers[1], int(numbers[2]))
        finally:
            daemon.stop()
    return 0 if median <= SLOWDOWN else 1


if __name__ == "__main__":
    sys.exit(main())
