#!/usr/bin/env python3
"""test_page.py - the dashboard in a real Chromium against the real daemon.

  BACKPROPD=build/backpropd python3 tests/web/test_page.py [SCREENSHOT_DIRECTORY]

Only the standard library: ChromeDriver is spoken to over its WebDriver HTTP interface. Waiting is done inside the page by
a MutationObserver, so a test goes on as soon as what it waits for is there. Closes with "N passed, N failed".
"""
import base64
import http.client
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import urllib.error
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))
from daemon import Daemon

WAIT_MS = 60000
LOCAL = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def call(method, url, body=None, content_type="application/json"):
    data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": content_type} if data else {})
    try:
        with LOCAL.open(request, timeout=90) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise AssertionError("%s %s: %d %s" % (method, url, error.code, error.read().decode()[:500]))
    return json.loads(text) if text else None


class LocalConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket, where the daemon knows its own user as an admin."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)


def make_token(path):
    connection = LocalConnection(path)
    connection.request("POST", "/v1/tokens", json.dumps({"name": "page", "scope": "read"}), {"Content-Type": "application/json"})
    return json.loads(connection.getresponse().read())["token"]


class Browser:
    def __init__(self, directory):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            port = s.getsockname()[1]
        self.driver = subprocess.Popen(["chromedriver", "--port=%d" % port], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        for line in self.driver.stdout:
            if b"started successfully" in line:
                break
        flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
                 "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
                 "--window-size=1280,1400", "--user-data-dir=" + os.path.join(directory, "profile")]
        wanted = {"capabilities": {"alwaysMatch": {
            "goog:loggingPrefs": {"browser": "ALL"},
            "timeouts": {"script": WAIT_MS + 5000},
            "goog:chromeOptions": {"args": flags}}}}
        base = "http://127.0.0.1:%d/session" % port
        self.session = base + "/" + call("POST", base, wanted)["value"]["sessionId"]

    def open(self, url):
        call("POST", self.session + "/url", {"url": url})

    def run(self, script, *args):
        return call("POST", self.session + "/execute/sync", {"script": script, "args": list(args)})["value"]

    def wait(self, condition, what):
        """Until the JavaScript expression is true; the page's own changes wake the look."""
        script = """
            const done = arguments[arguments.length - 1], holds = () => { try { return Boolean(%s) } catch (e) { return false } };
            if (holds()) { done(true); return; }
            const end = (v) => { seen.disconnect(); clearTimeout(late); done(v); };
            const seen = new MutationObserver(() => { if (holds()) end(true); });
            seen.observe(document.documentElement, { subtree: true, childList: true, attributes: true, characterData: true });
            const late = setTimeout(() => end(false), %d);
        """ % (condition, WAIT_MS)
        ok = call("POST", self.session + "/execute/async", {"script": script, "args": []})["value"]
        assert ok, "never came: " + what + "\n" + self.run("return document.body.innerText")

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def click(self, selector):
        self.run("document.querySelector(arguments[0]).click()", selector)

    def complaints(self):
        log = call("POST", self.session + "/se/log", {"type": "browser"})["value"]
        return [entry["message"] for entry in log if entry["level"] in ("SEVERE", "WARNING")]

    def screenshot(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(call("GET", self.session + "/screenshot")["value"]))

    def close(self):
        try:
            call("DELETE", self.session)
        finally:
            self.driver.terminate()
            self.driver.wait(timeout=10)


def idx(dims, data):
    return struct.pack(">HBB", 0, 8, len(dims)) + b"".join(struct.pack(">I", d) for d in dims) + data


def bars(n, side, seed):
    """Pictures of a bright bar on noise; the class is the bar's row."""
    state, pixels, labels = seed, bytearray(), bytearray()
    for i in range(n):
        label = i % 4
        labels.append(label)
        for y in range(side):
            for _ in range(side):
                state = (state * 1103515245 + 12345) & 0x7FFFFFFF
                pixels.append((state >> 16) % 64 + (150 if y == 2 * label + 1 else 0))
    return idx([n, side, side], bytes(pixels)), idx([n], bytes(labels))


MODEL = {"name": "bars-cnn", "input": {"shape": [1, 10, 10]}, "layers": [
    {"name": "conv1", "type": "Conv2d", "out_channels": 8, "kernel_size": 3, "padding": 1}, {"type": "ReLU"},
    {"type": "MaxPool2d", "kernel_size": 2}, {"type": "Flatten"}, {"name": "fc", "type": "Linear", "out_features": 4}]}


def upload(url, name):
    for split, n, seed in (("train", 2000, 1), ("t10k", 400, 2)):
        images, labels = bars(n, 10, seed)
        files = url + "/v1/datasets/" + name + "/files/" + split
        call("PUT", files + "-images-idx3-ubyte", images, "application/octet-stream")
        call("PUT", files + "-labels-idx1-ubyte", labels, "application/octet-stream")
    call("POST", url + "/v1/datasets/" + name + "/commit")


def submit(url, name, epochs):
    job = {"name": name, "dataset": "bars", "model": MODEL,
           "training": {"epochs": epochs, "batch_size": 32, "optimizer": {"type": "Adam", "lr": 0.002}}}
    return call("POST", url + "/v1/jobs", job)["id"]


