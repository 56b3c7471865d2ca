"""A worker that dies, freezes or is stopped costs at most what it was working on, and comes back by itself."""
import signal, time
import pytest
import stack

CLIENTS = 16
DEADLINE_S = 3.0 + 0.5  # the gateway's, and a grace


def assert_bounded(answers):
    late = [a for a in answers if a[1] > DEADLINE_S]
    assert not late, f"{len(late)} answers came after the deadline: {late[:3]}"
    odd = [a for a in stack.failures(answers) if a[2] not in (503, 504)]
    assert not odd, f"answers other than 200, 503, 504: {odd[:3]}"


def assert_balanced(service):
    before = {n: stack.calls_served(f"{service}-{n}") for n in (1, 2)}
    for i in range(40):
        if service == "auth":  # gateways remember the load's token: these they must ask for
            stack.request("POST", "/api/users/signin", {"email": f"nobody{i}@example.com", "password": "wrong horse"})
        time.sleep(0.05)
    share = {n: stack.calls_served(f"{service}-{n}") - before[n] for n in (1, 2)}
    assert min(share.values()) >= 0.4 * sum(share.values()) / 2, share


@pytest.mark.parametrize("service", ["auth", "directory"])
def test_kill_9_under_load(token, service):
    with stack.Load(token, CLIENTS) as load:
        time.sleep(1.5)
        moment = time.monotonic()
        stack.send(f"{service}-1", signal.SIGKILL)
        time.sleep(4)
        answers = load.since(moment - 1)
        assert len(answers) > 500
        assert_bounded(answers)
        # at most what the dead worker held; each client has one call in flight
        assert len(stack.failures(answers)) <= CLIENTS
        stack.local("up")
        time.sleep(2.5)
        moment = time.monotonic()
        assert_balanced(service)
        assert not stack.failures(load.since(moment))


@pytest.mark.parametrize("service", ["auth", "directory"])
def test_frozen_under_load(token, service):
    with stack.Load(token, CLIENTS) as load:
        time.sleep(1.5)
        moment = time.monotonic()
        stack.send(f"{service}-2", signal.SIGSTOP)
        try:
            time.sleep(6)
            answers = load.since(moment - 1)
            assert_bounded(answers)
            assert len(stack.failures(answers)) <= CLIENTS
            settled = load.since(moment + 3)
            assert len(settled) > 300 and not stack.failures(settled)
        finally:
            stack.send(f"{service}-2", signal.SIGCONT)
        time.sleep(2.5)
        moment = time.monotonic()
        assert_balanced(service)
        assert not stack.failures(load.since(moment))


@pytest.mark.parametrize("service", ["auth", "directory"])
def test_stopping_a_worker_fails_no_call(token, service):
    """SIGTERM: it says it drains, gets no new calls, answers what it has, exits 0."""
    with stack.Load(token, CLIENTS) as load:
        time.sleep(1.5)
        moment = time.monotonic()
        stack.local("stop", f"{service}-1")
        time.sleep(1)
        answers = load.since(moment)
        assert len(answers) > 200 and not stack.failures(answers)
        stack.local("up")
        time.sleep(2)
        assert not stack.failures(load.since(moment))


def test_gateway_drains(token):
    """Work accepted before SIGTERM is answered; afterwards the port is closed and the process gone."""
    log = stack.VAR / "logs/gateway.log"
    with stack.Load(token, CLIENTS) as load:
        time.sleep(1)
        moment, before = time.monotonic(), log.stat().st_size
        stack.local("stop", "gateway")
        load.stop.set()
        answers = load.since(moment - 0.5)
        # 503 is the announced refusal; a connection that breaks (0) happens only to one that was idle or refused
        assert {a[2] for a in answers} <= {200, 503, 0}
        stack.wait_until(lambda: not (stack.VAR / "run/gateway.pid").exists(), 5, "gateway gone")
    said = log.read_text()[before:]
    assert '"event":"stopped"' in said and "drain_overdue" not in said


def test_all_directory_workers_gone(token):
    """Clean 503 with Retry-After at once, sign-in unaffected, recovery by itself."""
    for n in (1, 2):
        stack.send(f"directory-{n}", signal.SIGKILL)
    time.sleep(0.5)
    begin = time.monotonic()
    status, headers, body = stack.request("GET", "/api/businesses/1", token=token)
    assert status == 503 and int(headers["retry-after"]) >= 1
    assert body == {"errors": {"detail": "Service Unavailable"}}
    assert time.monotonic() - begin < DEADLINE_S
    assert stack.sign_up(f"alone-{time.time_ns()}@example.com")
    assert stack.is_fine("gateway", "/livez"), "who serves sign-ins is not to be restarted"
    stack.local("up")
    stack.wait_until(lambda: stack.request("GET", "/api/businesses/1", token=token)[0] == 200, 5, "reads work again")


def test_a_worker_no_longer_wanted_is_stopped(token):
    """Fewer replicas than last time: the one too many would go on, uncalled and unseen, with an old program."""
    surplus = stack.pid("mailer-2")
    stack.local("up", BUSI_REPLICAS_MAILER="1")
    assert not stack.lives(surplus) and not (stack.VAR / "run/mailer-2.pid").exists()
    stack.local("up")
    assert stack.pid("mailer-2") != surplus
