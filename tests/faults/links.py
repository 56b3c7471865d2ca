"""TCP links that are slowed, cut and spoiled: fault-proxy (`fault-proxy --help` says what it can), and a stack whose links go through it."""
import os, pathlib, socket, subprocess, tempfile, threading, time

# Who of a stack reaches whom, as deploy/local has them in its file `links`. Mailers reach the relay by BUSI_SMTP_URL alone.
OF_STACK = ("gateway-auth-1", "gateway-auth-2", "gateway-directory-1", "gateway-directory-2", "auth-redis", "auth-postgres",
            "auth-mailer-1", "auth-mailer-2", "directory-postgres", "mailer-postgres")


class Link:
    def __init__(self, proxy, name, port):
        self.proxy, self.name, self.port = proxy, name, port

    def set(self, direction="both", **faults):
        """direction: up (from who connects), down or both."""
        self.proxy.tell("set", self.name, direction, *(f"{fault}={int(value)}" for fault, value in faults.items()))

    def clear(self):
        self.proxy.tell("clear", self.name)

    def reset(self):
        self.proxy.tell("reset", self.name)

    def refuse(self, yes=True):
        self.proxy.tell("refuse", self.name, int(yes))

    def stats(self):
        """connections (live), accepted, up, down (bytes), hits (cuts, resets, half-closes, flipped bits)."""
        return {key: int(value) for key, value in (word.split("=") for word in self.proxy.tell("stats", self.name).split())}


class Proxy:
    """One process for any number of links; any thread may tell it something. It ends with this process at the latest."""

    def __init__(self, folder=None, seed=1):
        self.own = None if folder else tempfile.TemporaryDirectory(prefix="links-")
        folder = pathlib.Path(folder or self.own.name)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "control"
        if len(str(path)) > 100:  # what a Unix socket's name may have
            self.own = self.own or tempfile.TemporaryDirectory(prefix="links-")
            path = pathlib.Path(self.own.name) / "control"
        with open(folder / "fault-proxy.log", "ab") as log:
            self.process = subprocess.Popen([f"{os.environ['BUSI_TEST_BIN']}/fault-proxy", "--control", path, "--seed", str(seed), "--until-eof"],
                                            stdin=subprocess.PIPE, stderr=log)
        self.lock, self.links = threading.Lock(), {}
        self.control = socket.socket(socket.AF_UNIX)
        self.control.settimeout(10)
        end = time.monotonic() + 10
        while True:
            try:
                self.control.connect(str(path))
                break
            except OSError:
                assert self.process.poll() is None and time.monotonic() < end, "fault-proxy did not start"
                time.sleep(0.01)
        self.answers = self.control.makefile("rb")

    def tell(self, *words):
        with self.lock:
            self.control.sendall((" ".join(map(str, words)) + "\n").encode())
            verdict, _, rest = self.answers.readline().decode().strip().partition(" ")
        assert verdict == "ok", (words, verdict, rest)
        return rest

    def link(self, name, target_port, here=0):
        """here: [ADDRESS:]PORT at which it is found."""
        self.links[name] = Link(self, name, int(self.tell("open", name, here, f"127.0.0.1:{target_port}")))
        return self.links[name]

    def clear(self):
        """All links as if nothing had ever been set, and open."""
        for link in self.links.values():
            link.refuse(False)
            link.clear()

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(10) == 0
        self.answers.close()
        self.control.close()
        if self.own:
            self.own.cleanup()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


class StackLinks(Proxy):
    """The links of a stack, by the names above, from the next `up` of it on, until close() and the next `up`."""

    def __init__(self, var, seed=1):
        super().__init__(pathlib.Path(var) / "proxy", seed)
        self.file = pathlib.Path(var) / "links"
        ports = dict(line.split("=") for line in (pathlib.Path(var) / "ports").read_text().splitlines())
        for name in OF_STACK:
            self.link(name, ports[name.split("-", 1)[1]])
        self.file.write_text("".join(f"{name}={link.port}\n" for name, link in self.links.items()))

    def close(self):
        self.file.unlink(missing_ok=True)
        super().close()
