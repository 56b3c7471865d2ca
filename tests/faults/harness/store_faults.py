"""What befalls Redis and Postgres."""
import contextlib, os, re, secrets, shutil, signal, subprocess, time
import stack
from meddling import meddled
from process_faults import CLOCK, clock
from scene import READY_S


# ---- Redis ----
def start_redis(scene, **beside):
    scene.start("redis", **beside)
    stack.wait_until(scene.redis_answers, READY_S, "Redis answers")


def kill_redis(scene, name, random):
    scene.kill(name)
    yield
    start_redis(scene)


def empty_redis(scene, name, random):
    scene.kill(name)
    yield
    shutil.rmtree(stack.VAR / "redis")
    (stack.VAR / "redis").mkdir()
    start_redis(scene)


def old_redis(scene, name, random):
    """It comes back as it was some seconds ago."""
    folder, old = stack.VAR / "redis", stack.VAR / "redis.old"
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(folder, old)
    time.sleep(random.uniform(1, 2.5))  # sessions end meanwhile
    scene.kill(name)
    yield
    shutil.rmtree(folder)
    old.rename(folder)
    start_redis(scene)


def flush_redis(scene, name, random):
    scene.redis("FLUSHALL")
    yield


def set_redis(setting, bad, good):
    def fault(scene, name, random):
        assert scene.redis("CONFIG", "SET", setting, bad) == "OK"
        yield
        assert scene.redis("CONFIG", "SET", setting, good) == "OK"
    return fault


def demote_redis(scene, name, random):
    assert scene.redis("REPLICAOF", "127.0.0.1", "1") == "OK"
    yield
    assert scene.redis("REPLICAOF", "NO", "ONE") == "OK"


def pause_redis(scene, name, random):
    """It takes commands that write and answers none of them."""
    scene.redis("CLIENT", "PAUSE", 60000, "WRITE")
    yield
    scene.redis("CLIENT", "UNPAUSE")


def cut_redis(scene, name, random):
    for _ in range(5):
        scene.redis("CLIENT", "KILL", "TYPE", "normal")
        time.sleep(random.uniform(0.01, 0.2))
    yield


def crowd_redis(scene, name, random):
    """No room for anybody who connects anew but us, who are there."""
    most = scene.redis("CONFIG", "GET", "maxclients").split()[-1]
    with scene.redis_cli() as insider:
        def say(words):
            print(words, file=insider.stdin, flush=True)
            return insider.stdout.readline().strip()
        assert say("CONFIG SET maxclients 1") == "OK"
        say("CLIENT KILL TYPE normal SKIPME yes")
        yield
        assert say(f"CONFIG SET maxclients {most}") == "OK"
        insider.stdin.close()


def full_disk_of_redis(scene, name, random):
    """What it cannot write to its append-only file it does not do."""
    file, = (stack.VAR / "redis/appendonlydir").glob("*.incr.aof")
    written = lambda: re.search(r"aof_last_write_status:(\w+)", scene.redis("INFO", "persistence")).group(1)
    with meddled([scene.pid("redis")], "-P", file, "-e", "inject=write:error=ENOSPC"):
        scene.redis("SET", "harness", 1, "EX", 1)
        stack.wait_until(lambda: written() == "err" and "MISCONF" in scene.redis("SET", "harness", 1, "EX", 1), READY_S, "Redis cannot write")
        yield
        assert written() == "err"


def is_wrong_by(theirs, seconds):
    return abs(float(theirs) - time.time() - seconds) < 5


def clock_of_redis(seconds):
    def fault(scene, name, random):
        scene.stop("redis")
        start_redis(scene, **clock(seconds))
        assert is_wrong_by(scene.redis("TIME").split()[0], seconds)
        yield
        scene.stop("redis")
        start_redis(scene)
    return fault


def let_in_by(scene, password, *others):
    """These passwords are good from now on; we use the first. Whoever is in has to come again."""
    words = [f">{one}" for one in (password, *others)]
    assert scene.redis("ACL", "SETUSER", "default", "resetpass", *words) == "OK"
    scene.redis_password = password
    scene.redis("CLIENT", "KILL", "TYPE", "normal")


