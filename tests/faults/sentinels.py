"""Redis servers and sentinels of a test's own, and a port that can be cut."""
import os, select, shutil, signal, socket, subprocess, threading, time
import stack

PASSWORD, SENTINEL_PASSWORD = "redis-pass", "sentinel-pass"
SAFE = "appendonly yes\nappendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\n"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    """One redis-server or redis-sentinel in a folder of its own."""

    def __init__(self, name, settings, password=PASSWORD, program="redis-server", environment={}):
        self.name, self.password, self.program, self.port, self.process = name, password, program, free_port(), None
        self.environment = environment
        self.folder = stack.VAR / "failover" / name
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.conf = self.folder / "redis.conf"
        self.conf.write_text(f"bind 127.0.0.1\nport {self.port}\ndir {self.folder}\nrequirepass {password}\n{settings}")

    def start(self):
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen([self.program, self.conf], stdout=log, stderr=log, env=os.environ | self.environment)
        stack.wait_until(lambda: self.ask("PING").endswith("PONG"), 10, f"{self.name} answers")
        return self

    def ask(self, *words):
        done = subprocess.run(["redis-cli", "-p", str(self.port), *words], env=dict(os.environ, REDISCLI_AUTH=self.password),
                              capture_output=True, text=True, timeout=5)
        return done.stdout.strip()

    def info(self, section, key):
        return dict(line.split(":", 1) for line in self.ask("INFO", section).splitlines() if ":" in line).get(key)

    def send(self, sig):
        self.process.send_signal(sig)
        if sig == signal.SIGKILL:
            self.process.wait(5)

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait(5)

    def url(self, db=0):
        return f"redis://:{self.password}@127.0.0.1:{self.port}/{db}"


class Cluster:
    """A master, two replicas, three sentinels."""

    def __init__(self):
        # replicas read a stream that ends at once when it is cut, and are asked to follow without a pause
        settings = SAFE + f"masterauth {PASSWORD}\nrepl-diskless-sync-delay 0\n"
        self.servers = [Server(f"redis-{i}", settings) for i in range(3)]
        self.sentinels = []
        for server in self.servers:
            server.start()
        for server in self.servers[1:]:
            server.ask("REPLICAOF", "127.0.0.1", str(self.servers[0].port))
        stack.wait_until(lambda: self.servers[0].info("replication", "connected_slaves") == "2", 10, "two replicas")
        for i in range(3):
            self.sentinels.append(Server(f"sentinel-{i}", (
                f"sentinel monitor main 127.0.0.1 {self.servers[0].port} 2\nsentinel auth-pass main {PASSWORD}\n"
                "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n"),
                SENTINEL_PASSWORD, "redis-sentinel").start())
        stack.wait_until(lambda: all(s.ask("SENTINEL", "CKQUORUM", "main").startswith("OK 3") and
                                     self.known_replicas(s) == 2 for s in self.sentinels), 20, "the sentinels know each other")

    @staticmethod
    def known_replicas(sentinel):
        lines = sentinel.ask("SENTINEL", "MASTER", "main").splitlines()
        return int(dict(zip(lines[::2], lines[1::2])).get("num-slaves", 0))

    def url(self, ports=None):
        hosts = ",".join(f"127.0.0.1:{port}" for port in ports or [s.port for s in self.sentinels])
        return f"sentinel://:{PASSWORD}@{hosts}/main/0?sentinel_password={SENTINEL_PASSWORD}"

    def master(self):
        """As a majority of the sentinels says; None while there is none."""
        ports = [s.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main").splitlines()[1:] for s in self.sentinels]
        for server in self.servers:
            if ports.count([str(server.port)]) >= 2:
                return server
        return None

    def cut_replication(self):
        """From now on no replica hears of what the master is told."""
        for server in self.servers[1:]:
            server.ask("CONFIG", "SET", "masterauth", "wrong")
            server.ask("CLIENT", "KILL", "TYPE", "master")
        stack.wait_until(lambda: self.servers[0].info("replication", "connected_slaves") == "0", 5, "the replicas are cut off")

    def stop(self):
        for server in self.sentinels + self.servers:
            server.stop()


class Wire:
    """A port that leads to another one until it is cut; then what was sent through it gets no answer."""

    def __init__(self, port):
        self.target, self.whole, self.over = port, True, False
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while not self.over:
            try:
                near = self.listener.accept()[0]
            except OSError:
                return
            threading.Thread(target=self.carry, args=(near,), daemon=True).start()

    def passed(self, data, up):
        """What becomes of bytes on their way."""
        return data

    def carry(self, near):
        with near, socket.create_connection(("127.0.0.1", self.target)) as far:
            other = {near: far, far: near}
            while not self.over:
                for ready in select.select([near, far], [], [], 0.2)[0]:
                    try:
                        data = ready.recv(65536)
                        if data and self.whole:
                            other[ready].sendall(self.passed(data, ready is near))
                    except OSError:
                        data = b""
                    if not data:
                        return

    def close(self):
        self.over = True
        self.listener.close()


class Auth:
    """One more auth-svc beside those of the stack, with another idea of where Redis is."""

    def __init__(self, url):
        self.port, self.health = free_port(), free_port()
        env = {k: v for k, v in os.environ.items() if not k.startswith("BUSI_")}
        env |= {"BUSI_RPC_BIND": f"tcp://127.0.0.1:{self.port}", "BUSI_HEALTH_BIND": f"127.0.0.1:{self.health}", "BUSI_REDIS": url}
        with open(stack.VAR / "failover" / f"auth-{self.port}.log", "ab") as log:
            self.process = subprocess.Popen([f"{os.environ['BUSI_TEST_BIN']}/auth-svc", "--config", stack.VAR / "config/auth-1.conf"],
                                            env=env, stdout=log, stderr=log)

    def stop(self):
        self.process.terminate()
        self.process.wait(15)
