"""What a request costs each process in CPU time, and what an account, a session and a business take up. tests/bench has the words."""
import os, pathlib, time

TICK_US = 1e6 / os.sysconf("SC_CLK_TCK")
PROCESSES = ("gateway", "auth-1", "directory-1", "mailer-1", "redis", "postgres")
COLUMNS = (*PROCESSES, "gw loop", "auth loop")  # the one thread of a process that no second processor takes work from


def stat(pid):
    """Fields of /proc/PID/stat behind the name, from the state on; none when it is gone."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def cpu_us(pid):
    fields = stat(pid)
    return (int(fields[11]) + int(fields[12])) * TICK_US if fields else 0


def family(pid):
    """A process and its children: Postgres has one for each connection."""
    return [pid] + [int(other) for other in os.listdir("/proc") if other.isdigit() and (fields := stat(other)) and int(fields[1]) == pid]


def pid_of(var, name):
    if name == "postgres":
        data = (var / "postgres").resolve() / "data"
        return int((data / "postmaster.pid").read_text().split()[0])
    return int((var / f"run/{name}.pid").read_text())


class Spent:
    """CPU time of each process since this was made; a mean of what is used anyway is taken off."""

    def __init__(self, var):
        self.var, self.began = var, time.monotonic()
        self.before = self.now()

    def now(self):
        pids = {name: pid_of(self.var, name) for name in PROCESSES}
        return {name: sum(map(cpu_us, family(pid))) for name, pid in pids.items()} | {
            "gw loop": cpu_us(f"{pids['gateway']}/task/{pids['gateway']}"), "auth loop": cpu_us(f"{pids['auth-1']}/task/{pids['auth-1']}")}

    def per_second(self):
        seconds = time.monotonic() - self.began
        return {name: (us - self.before[name]) / seconds for name, us in self.now().items()}


def idle(var, seconds):
    spent = Spent(var)
    time.sleep(seconds)
    return spent.per_second()


def of(var, load, resting):
    """load() answers (requests a second, errors ...): microseconds a request of each process, and that rate."""
    spent = Spent(var)
    rate, errors = load()[:2]
    used = spent.per_second()
    if errors:
        raise SystemExit(f"{errors} errors under load: no measurement")
    return {name: max(0.0, used[name] - resting[name]) / rate for name in COLUMNS}, rate


def pss_mib(pid):
    for line in open(f"/proc/{pid}/smaps_rollup"):
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024


# Rows like those of a service in use. Which they are, and how many, for the size of one.
N = 100000
TABLES = [
    ("auth.users", N, f"""(email, email_key, username, username_key, code, password_hash, confirmed_at)
        SELECT e, e, u, u, translate(lpad(to_hex(i), 6, '0'), '0', 'z'), '$argon2id$v=19$m=19456,t=2,p=1$' || repeat('x', 66), now()
        FROM (SELECT i, 'somebody' || i || '@example.com' AS e, 'somebody' || i AS u FROM generate_series(1, {N}) AS i) AS s"""),
    ("auth.audit", N, f"""(event, outcome, actor, actor_id, user_id, door, remote_addr, user_agent, request_id)
        SELECT 'sign_in', 'ok', 'gateway', i, i, 'busi', '203.0.113.119',
               'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', md5(i::text) FROM generate_series(1, {N}) AS i"""),
    ("auth.revocations", N, f"(user_id, session_id, expires_at) SELECT i, 'abcdefghijklmnopqrstuv', now() FROM generate_series(1, {N}) AS i"),
    ("directory.businesses", N, f"""(name, description, tag, created_by)
        SELECT 'Company ' || i, repeat('A short description. ', 5), 'IT, Software', i FROM generate_series(1, {N}) AS i"""),
]
