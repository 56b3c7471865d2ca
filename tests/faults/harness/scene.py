"""The house a run plays in: two gateways, two of each worker, Redis, Postgres and a relay, which find each other by names, and how each of
them is broken."""
import contextlib, json, logging, os, pathlib, re, shutil, signal, socket, subprocess, sys, threading, time, urllib.request

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1]))
import stack
from links import StackLinks
from preloads import Names
from smtp_sink import SmtpSink
from clients import ACCESS_S

logging.getLogger("mail.log").setLevel(logging.CRITICAL)  # what the relay thinks of connections that break
WORKERS = [f"{service}-{n}" for service in ("auth", "directory", "mailer") for n in (1, 2)]
GATEWAYS = ["gateway-1", "gateway-2"]
READY_S = 20  # the longest that a process or a store may need to be there again, or to be gone
CONNECTIONS = 2  # of a mailer to the relay: what it may have in hand
CHEAP = {"BUSI_PASSWORD_MEMORY": "8M", "BUSI_PASSWORD_PASSES": "1", "BUSI_ACCESSPASS_ACCESS_LIFETIME": f"{ACCESS_S}s",
         "BUSI_SMTP_TIMEOUT": "1s", "BUSI_SMTP_CONNECT_TIMEOUT": "500ms", "BUSI_SMTP_CONNECTIONS": str(CONNECTIONS)}
# Which settings say where others are, and by which link: each is found by the link's name in .test.
FOUND_BY = {"auth_endpoints": "gateway-auth", "directory_endpoints": "gateway-directory", "mailer_endpoints": "auth-mailer", "redis": "auth-redis",
            "auth_database": "auth-postgres", "directory_database": "directory-postgres", "mailer_database": "mailer-postgres",
            "smtp_url": "mailer-relay"}
