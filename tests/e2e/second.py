"""Second copies of the house's processes, beside those that run: with settings of their own, between other stores, under other programs."""
import contextlib, http.client, os, signal, socket, subprocess, time

from house import HOST, VAR

BINARIES = {"auth-1": "auth-svc", "directory-1": "directory-svc", "mailer-1": "mailer-svc", "gateway": "gateway"}


def free_port():
    with socket.socket() as free:
        free.bind((HOST, 0))
        return free.getsockname()[1]


class Copy:
    def __init__(self, name, folder, wrap, environment, drop, owner, settings):
        self.name, self.port, self.health = name, free_port(), free_port()
        own = {"http_port": self.port} if name == "gateway" else {"rpc_bind": f"tcp://{HOST}:{self.port}"}
        settings = {"health_bind": f"{HOST}:{self.health}"} | own | settings
        lines = [line for line in (VAR / f"config/{name}.conf").read_text().splitlines() if line.split(" =")[0] not in {*settings, *drop}]
        self.config, self.log = folder / f"{name}.conf", folder / f"{name}.log"
        self.config.touch(mode=0o600)
        self.config.write_text("\n".join(lines + [f"{key} = {value}" for key, value in settings.items()]) + "\n")
        os.chown(self.config, owner, -1)
        clean = {key: value for key, value in os.environ.items() if not key.startswith("BUSI_")} | environment
        binary = os.environ["BUSI_TEST_BIN"] + "/" + BINARIES[name]
        self.process = subprocess.Popen([*wrap, binary, "--config", self.config], env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.log, "w"))

    endpoint = property(lambda self: f"{HOST}:{self.port}")

    def side(self, path):
        connection = http.client.HTTPConnection(HOST, self.health, timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def ready(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.side("/readyz")[0] == 200
        return False

    def wait(self, true=None, seconds=30):
        end = time.monotonic() + seconds
        while not (true or self.ready)():
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()[-3000:]
            time.sleep(0.02)


@contextlib.contextmanager
def second(name, folder, wrap=(), environment=None, wait=True, drop=(), owner=-1, **settings):
    """wrap: the words of a program that runs it; drop: settings of the house's own file that are left out; owner: whose its file is."""
    copy = Copy(name, folder, wrap, environment or {}, drop, owner, settings)
    try:
        if wait:
            copy.wait()
        yield copy
    finally:
        copy.process.send_signal(signal.SIGTERM)
        try:
            code = copy.process.wait(20)
        except subprocess.TimeoutExpired:
            copy.process.kill()
            raise
    assert code == 0, copy.log.read_text()[-3000:]
