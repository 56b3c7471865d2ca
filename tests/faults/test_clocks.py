"""D-09: the wall clock of a machine jumps back or forward. What has ended stays ended, nobody is locked out for longer than the jump, and nothing
that waits notices: waits go by a clock that cannot be set."""
import glob, pathlib, sys, time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import accesspass
from house import *
from second import second


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


def is_good(token, at):
    answer = patiently(lambda: ask("GET", "/api/businesses?limit=1", token=token, at=at))
    assert answer.status in (200, 401), answer
    return answer.status == 200


def is_open(access, at):
    answer = patiently(lambda: ask("GET", "/check", headers={"access-token": access}, at=at))
    assert answer.status in (200, 401), answer
    return answer.status == 200


def patiently(send):
    """On a machine with much else to do a gateway's patience may end: tried again."""
    end = time.monotonic() + 30
    while (answer := send()).status in (503, 504) and time.monotonic() < end:
        time.sleep(0.2)
    return answer


def make(at):
    email = new_email()
    expect_status(patiently(lambda: post_json("/api/users/signup", {"user": {"email": email, "password": PASSWORD}}, at=at)), 201)
    return email, expect_status(patiently(lambda: post_json("/api/users/signin", {"email": email, "password": PASSWORD}, at=at)), 201).json["token"]


JUMPS = [-86400 * 7, -3600, -30, -1, 1, 30, 3600]


def test_d09_the_clock_is_really_another(house):
    clock, at = house
    clock.set(-3600)
    try:
        assert abs(claims_of(make(at)[1])["iat"] - time.time() + 3600) < 30
    finally:
        clock.set(0)


def test_d09_what_has_ended_stays_ended_and_what_lives_lives(house):
    """Tokens of four weeks outlive any of these jumps; the most that may happen is that one is not good yet on a clock by which it is still to be made."""
    clock, at = house
    email, token = make(at)
    short = issue("busi", int(claims_of(token)["sub"]), lifetime_ms=8000)
    out = accesspass.Account()
    assert is_good(token, at) and is_good(short, at) and is_open(out.access, at)
    assert ask("POST", "/logout", headers={"access-token": out.access}, at=at).status == 200
    time.sleep(8.2)
    try:
        for jump in JUMPS:
            clock.set(jump)
            assert not is_good(short, at) and not is_open(out.access, at), jump
            assert is_good(token, at) or jump < 0, jump
            answer = expect_status(patiently(lambda: post_json("/api/users/signin", {"email": email, "password": PASSWORD}, at=at)), 201)
            assert is_good(answer.json["token"], at), "whoever signs in is in"
            clock.set(0)
            assert is_good(token, at), "nothing is lost when the clock is right again"
            assert not is_good(short, at) and not is_open(out.access, at), jump
    finally:
        clock.set(0)


def test_d09_a_token_of_a_moment_lives_no_longer_for_a_jump_back(house):
    """Made while the clock was right, used while it is not: the store's clock counts, too."""
    clock, at = house
    _, token = make(at)
    short = issue("busi", int(claims_of(token)["sub"]), lifetime_ms=2000)
    try:
        clock.set(-3600)
        time.sleep(2.3)
        assert not is_good(short, at)
    finally:
        clock.set(0)
    assert not is_good(short, at)


def test_d09_waits_do_not_notice(house):
    """Deadlines, pings and pauses go on while the clock jumps to and fro."""
    clock, at = house
    _, token = make(at)
    try:
        asked = time.monotonic()
        for i in range(40):
            clock.set((-7200, 0, 7200, -86400)[i % 4])
            assert ask("GET", "/api/businesses?limit=1", token=token, at=at).status in (200, 401, 503, 504)
        assert time.monotonic() - asked < 30
    finally:
        clock.set(0)
    assert is_good(token, at)
