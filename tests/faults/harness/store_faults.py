"""What befalls Redis and Postgres."""
import contextlib, os, shutil, signal, subprocess, time
import stack
from scene import READY_S


# ---- Redis ----
def start_redis(scene):
    scene.start("redis")
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