HOME, ELSEWHERE = "127.0.0.1", "127.0.0.2"
AS_POSTGRES = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Scene:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self.names = Names(self.folder / "names")
        self.sink, self.port, self.side, self.conf = SmtpSink(self.folder / "sink"), free_port(), free_port(), self.folder / "gateway-2.conf"

    def __enter__(self):
        """All links go through the proxy: those within the stack, the mailers' to the relay, the clients' to the gateways. Those of them that are
        found by a name are elsewhere, too, but refused there."""
        self.sink.start()
        (stack.VAR / "links").unlink(missing_ok=True)  # of a run that was killed
        stack.local("up")  # the ports are chosen at the first
        self.redis_password = (stack.VAR / "secrets/redis").read_text().strip()
        self.links = StackLinks(stack.VAR)
        relay = self.links.link("mailer-relay", self.sink.port)
        self.settings = CHEAP | {"BUSI_SMTP_URL": f"smtp://127.0.0.1:{relay.port}", "BUSI_SMTP_CA_FILE": str(self.sink.ca)}
        stack.local("up", **self.settings)
        self.targets = {name: self.links.link("client-" + name, port).port for name, port in (("gateway-1", stack.PORT), ("gateway-2", self.port))}
        conf = re.sub(r"^http_port.*", f"http_port = {self.port}", (stack.VAR / "config/gateway.conf").read_text(), flags=re.M)
        self.conf.touch(mode=0o600)
        self.conf.write_text(re.sub(r"^health_bind.*", f"health_bind = 127.0.0.1:{self.side}", conf, flags=re.M))
        self.find_all_by_name(ports=dict(line.split("=") for line in (stack.VAR / "ports").read_text().splitlines()))
        return self

    def find_all_by_name(self, ports):
        for name, link in list(self.links.links.items()):
            if self.name_of(name):
                self.names.say(self.name_of(name), HOME)
                there = self.links.link(self.elsewhere(name), self.sink.port if name == "mailer-relay" else ports[name.split("-", 1)[1]],
                                        f"{ELSEWHERE}:{link.port}")
                there.refuse()
        for name in ["gateway-1", *WORKERS]:
            self.stop(name)
        for name in [*WORKERS, *GATEWAYS]:
            self.start(name)
        for name in [*WORKERS, *GATEWAYS]:
            stack.wait_until(lambda: self.is_ready(name), READY_S, f"{name} is ready")

    @staticmethod
    def name_of(link):
        """By which it is found; None: by its address."""
        name = link if link in FOUND_BY.values() else link.rsplit("-", 1)[0]
        return f"{name}.test" if name in FOUND_BY.values() else None

    @staticmethod
    def elsewhere(link):
        return f"other:{link}"

    def __exit__(self, *unused):
        with contextlib.suppress(ProcessLookupError):
            self.send("gateway-2", signal.SIGCONT)
            self.send("gateway-2", signal.SIGKILL)
        self.conf.unlink(missing_ok=True)
        self.links.close()
        self.sink.stop()

    # ---- processes ----
    def pid_file(self, name):
        return self.folder / "gateway-2.pid" if name == "gateway-2" else stack.VAR / f"run/{self.file(name)}.pid"

    def file(self, name):
        """What deploy/local calls it."""
        return "gateway" if name == "gateway-1" else name

    def pid(self, name):
        return int(self.pid_file(name).read_text())

    def send(self, name, sig):
        os.kill(self.pid(name), sig)

    def kill(self, name):
        number = self.pid(name)
        os.kill(number, signal.SIGKILL)
        stack.wait_until(lambda: not stack.lives(number), 10, f"{name} is dead")

    def stop(self, name):
        """It is asked to go, and answers what it has."""
        number = self.pid(name)
        os.kill(number, signal.SIGTERM)
        stack.wait_until(lambda: not stack.lives(number), READY_S, f"{name} has drained")

    def start(self, name, **beside):
        """As deploy/local does, but at once. beside: more of its environment, or another LOG."""
        if name == "redis":
            command = ["redis-server", stack.VAR / "config/redis.conf"]
        else:
            program = "gateway" if name in GATEWAYS else name.split("-")[0] + "-svc"
            command = [f"{os.environ['BUSI_TEST_BIN']}/{program}", "--config", self.configuration(name)]
            libraries = [self.names.environment()["LD_PRELOAD"], *filter(None, [beside.get("LD_PRELOAD")])]
            beside = self.settings | self.names.environment() | self.by_names(name) | beside | {"LD_PRELOAD": ":".join(libraries)}
        env = {key: value for key, value in os.environ.items() if not key.startswith("BUSI_")}
        stack.launch(command, self.pid_file(name), beside.pop("LOG", self.log(name)), env, beside)

    def configuration(self, name):
        return self.conf if name == "gateway-2" else stack.VAR / f"config/{self.file(name)}.conf"

    def by_names(self, name):
        """The settings by which it finds others, as deploy/local made them but for the address."""
        lines = [line.split(" = ", 1) for line in self.configuration(name).read_text().splitlines() if " = " in line]
        settings = dict(lines) | {"smtp_url": self.settings["BUSI_SMTP_URL"]}
        return {f"BUSI_{setting.upper()}": settings[setting].replace(HOME, f"{link}.test") for setting, link in FOUND_BY.items() if setting in settings}

    def log(self, name):
        return self.folder / "gateway-2.log" if name == "gateway-2" else stack.VAR / f"logs/{self.file(name)}.log"

    def side_port(self, name):
        return self.side if name == "gateway-2" else stack.port(self.file(name) + "-health")

    def ask_side(self, name, path):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.side_port(name)}{path}", timeout=3) as answer:
            return answer.read().decode()

    def metric(self, name, metric):
        return sum(float(line.rsplit(" ", 1)[1]) for line in self.ask_side(name, "/metrics").splitlines() if re.match(rf"{metric}[ {{]", line))

    def status(self, name):
        """Numbers of /proc: VmSize and VmRSS in bytes, Threads."""
        lines = pathlib.Path(f"/proc/{self.pid(name)}/status").read_text().splitlines()
        return {line.split(":")[0]: int(line.split()[1]) * (1024 if line.endswith("kB") else 1) for line in lines if line.startswith(("Vm", "Threads"))}

    def cpu(self, name):
        """Seconds of a processor that it has used."""
        fields = pathlib.Path(f"/proc/{self.pid(name)}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def is_alive(self, name):
        return self.is_fine(name, "/livez")

    def is_ready(self, name):
        return self.is_fine(name, "/readyz")

    def is_fine(self, name, path):
        with contextlib.suppress(OSError):
            self.ask_side(name, path)
            return True
        return False

    def dead(self):
        return [name for name in GATEWAYS + WORKERS if not stack.lives(self.pid(name))]

    def mend(self):
        """Whatever a row has left behind."""
        for name in GATEWAYS + WORKERS + ["redis"]:
            with contextlib.suppress(OSError, ValueError):
                self.send(name, signal.SIGCONT)
        self.links.clear()
        stack.local("up", **self.settings)
        if not stack.lives(self.pid("gateway-2")):
            self.start("gateway-2")
        for link in filter(None, map(self.name_of, self.links.links)):
            self.names.say(link, HOME)
        self.sink.set()
        if not self.sink.listens():
            self.sink.start(self.sink.port)

    # ---- stores ----
    def redis_cli(self, *words):
        return subprocess.Popen(["redis-cli", "-p", str(stack.port("redis")), *map(str, words)], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                env=os.environ | {"REDISCLI_AUTH": self.redis_password})

    def redis(self, *words):
        return self.redis_cli(*words).communicate(timeout=10)[0].strip()

    def redis_answers(self):
        return self.redis("ping").endswith("PONG")

    def psql(self, *arguments, **more):
        dsn = f"host=127.0.0.1 port={stack.port('postgres')} dbname=busi user=postgres"
        return subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments, dsn], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=os.environ | {"PGPASSWORD": (stack.VAR / "secrets/postgres").read_text().strip()}, **more)

    def sql(self, statement):
        done = self.psql("-c", statement)
        out, err = done.communicate(timeout=30)
        assert done.returncode == 0, err
        return out.strip()

    def rows(self, query):
        """As a list of lists."""
        return [list(row.values()) for row in json.loads(self.sql(f"SELECT COALESCE(json_agg(r), '[]') FROM ({query}) AS r"))]

    def postgres(self, *command, **beside):
        """pg_ctl; beside: of the environment of what it starts."""
        data = (stack.VAR / "postgres").resolve()
        return subprocess.run([*AS_POSTGRES, "/usr/lib/postgresql/15/bin/pg_ctl", "-s", "-w", "-D", data / "data", "-l", data / "log", *command],
                              cwd="/", env=os.environ | beside, capture_output=True, timeout=60, stdin=subprocess.DEVNULL).returncode == 0

    def postgres_answers(self):
        done = self.psql("-c", "SELECT")
        return done.communicate(timeout=30) and done.returncode == 0

    def start_postgres(self, **beside):
        """Also one that has already begun to come back by itself, or is not quite gone yet."""
        stack.wait_until(lambda: self.postgres_answers() or self.postgres("start", **beside), 30, "Postgres runs again")
        data = (stack.VAR / "postgres").resolve()
        (stack.VAR / "run/postgres.pid").write_text((data / "data/postmaster.pid").read_text().split("\n")[0] + "\n")

    def family_of_postgres(self):
        parent = stack.pid("postgres")
        return [parent, *map(int, subprocess.run(["pgrep", "-P", str(parent)], capture_output=True, text=True).stdout.split())]


class Samples:
    """Looks at every process once a second."""

    def __init__(self, scene, history):
        self.scene, self.history, self.over = scene, history, threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.over.wait(1):
            for name in GATEWAYS + WORKERS:
                with contextlib.suppress(OSError, ValueError, KeyError):
                    self.sample(name)

    def sample(self, name):
        pid, status = self.scene.pid(name), self.scene.status(name)
        self.history.add("sample", name=name, pid=pid, fds=len(os.listdir(f"/proc/{pid}/fd")), threads=status["Threads"], rss=status["VmRSS"],
                         cpu=self.scene.cpu(name), at=self.history.now())

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join(10)