class Tests:
    def __init__(self, daemon, browser, shots):
        self.url, self.browser, self.shots = daemon.url, browser, shots

    def shot(self, name):
        if self.shots:
            self.browser.screenshot(os.path.join(self.shots, name + ".png"))

    def test_1_an_empty_daemon_says_how_to_begin(self):
        self.browser.open(self.url + "/")
        self.browser.wait("!document.querySelector('#jobs-empty').hidden", "the hint")
        assert self.url + "/v1/jobs" in self.browser.text("#jobs-empty")
        assert "threads" in self.browser.text("#system")
        self.shot("empty")

    def test_2_a_new_job_appears_and_its_curves_grow_live(self):
        b = self.browser
        upload(self.url, "bars")
        self.id = submit(self.url, "bars <b>&", 100000)  # more than it will see: test 3 cancels it
        b.wait("document.querySelector('#jobs tbody a')", "the job's row")
        assert b.text("#jobs tbody a") == "bars <b>&", "the name is shown as it is, not as markup"
        b.wait("document.querySelector('#datasets tbody').innerText.includes('1 × 10 × 10')", "the data set's row")
        self.shot("jobs")
        b.click("#jobs tbody a")
        b.wait("document.querySelectorAll('#chart-loss canvas, #chart-gradient canvas').length === 2", "the curves")
        first = int(b.run("return document.querySelector('#job-progress').value"))
        b.wait("document.querySelector('#job-progress').value > %d" % first, "a later epoch than %d" % first)
        b.wait("document.querySelectorAll('#layers tbody tr').length === 2", "the health of both layers")
        assert b.text("#layers tbody tr td") == "conv1"
        assert float(b.text("#layers tbody td.num")) > 0
        self.shot("job")

    def test_3_cancel_ends_the_job_from_the_page(self):
        b = self.browser
        b.click("#job-cancel")
        b.wait("document.querySelector('#job-status').innerText === 'cancelled'", "status cancelled")
        assert call("GET", self.url + "/v1/jobs/" + self.id)["status"] == "cancelled"

    def test_4_a_finished_job_shows_test_accuracy_and_offers_weights(self):
        b = self.browser
        job = submit(self.url, "short", 3)
        b.open(self.url + "/#" + job)
        b.wait("document.querySelector('#job-status').innerText === 'succeeded'", "status succeeded")
        assert "%" in b.run("return [...document.querySelectorAll('#job-facts div')]"
                            ".find((d) => d.innerText.includes('test accuracy')).innerText")
        b.wait("document.querySelector('#checkpoints tbody a')", "a checkpoint")
        size = b.run("return fetch(document.querySelector('#checkpoints tbody a').href).then((r) => r.blob()).then((x) => x.size)")
        assert size > 4 * (8 * 9 + 8), "the weights' link gives the weights"
        self.shot("finished")

    def test_5_an_unknown_job_is_named_as_missing(self):
        self.browser.open(self.url + "/#job_nosuchthing")
        self.browser.wait("document.querySelector('#job-title').innerText.includes('no job')", "the word that it is missing")

    def test_6_the_browser_had_nothing_to_complain_of(self):
        complaints = [c for c in self.browser.complaints() if "job_nosuchthing" not in c]
        assert not complaints, complaints

    def test_7_with_tokens_the_page_asks_for_one(self):
        b = self.browser
        daemon = Daemon(self.directory + "/tokens", ("--unix-socket=" + self.directory + "/socket",))
        try:
            b.open(daemon.url + "/")
            b.wait("!document.querySelector('#sign-in').hidden", "the form")
            assert b.run("return document.querySelector('#jobs-view').hidden")
            self.shot("sign-in")
            b.run("document.querySelector('#token').value = 'bpt_wrong'; document.querySelector('#sign-in button').click()")
            b.wait("document.querySelector('#sign-in-error').innerText.includes('whole token')", "what is wrong with it")
            token = make_token(self.directory + "/socket")
            b.run("document.querySelector('#token').value = '%s'; document.querySelector('#sign-in button').click()" % token)
            b.wait("document.querySelector('#system').innerText.includes('threads')", "an answer")
            assert b.run("return document.querySelector('#sign-in').hidden")
            b.complaints()  # the 401s are in the browser's console
        finally:
            daemon.stop()

    def test_8_the_page_says_when_the_daemon_is_gone(self):
        self.browser.open(self.url + "/")
        self.browser.wait("document.querySelector('#system').innerText.includes('threads')", "the first answer")
        self.stop_daemon()
        self.browser.wait("!document.querySelector('#offline').hidden", "the banner")


def main():
    shots = sys.argv[1] if len(sys.argv) > 1 else None
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="backpropd-web-") as directory:
        daemon = Daemon(directory)
        browser = Browser(directory)
        tests = Tests(daemon, browser, shots)
        tests.stop_daemon = daemon.stop
        tests.directory = directory
        try:
            for name in sorted(n for n in dir(tests) if n.startswith("test_")):
                started = time.monotonic()
                try:
                    getattr(tests, name)()
                    passed += 1
                    print("ok   %s (%.1f s)" % (name, time.monotonic() - started), flush=True)
                except Exception:  # one failure must not hide the others
                    failed += 1
                    print("FAIL %s\n%s" % (name, traceback.format_exc()), flush=True)
        finally:
            browser.close()
            if daemon.process.poll() is None:
                daemon.process.kill()
                daemon.process.wait()
    print("page: %d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
