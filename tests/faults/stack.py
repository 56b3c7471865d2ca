"""The running stack of a test, as deploy/local keeps it, and a load of clients that remember every answer."""
import http.client, json, os, pathlib, re, signal, subprocess, threading, time, urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
VAR = pathlib.Path(os.environ["BUSI_TEST_VAR"])
HOST, PORT = re.match(r"http://([^:]+):(\d+)", os.environ["BUSI_TEST_URL"]).groups()
PASSWORD = "correct horse"


def local(command, *names, **settings):
    """Runs deploy/local on this stack as the test script does: two replicas of each worker."""
    env = dict(os.environ, BUSI_VAR=str(VAR), BUSI_BIN=os.environ["BUSI_TEST_BIN"], BUSI_HTTP_PORT=PORT,
               BUSI_REPLICAS_AUTH="2", BUSI_REPLICAS_DIRECTORY="2", BUSI_REPLICAS_MAILER="2") | settings
    for name in list(env):
        if name.startswith("BUSI_TEST_"):
            del env[name]
    done = subprocess.run([ROOT / "deploy/local", command, *names], env=env, text=True, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


LAUNCH = 'setsid bash -c \'log=$1 pid=$2 end=$3; shift 3; { [ -z "$CGROUP" ] || echo $BASHPID >"$CGROUP"; exec "$@"; } >>"$log" 2>&1 & ' \
         'echo $! >"$pid"; wait $!; echo $! $? >"$end"\' - "$@" </dev/null >/dev/null 2>&1 9>&- &'


def launch(command, pid_file, log, env, beside={}):
    """As deploy/local starts a process, but at once. beside: more of its environment; CGROUP is not for it but where it is put."""
    end = pid_file.with_suffix(".end")
    for file in (pid_file, end):
        file.unlink(missing_ok=True)
    beside = dict(beside)
    alone = ["env", f"LD_PRELOAD={beside.pop('LD_PRELOAD')}"] if "LD_PRELOAD" in beside else []  # not for the shell that starts it
    subprocess.run(["bash", "-c", LAUNCH, "-", log, pid_file, end, *alone, *command], env=env | beside, check=True)
    wait_until(lambda: pid_file.exists() and pid_file.read_text().strip(), 5, f"{command[0]} has begun")


def end_of(pid_file):
    """The exit status of what launch() started, as the shell tells it (128 and the number of a signal); None: it has not ended."""
    end = pid_file.with_suffix(".end")
    words = end.read_text().split() if end.exists() else []
    own = pid_file.read_text().split() if pid_file.exists() else words[:1]  # deploy/local takes it away from what it has stopped
    return int(words[1]) if words and words[:1] == own else None  # else that of one before it


def port(name):
    return int(re.findall(rf"^{name}=(\d+)", (VAR / "ports").read_text(), re.M)[-1])


def pid(name):
    return int((VAR / f"run/{name}.pid").read_text())


def lives(number):
    try:
        return pathlib.Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second: it went while it was looked at
        return False


def send(name, sig):
    """Killed is who has closed what it had: not before its last thread is gone."""
    number = pid(name)
    os.kill(number, sig)
    if sig == signal.SIGKILL:
        wait_until(lambda: not lives(number) and len(threads(number)) <= 1, 10, f"{name} is dead")


def threads(number):
    try:
        return os.listdir(f"/proc/{number}/task")
    except FileNotFoundError:
        return []


def metrics(name):
    with urllib.request.urlopen(f"http://127.0.0.1:{port(name + '-health')}/metrics", timeout=3) as answer:
        return answer.read().decode()


def is_fine(name, path):
    """/livez or /readyz of a process."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port(name + '-health')}{path}", timeout=3):
            return True
    except OSError:
        return False


def calls_served(name):
    """RPC calls this worker has answered (health pings not counted)."""
    total = 0
    for line in metrics(name).splitlines():
        found = re.match(r'busi_rpc_server_duration_seconds_count\{.*method="(?!rpc\.)[^"]+".*\} (\d+)', line)
        total += int(found.group(1)) if found else 0
    return total


def request(method, path, body=None, token=None, connection=None, timeout=10, headers=None):
    """(status, headers, parsed body); a connection may be passed and is kept."""
    headers = dict(headers or {}) | ({"content-type": "application/json"} if body is not None else {})
    if token:
        headers["authorization"] = "Bearer " + token
    return ask(method, path, body, headers, connection, timeout)


def ask(method, path, body, headers, connection=None, timeout=10):
    """The same with these headers and no others."""
    mine = connection or http.client.HTTPConnection(HOST, int(PORT), timeout=timeout)
    try:
        mine.request(method, path, json.dumps(body) if body is not None else None, headers)
        answer = mine.getresponse()
        raw = answer.read()
        kind = answer.getheader("content-type") or ""
        return answer.status, answer.headers, json.loads(raw) if raw and "json" in kind else raw
    finally:
        if not connection:
            mine.close()


def sign_up(email):
    status, _, body = request("POST", "/api/users/signup", {"user": {"email": email, "password": PASSWORD}})
    assert status == 201, (status, body)
    return body["token"]


def psql(*arguments, **more):
    """As the owner of everything; its process."""
    dsn = f"host=127.0.0.1 port={port('postgres')} dbname=busi user=postgres"
    return subprocess.Popen(["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments, dsn], text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            env=os.environ | {"PGPASSWORD": (VAR / "secrets/postgres").read_text().strip()}, **more)


def sql(statement):
    """The rows, as lines."""
    done = psql("-c", statement)
    out, err = done.communicate(timeout=120)
    assert done.returncode == 0, err
    return out.splitlines()


def wait_until(true, seconds, what):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


BARE = 5030


class Load:
    """Clients that read businesses in a loop; .answers holds (start, seconds, status) of every call, status 0 for a broken
    connection, BARE for a 503 that does not say when to come back."""

    def __init__(self, token, clients=16, paths=("/api/businesses/1", "/api/businesses"), pause=0.002):
        self.token, self.paths, self.pause = token, paths, pause
        self.answers, self.stop = [], threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(clients)]

    def run(self, i):
        connection, n = None, i
        while not self.stop.is_set():
            begin = time.monotonic()
            try:
                connection = connection or http.client.HTTPConnection(HOST, int(PORT), timeout=15)
                status, headers, _ = request("GET", self.paths[n % len(self.paths)], token=self.token, connection=connection)
                status = BARE if status == 503 and not 1 <= int(headers.get("retry-after", 0)) <= 3 else status
                if headers.get("connection", "").lower() == "close":
                    connection.close()
                    connection = None
            except (OSError, http.client.HTTPException):
                connection, status = None, 0
            self.answers.append((begin, time.monotonic() - begin, status))
            n += 1
            time.sleep(self.pause)

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *unused):
        self.stop.set()
        for thread in self.threads:
            thread.join(20)

    def since(self, moment):
        return [a for a in list(self.answers) if a[0] >= moment]


def failures(answers):
    return [a for a in answers if a[2] != 200]