def password_changes(scene, name, random):
    """One replica has the new one already, the other the old one, and both are good."""
    old, new = scene.redis_password, secrets.token_hex(16)
    url = scene.by_names("auth-1")["BUSI_REDIS"]
    let_in_by(scene, old, new)
    scene.stop("auth-1")
    scene.start("auth-1", BUSI_REDIS=url.replace(old, new))
    stack.wait_until(lambda: scene.is_ready("auth-1"), READY_S, "auth-1 is let in")
    yield
    scene.stop("auth-1")
    scene.start("auth-1")
    let_in_by(scene, old)


def password_is_another(scene, name, random):
    """Somebody has changed it and told nobody."""
    old = scene.redis_password
    let_in_by(scene, secrets.token_hex(16))
    yield
    let_in_by(scene, old)


# ---- Postgres ----
END_OURS = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename LIKE 'busi\\_%'"


def kill_postgres(scene, name, random):
    scene.kill(name)
    yield
    scene.start_postgres()


def restart_postgres(scene, name, random):
    assert scene.postgres("-m", "fast", "stop")
    yield
    scene.start_postgres()


def kill_backend(scene, name, random):
    """The server takes it for a crash: it ends all others and recovers."""
    backends = scene.rows("SELECT pid FROM pg_stat_activity WHERE usename LIKE 'busi\\_%'")
    os.kill(random.choice(backends)[0], signal.SIGKILL)
    yield


def freeze_postgres(scene, name, random):
    family = scene.family_of_postgres()
    for number in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGSTOP)
    yield
    for number in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGCONT)


def cut_postgres(scene, name, random):
    for _ in range(5):
        scene.sql(END_OURS)
        time.sleep(random.uniform(0.01, 0.3))
    yield


def lock_table(table):
    def fault(scene, name, random):
        holder = scene.psql("-f", "-", stdin=subprocess.PIPE)
        holder.stdin.write(f"SET lock_timeout = '10s'; BEGIN; LOCK TABLE {table}; \\echo locked\n")
        holder.stdin.flush()
        assert holder.stdout.readline().strip() == "locked"
        yield
        holder.communicate("ROLLBACK;\n", timeout=10)
    return fault


def read_only(scene, name, random):
    def set_to(value):
        scene.sql(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        scene.sql("SELECT pg_reload_conf()")
    set_to("on")
    yield
    scene.psql("-c", "SET default_transaction_read_only = off", "-c", "ALTER SYSTEM RESET default_transaction_read_only",
               "-c", "SELECT pg_reload_conf()").communicate(timeout=20)


def crowd_postgres(scene, name, random):
    """No room for the services' roles: what they are told when every connection is taken (53300)."""
    def limit(most):
        for role in ("busi_auth", "busi_directory", "busi_mailer"):
            scene.sql(f"ALTER ROLE {role} CONNECTION LIMIT {most}")
    limit(0)
    scene.sql(END_OURS)
    yield
    limit(-1)


def full_disk_of_postgres(scene, name, random):
    """Its journal cannot be written: it ends, and cannot recover before there is room."""
    with meddled(scene.family_of_postgres(), "-e", "inject=pwrite64,pwritev:error=ENOSPC"):
        yield
    scene.start_postgres()


def slow_disk_of_postgres(scene, name, random):
    """Each commit waits for half a second."""
    with meddled(scene.family_of_postgres(), "-e", "inject=fsync,fdatasync:delay_enter=500ms"):
        yield


def clock_of_postgres(seconds):
    def fault(scene, name, random):
        library = shutil.copy(CLOCK, (stack.VAR / "postgres").resolve())  # where its own user may read it
        assert scene.postgres("-m", "fast", "stop")
        scene.start_postgres(**clock(seconds, library))
        assert is_wrong_by(scene.sql("SELECT extract(epoch FROM now())"), seconds)
        yield
        assert scene.postgres("-m", "fast", "stop")
        scene.start_postgres()
    return fault


def old_redis_beside_a_clock(seconds):
    """Sessions end, then Postgres' clock is wrong, and Redis comes back as it was before they did."""
    def fault(scene, name, random):
        back = old_redis(scene, "redis", random)
        next(back)
        clocks = clock_of_postgres(seconds)(scene, "postgres", random)
        next(clocks)
        next(back, None)
        yield
        next(clocks, None)
    return fault
