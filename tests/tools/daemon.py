"""daemon.py - the real binary for scripts: on a free port with a fresh state directory, ready when it says READY=1."""
import os
import signal
import socket
import subprocess


class Daemon:
    """program: None takes $BACKPROPD or build/backpropd. log: a file for what it writes, None: where the script writes."""

    def __init__(self, directory, flags=("--auth=none",), program=None, log=None):
        os.makedirs(directory, exist_ok=True)
        notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        notify.bind(os.path.join(directory, "notify"))
        notify.settimeout(30)
        port_file = os.path.join(directory, "port")
        env = dict(os.environ, NOTIFY_SOCKET=os.path.join(directory, "notify"))
        program = program or os.environ.get("BACKPROPD", "build/backpropd")
        self.process = subprocess.Popen([program, "--port=0", "--port-file=" + port_file,
                                         "--state-dir=" + os.path.join(directory, "state"), *flags], env=env, stderr=log)
        while b"READY=1" not in notify.recv(4096):
            pass
        with open(port_file) as f:
            self.port = int(f.read())
        self.url = "http://127.0.0.1:%d" % self.port

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, "the daemon did not exit cleanly"
