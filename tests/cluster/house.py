"""busi on several hosts: gateways behind HAProxy, workers under names of DNS, Postgres with a standby, Redis with Sentinel."""
import http.client, json, os, pathlib, re, secrets, shutil, signal, subprocess, time
from hosts import Net, sh, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("BUSI_TEST_BIN", ROOT / "build/release/bin"))
PGBIN = "/usr/lib/postgresql/15/bin"
RPC, HEALTH, HTTP = 5001, 9090, 4000
PASSWORD = "correct horse battery"
WORKERS = ("auth", "directory", "mailer")


class House:
    """bin: where the programs are, source: the source they were made from; `start` may be told of others."""

    def __init__(self, folder, bin=BIN, source=ROOT):
        self.folder, self.bin, self.source = pathlib.Path(folder), bin, source
        self.folder.chmod(0o755)
        self.net = Net(folder)
        self.secret = {name: secrets.token_urlsafe(48) for name in ("jwt", "hash", "redis", "sentinel", "pg", "auth", "directory", "mailer", "owner")}
        self.secret["jwt"] += secrets.token_urlsafe(48)
        self.running = {}  # name of a host -> its process of ours
        self.keys()
        self.postgres()
        self.redis()
        for service, n in (("mailer", 1), ("auth", 2), ("directory", 2)):
            for _ in range(n):
                self.start(service)
        for i in (1, 2):
            self.start("gateway")
        self.front()
        wait_until(self.answers, 30, "the house answers")

    # ---- stores ----
    def keys(self):
        keys = self.folder / "keys"
        keys.mkdir()
        for name, methods in (("gateway", "auth.*, directory.*"), ("auth-svc", "mailer.Enqueue"), ("directory-svc", ""), ("mailer-svc", "")):
            self.gen_keys(keys, name, methods)
        for callee, caller in (("auth", "gateway"), ("directory", "gateway"), ("mailer", "auth-svc")):
            (keys / f"allow-{callee}").mkdir()
            shutil.copy(keys / f"{caller}.pub", keys / f"allow-{callee}")

    def gen_keys(self, folder, name, *methods):
        sh(self.bin / "gateway", "gen-keys", folder, name, *methods)

    def postgres(self):
        self.pg = []
        for i in (1, 2):
            host = self.net.host(f"pg{i}")
            data = self.folder / host.name
            data.mkdir()
            shutil.chown(data, "postgres", "postgres")
            self.pg.append((host, data / "data"))
        (host, data), (standby, copy) = self.pg
        (self.folder / "pw").write_text(self.secret["pg"])
        shutil.chown(self.folder / "pw", "postgres")
        as_pg = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"]
        sh(*as_pg, f"{PGBIN}/initdb", "-D", data, "-U", "postgres", f"--pwfile={self.folder / 'pw'}", "-A", "scram-sha-256", "-E", "UTF8",
           "--locale=C.UTF-8", cwd="/")
        with open(data / "postgresql.conf", "a") as conf:
            # a write is answered when the standby has it, too: a promotion then loses none
            conf.write("listen_addresses='*'\nunix_socket_directories=''\nmax_connections=200\nsynchronous_commit=remote_apply\n"
                       "synchronous_standby_names=''\nwal_keep_size=512MB\nhot_standby=on\nwal_log_hints=on\n")
        with open(data / "pg_hba.conf", "a") as hba:
            hba.write("host all all 10.77.0.0/24 scram-sha-256\nhost replication all 10.77.0.0/24 scram-sha-256\n")
        self.start_postgres(0)
        self.sql("CREATE DATABASE busi", database="postgres")
        words = "".join(f"\\set {name}_password '{self.secret[name]}'\n" for name in (*WORKERS, "owner"))
        subprocess.run(["psql", "-Xq", "-v", "ON_ERROR_STOP=1", "-f", "-", self.dsn("postgres", "pg")], check=True, text=True, capture_output=True,
                       input=words + (self.source / "deploy/postgres/bootstrap.sql").read_text())
        for name in WORKERS:
            self.migrate(name, self.bin)
        sh(self.bin / "directory-svc", "seed", env=dict(os.environ, BUSI_MIGRATE_DATABASE=self.dsn("busi_directory_owner", "owner")))
        sh(*as_pg, f"{PGBIN}/pg_basebackup", "-D", copy, "-R", "-X", "stream", "-c", "fast", "-d", f"{self.dsn('postgres', 'pg', 'postgres')} application_name=pg2",
           cwd="/")
        self.start_postgres(1)
        self.sql("ALTER SYSTEM SET synchronous_standby_names = 'pg2'")
        self.sql("SELECT pg_reload_conf()")
        wait_until(lambda: self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") == "1", 15, "the standby follows")

    def migrate(self, service, bin):
        return sh(bin / f"{service}-svc", "migrate", env=dict(os.environ, BUSI_MIGRATE_DATABASE=self.dsn(f"busi_{service}_owner", "owner")))

    def start_postgres(self, i):
        host, data = self.pg[i]
        self.running[host.name] = self.net.run(host, host.name, [f"{PGBIN}/postgres", "-D", data], user="postgres")
        wait_until(lambda: subprocess.run([f"{PGBIN}/pg_isready", "-qh", host.address]).returncode == 0, 30, f"{host.name} answers")

    def dsn(self, user, secret, database="busi"):
        hosts = ",".join(host.address for host, _ in self.pg)
        return (f"host={hosts} port=5432 dbname={database} user={user} password={self.secret[secret]} target_session_attrs=read-write "
                f"connect_timeout=3")

    def sql(self, statement, database="busi"):
        return sh("psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, self.dsn("postgres", "pg", database))

    def redis(self):
        self.stores = [self.net.host(f"redis{i}") for i in (1, 2, 3)]
        for i, host in enumerate(self.stores):
            folder = self.folder / host.name
            folder.mkdir()
            follow = f"replicaof {self.stores[0].address} 6379\n" if i else ""
            (folder / "redis.conf").write_text(
                f"bind {host.address}\nport 6379\ndir {folder}\nrequirepass {self.secret['redis']}\nmasterauth {self.secret['redis']}\nappendonly yes\n"
                f"appendfsync everysec\nsave \"\"\nmaxmemory-policy noeviction\nrepl-diskless-sync-delay 0\n{follow}")
            (folder / "sentinel.conf").write_text(
                f"bind {host.address}\nport 26379\ndir {folder}\nrequirepass {self.secret['sentinel']}\n"
                f"sentinel monitor main {self.stores[0].address} 6379 2\nsentinel auth-pass main {self.secret['redis']}\n"
                "sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 6000\n")
            self.running[host.name] = self.net.run(host, host.name, ["redis-server", folder / "redis.conf"])
        wait_until(lambda: self.ask_redis(self.stores[0], "INFO", "replication").count("state=online") == 2, 15, "two replicas")
        for host in self.stores:
            self.running[f"{host.name}-sentinel"] = self.net.run(host, f"{host.name}-sentinel",
                                                                 ["redis-sentinel", self.folder / host.name / "sentinel.conf"])
        wait_until(lambda: all("OK 3" in self.ask_sentinel(h, "SENTINEL", "CKQUORUM", "main") for h in self.stores), 20, "a quorum of sentinels")

    def ask_redis(self, host, *words, port=6379, secret="redis"):
        return subprocess.run(["redis-cli", "-h", host.address, "-p", str(port), *words], text=True, capture_output=True, timeout=5,
                              env=dict(os.environ, REDISCLI_AUTH=self.secret[secret])).stdout

    def ask_sentinel(self, host, *words):
        return self.ask_redis(host, *words, port=26379, secret="sentinel")

    def master(self):
        """The host that is the master of Redis now, as the sentinels see it."""
        for host in self.stores:
            lines = self.ask_sentinel(host, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main").split()
            if lines:
                return next(h for h in self.stores if h.address == lines[0])

    # ---- our processes ----
    def environment(self, service, host):
        keys = self.folder / "keys"
        own = "gateway" if service == "gateway" else f"{service}-svc"
        env = {"BUSI_CURVE_KEY_FILE": keys / f"{own}.key", "BUSI_HEALTH_BIND": f"{host.address}:{HEALTH}", "BUSI_DRAIN_DELAY": "1s", "BUSI_LOG_LEVEL": "info",
               "BUSI_BASE_URL": "http://busi.test"}
        if service == "gateway":
            return env | {"BUSI_HTTP_BIND": host.address, "BUSI_HTTP_PORT": HTTP, "BUSI_CURVE_SERVER_DIR": keys, "BUSI_HTTP_HEAD_TIMEOUT": "30s",
                          "BUSI_AUTH_ENDPOINTS": f"auth.busi:{RPC}", "BUSI_DIRECTORY_ENDPOINTS": f"directory.busi:{RPC}",
                          "BUSI_SESSION_CACHE": os.environ.get("CLUSTER_SESSION_CACHE", "0")}
        env |= {"BUSI_RPC_BIND": f"tcp://{host.address}:{RPC}", "BUSI_CURVE_ALLOW_DIR": keys / f"allow-{service}",
                f"BUSI_{service.upper()}_DATABASE": self.dsn(f"busi_{service}", service)}
        if service == "auth":
            sentinels = ",".join(f"{h.address}:26379" for h in self.stores)
            env |= {"BUSI_REDIS": f"sentinel://:{self.secret['redis']}@{sentinels}/main/0?sentinel_password={self.secret['sentinel']}",
                    "BUSI_JWT_SECRET": self.secret["jwt"], "BUSI_TOKEN_HASH_KEY": self.secret["hash"], "BUSI_MAILER_ENDPOINTS": f"mailer.busi:{RPC}",
                    "BUSI_CURVE_SERVER_DIR": keys, "BUSI_PASSWORD_MEMORY": "8M", "BUSI_PASSWORD_PASSES": "1"}
            env |= {f"BUSI_LIMIT_{name}": "off" for name in ("SIGN_IN_NETWORK", "SIGN_IN_ACCOUNT", "SIGN_IN_PAIR", "SIGN_UP_NETWORK", "SIGN_UP_ACCOUNT")}
        if service == "mailer":
            (self.folder / "mail").mkdir(exist_ok=True)
            env["BUSI_MAIL_FOLDER"] = self.folder / "mail"
        return env

    def replicas(self, service):
        return sorted(name for name in self.running if re.fullmatch(rf"{service}\d+", name) and self.running[name].lives())

    def publish(self, service):
        self.net.name(f"{service}.busi", [self.net.hosts[name].address for name in self.replicas(service)])

    def start(self, service, name=None, bin=None):
        """A new replica on a host of its own, or again on one that is there."""
        if not name:
            n = 1
            while f"{service}{n}" in self.running:
                n += 1
            name = f"{service}{n}"
        host = self.net.hosts.get(name) or self.net.host(name)
        binary = (bin or self.bin) / ("gateway" if service == "gateway" else f"{service}-svc")
        env = {key: str(value) for key, value in self.environment(service, host).items()}
        self.running[name] = self.net.run(host, name, [binary], env)
        wait_until(lambda: self.probe(name, "/readyz" if service != "gateway" or self.replicas("auth") else "/livez") == 200, 20, f"{name} is ready")
        if service != "gateway":
            self.publish(service)
        return name

    def stop(self, name):
        """As Kubernetes does: out of DNS, SIGTERM, gone when drained."""
        service, process = re.sub(r"\d+$", "", name), self.running.pop(name)
        if service != "gateway":
            self.publish(service)
        process.send(signal.SIGTERM)
        assert process.wait(40) == 0, f"{name} ended with {process.popen.returncode}"

    def probe(self, name, path):
        try:
            connection = http.client.HTTPConnection(self.net.hosts[name].address, HEALTH, timeout=1)
            connection.request("GET", path)
            return connection.getresponse().status
        except OSError:
            return 0

    def calls(self, name):
        """RPC calls of clients this worker has answered."""
        connection = http.client.HTTPConnection(self.net.hosts[name].address, HEALTH, timeout=2)
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        return sum(int(n) for n in re.findall(r'busi_rpc_server_duration_seconds_count\{[^}]*method="(?!rpc\.|auth\.Watch)[^"]+"[^}]*\} (\d+)', text))

    # ---- the way in ----
    def front(self):
        """HAProxy, as an ingress controller: asks each gateway whether it is ready, and takes what was not answered to another only when it
        cannot have been begun."""
        self.lb = self.net.host("front")
        gateways = [self.net.hosts[name] for name in ("gateway1", "gateway2")]
        conf = self.folder / "haproxy.cfg"
        conf.write_text(
            "global\n  nbthread 1\n  maxconn 4000\ndefaults\n  mode http\n  timeout connect 500ms\n  timeout client 60s\n  timeout server 15s\n"
            "  timeout http-keep-alive 60s\n  retries 6\n  option redispatch 1\n  retry-on conn-failure\n  http-reuse never\n  option http-server-close\n"
            f"frontend web\n  bind {self.lb.address}:80\n  default_backend busi\nbackend busi\n  balance roundrobin\n"
            "  option httpchk GET /readyz\n  default-server check port 9090 inter 200ms fall 2 rise 1\n" +
            "".join(f"  server {host.name} {host.address}:{HTTP}\n" for host in gateways))
        self.running["front"] = self.net.run(self.lb, "front", ["haproxy", "-db", "-f", conf])

    def ask(self, method, path, body=None, headers=None, at=None, timeout=8):
        connection = http.client.HTTPConnection(at or self.lb.address, HTTP if at else 80, timeout=timeout)
        headers = dict(headers or {})
        if body is not None:
            headers["content-type"] = "application/json"
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = connection.getresponse()
        raw = answer.read()
        connection.close()
        return answer.status, json.loads(raw) if raw[:1] in (b"{", b"[", b'"') else raw

    def answers(self):
        try:
            return self.ask("GET", "/api/businesses/1")[0] == 401
        except OSError:
            return False

    def sign_up(self, email):
        status, body = self.ask("POST", "/api/users/signup", {"user": {"email": email, "password": PASSWORD}})
        assert status == 201, (status, body)
        return body["token"]

    def close(self):
        self.net.close()


class Load:
    """tests/cluster/load.c for so many seconds; .records has (due, took, status, kind, number), milliseconds of CLOCK_MONOTONIC."""

    def __init__(self, house, tokens, seconds, rate=int(os.environ.get("BUSI_TEST_RATE", "2000")), connections=64):
        self.house, self.file = house, house.folder / "record"
        house.sql("DELETE FROM directory.businesses WHERE name LIKE 'load-%'")  # of another load, with the same names
        (house.folder / "tokens").write_text("\n".join(tokens) + "\n")
        self.process = subprocess.Popen([BIN / "cluster-load", house.lb.address, "80", str(connections), str(rate), str(seconds),
                                         house.folder / "tokens", self.file])
        self.records = None

    def finish(self, now=False):
        if now:
            self.process.terminate()
        assert self.process.wait(200) == 0
        self.records = []
        for line in self.file.read_text().splitlines():
            due, took, status, kind, number = line.split()
            self.records.append((float(due), float(took), int(status), kind, int(number)))
        return self.records


def good(record):
    return record[2] in (200, 201)


def p99(records):
    times = sorted(r[1] for r in records)
    return times[int(len(times) * 0.99)] if times else 0.0
