"""D-01, D-02, D-03: what auth-svc makes of a Redis that answers nonsense, too late, or has lost what it held. It is away then: nobody is
let in by it, and nobody is told that his token is bad, which clients would throw away."""
import itertools, re, threading, time

import pytest

import accesspass
from house import *
from lying_redis import LyingRedis
from second import second


@pytest.fixture(scope="module")
def house(tmp_path_factory):
    """(the liar, port of a gateway whose only auth-svc believes it, that auth-svc); limits are those of the settings' defaults"""
    folder = tmp_path_factory.mktemp("lying")
    redis = LyingRedis(re.search(r"^redis = (.*)$", (VAR / "config/auth-1.conf").read_text(), re.M)[1])
    with second("auth-1", folder, redis=redis.url) as auth, second("gateway", folder, auth_endpoints=auth.endpoint) as gateway:
        yield redis, gateway.port, auth
    redis.close()


def check(token, at):
    return ask("GET", "/api/businesses?limit=1", token=token, at=at)


def wait_for_truth(house, token):
    redis, at, auth = house
    redis.lie, redis.delay = None, 0
    end = time.monotonic() + 15
    while not auth.ready() or check(token, at).status != 200:
        assert time.monotonic() < end
        time.sleep(0.02)


# Of each kind one; tests/unit/store_redis_hostile.c has more of them.
LIES = {
    "a number": b":1\r\n", "a word": b"+OK\r\n", "a text": b"$5\r\nhello\r\n", "an array of one": b"*1\r\n$1\r\na\r\n", "no array": b"*-1\r\n",
    "nested eight deep": b"*1\r\n" * 8 + b":1\r\n", "4,294,967,295 of something": b"*4294967295\r\n:1\r\n", "512 MiB": b"$536870912\r\n" + b"x" * 65536,
    "loading": b"-LOADING Redis is loading the dataset in memory\r\n", "no memory": b"-OOM command not allowed when used memory > 'maxmemory'.\r\n",
    "wrong type": b"-WRONGTYPE Operation against a key holding the wrong kind of value\r\n", "no script, whatever is loaded": b"-NOSCRIPT No matching script.\r\n",
    "a push of RESP3": b">2\r\n$10\r\ninvalidate\r\n*0\r\n", "two answers": b":1\r\n:2\r\n", "half an answer, and on": b"$100\r\nabc"}


# What a damaged record looks like, or one that is gone: of such a session nobody knows anything any more.
GONE = {"a word", "a text", "no array"}


@pytest.mark.parametrize("what", LIES)
def test_d01_a_store_that_answers_so_is_away(house, what):
    redis, at, auth = house
    token, access = sign_up(), accesspass.Account().access
    redis.lie = LIES[what]
    asked = time.monotonic()
    fine = {500, 503, 504} | ({401} if what in GONE else set())
    for answer in (check(token, at), ask("GET", "/check", headers={"access-token": access}, at=at), check(access, at)):
        assert answer.status in fine, (what, answer)
    answer = ask("POST", "/api/users/signup", {"user": {"email": new_email(), "password": PASSWORD}}, at=at)
    assert answer.status in (500, 503, 504) and b"token" not in answer.raw and b"ERR" not in answer.raw, (what, answer)
    assert time.monotonic() - asked < 14 and redis.lies > 0
    wait_for_truth(house, token)
    assert ask("GET", "/check", headers={"access-token": access}, at=at).status == 200
    assert auth.process.poll() is None


def test_d01_a_store_that_says_nothing_is_away(house):
    redis, at, auth = house
    token = sign_up()
    redis.silent = True
    try:
        asked = time.monotonic()
        assert {check(token, at).status for _ in range(3)} <= {503, 504} and time.monotonic() - asked < 12
    finally:
        redis.silent = False
    wait_for_truth(house, token)


# ---- D-02 ----
def who(token, at):
    answer = ask("GET", "/check", headers={"access-token": token}, at=at)
    return answer.json["ok"]["email"] if answer.status == 200 else answer.status


def test_d02_a_late_answer_is_nobody_elses(house):
    """Answers take longer than anybody waits, then come all the same: each token speaks for its own user or for nobody."""
    redis, at, auth = house
    people = [accesspass.Account() for _ in range(6)]
    for delay in (0.7, 2.5, 0.1):
        redis.delay, heard = delay, []
        threads = [threading.Thread(target=lambda person=person: heard.extend((person.email, who(person.access, at)) for _ in range(3))) for person in people]
        for thread in threads:
            thread.start()
        time.sleep(1.2)
        redis.delay = 0
        for thread in threads:
            thread.join(60)
        assert len(heard) == 18 and not [(own, said) for own, said in heard if said not in (own, 503, 504)], heard
    wait_for_truth(house, sign_up())
    assert [who(person.access, at) for person in people] == [person.email for person in people]


# ---- D-03 ----
def flipped(answer, bit):
    """One bit of the text within an answer."""
    head, body = answer.split(b"\r\n", 1)
    spoiled = bytearray(body)
    spoiled[bit // 8] ^= 1 << bit % 8
    return head + b"\r\n" + bytes(spoiled)


def test_d03_one_wrong_bit_opens_nothing(house):
    redis, at, auth = house
    ann, bob = accesspass.Account(), accesspass.Account()
    assert who(ann.access, at) == ann.email
    bits = itertools.count(3, 37)
    redis.lie = lambda words, answer: flipped(answer, next(bits) % (8 * (len(answer) - answer.index(b"\n") - 3))) if words[0] == b"GET" and answer[:2] == b"$1" else answer
    try:
        for _ in range(40):
            assert who(bob.access, at) in (401, 503) and check(bob.access, at).status in (401, 503)
    finally:
        wait_for_truth(house, sign_up())
    assert who(bob.access, at) == bob.email


def test_d03_anothers_record_opens_nothing(house):
    """A store that hands out Ann's record for every session."""
    redis, at, auth = house
    ann, bob, found = accesspass.Account(), accesspass.Account(), []
    redis.lie = lambda words, answer: found.append(answer) or answer if words[0] == b"GET" and answer[:2] == b"$1" else answer
    assert who(ann.access, at) == ann.email and found
    redis.lie = lambda words, answer: found[0] if words[0] == b"GET" and answer[:2] == b"$1" else answer
    try:
        assert who(bob.access, at) == 401 and check(bob.access, at).status == 401
    finally:
        wait_for_truth(house, sign_up())
    assert who(bob.access, at) == bob.email
