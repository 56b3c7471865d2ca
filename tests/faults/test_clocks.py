"""D-09: the wall clock of a machine jumps back or forward. What has ended stays ended, nobody is locked out for longer than the jump, and nothing
that waits notices: waits go by a clock that cannot be set. More than half a minute away from Redis', auth-svc judges no token at all, unless it is
Redis' clock that was set."""
import email.utils, glob, pathlib, sys, time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import accesspass
import preloads
from house import *
from second import second
from sentinels import SAFE, Server


class Clock:
    """The wall clock of the processes that are started with .environment."""

    def __init__(self, folder):
        self.file = folder / "clock"
        self.set(0)
        library, = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        self.environment = {"LD_PRELOAD": library, "FAKETIME_TIMESTAMP_FILE": str(self.file), "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                            "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"}

    def set(self, seconds):
        fresh = self.file.with_suffix(".new")
        fresh.write_text(f"{seconds:+d}s\n")
        fresh.rename(self.file)


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """(the clock, port of a gateway): it and its only auth-svc go by that clock, the stores and the rest of the house by the real one."""
    folder = tmp_path_factory.mktemp("clocks")
    clock = Clock(folder)
    with second("auth-1", folder, environment=clock.environment) as auth, \
            second("gateway", folder, environment=clock.environment, auth_endpoints=auth.endpoint) as gateway:
        yield clock, gateway.port
        clock.set(0)


def patiently(send):
    """On a machine with much else to do a gateway's patience may end: tried again."""
    end = time.monotonic() + 30
    while (answer := send()).status in (503, 504) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def make(at):
    address = new_email()
    expect_status(patiently(lambda: post_json("/api/users/signup", {"user": {"email": address, "password": PASSWORD}}, at=at)), 201)
    return address, expect_status(patiently(lambda: post_json("/api/users/signin", {"email": address, "password": PASSWORD}, at=at)), 201).json["token"]


JUMPS = [-86400 * 7, -3600, -5, 5, 3600]


def by_jwt(token, at):
    return ask("GET", "/api/businesses?limit=1", token=token, at=at).status


def by_secret(access, at):
    return ask("GET", "/check", headers={"access-token": access}, at=at).status


def come_back(house, token):
    """The clock is right again: it takes no longer than it is looked at."""
    clock, at = house
    clock.set(0)
    end = time.monotonic() + 30
    while by_jwt(token, at) != 200:
        assert time.monotonic() < end, "nothing is lost when the clock is right again"
        time.sleep(0.1)


def test_d09_the_clock_is_really_another(house):
    clock, at = house
    _, token = make(at)
    clock.set(-3600)
    try:
        date = email.utils.parsedate_to_datetime(ask("GET", "/", at=at).headers["date"]).timestamp()
        assert abs(date - time.time() + 3600) < 60
    finally:
        come_back(house, token)


def test_d09_what_has_ended_stays_ended_and_what_lives_lives(house):
    """Tokens of four weeks outlive any of these jumps; one may be not good yet on a clock by which it is still to be made."""
    clock, at = house
    address, token = make(at)
    short = issue("busi", int(claims_of(token)["sub"]), lifetime_ms=6000)
    out = accesspass.Account()
    assert by_jwt(token, at) == 200 and by_secret(out.access, at) == 200
    assert patiently(lambda: ask("POST", "/logout", headers={"access-token": out.access}, at=at)).status == 200
    time.sleep(6.2)
    try:
        for jump in JUMPS:
            clock.set(jump)
            end = time.monotonic() + 3  # before and after anybody has noticed
            while time.monotonic() < end:
                assert by_jwt(short, at) in (401, 503, 504) and by_secret(out.access, at) in (401, 503, 504), jump
                assert by_jwt(token, at) in ((200, 503, 504) if jump > 0 else (200, 401, 503, 504)), jump
                time.sleep(0.1)
            if abs(jump) < 30:
                answer = patiently(lambda: post_json("/api/users/signin", {"email": address, "password": PASSWORD}, at=at))
                assert patiently(lambda: ask("GET", "/api/businesses?limit=1", token=expect_status(answer, 201).json["token"], at=at)).status == 200
            come_back(house, token)
            assert by_jwt(short, at) in (401, 503, 504) and by_secret(out.access, at) in (401, 503, 504), jump
    finally:
        come_back(house, token)
    assert by_jwt(short, at) == 401 and by_secret(out.access, at) == 401


def test_d09_waits_do_not_notice(house):
    """Deadlines, pings and pauses go on while the clock jumps to and fro."""
    clock, at = house
    _, token = make(at)
    try:
        asked = time.monotonic()
        for i in range(40):
            clock.set((-7200, 0, 7200, -86400)[i % 4])
            assert by_jwt(token, at) in (200, 401, 503, 504)
        assert time.monotonic() - asked < 30
    finally:
        come_back(house, token)


# ---- Redis' own ----
@pytest.fixture(scope="module")
def astray(tmp_path_factory):
    """(the clock of a Redis, that Redis, port of a gateway whose only auth-svc keeps its sessions there)."""
    folder = tmp_path_factory.mktemp("astray")
    clock = preloads.Clock(folder / "clock")
    server = Server("astray", SAFE, environment=clock.environment()).start()
    try:
        with second("auth-1", folder, redis=server.url()) as auth, second("gateway", folder, auth_endpoints=auth.endpoint) as gateway:
            yield clock, server, gateway.port
            clock.set(0)
    finally:
        server.stop()


def test_d09_a_redis_whose_clock_is_set_signs_in_and_out(astray):
    clock, server, at = astray
    address, token = make(at)
    name = accesspass.registration(accesspass.Nobody())
    expect_status(patiently(lambda: post_json("/register", name, at=at)), 200)
    log_in = lambda: expect_status(patiently(lambda: post_json("/login", {"username": name["username"], "password": name["password"]}, at=at)), 200).json["ok"]
    first = log_in()["refresh_token"]
    try:
        for jump in (3600, -3600, 0, 86400, 0):
            clock.set(jump)
            assert abs(int(server.ask("TIME").split()[0]) - time.time() - jump) < 5
            for _ in range(3):  # before and after anybody has noticed
                answer = patiently(lambda: post_json("/api/users/signin", {"email": address, "password": PASSWORD}, at=at))
                access = log_in()["access_token"]
                assert patiently(lambda: ask("GET", "/api/businesses?limit=1", token=expect_status(answer, 201).json["token"], at=at)).status == 200, jump
                assert patiently(lambda: ask("GET", "/check", headers={"access-token": access}, at=at)).status == 200, jump
                assert patiently(lambda: ask("POST", "/logout", headers={"access-token": access}, at=at)).status == 200, jump
                assert patiently(lambda: ask("GET", "/check", headers={"access-token": access}, at=at)).status == 401, jump
                assert patiently(lambda: ask("GET", "/api/businesses?limit=1", token=token, at=at)).status == 200, jump
                assert patiently(lambda: ask("GET", "/refresh", headers={"refresh-token": first}, at=at)).status == 200, jump
                time.sleep(1)
    finally:
        clock.set(0)


def test_d09_who_never_saw_it_right_does_not_go_by_it(astray, tmp_path):
    clock, server, _ = astray
    clock.set(3600)
    try:
        with second("auth-1", tmp_path, wait=False, redis=server.url()) as late:
            late.wait(lambda: "redis_unsafe" in late.log.read_text())
            time.sleep(2)
            assert not late.ready()
            clock.set(0)
            late.wait()
    finally:
        clock.set(0)
