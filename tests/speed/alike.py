"""Whether the time of an answer tells if there is such an account: requests for known and unknown names in random order,
one after the other on one connection. For each question two numbers: how far the medians are apart, and how often a
guess by the clock would be right at best (the area under the ROC curve: 0.5 is a coin, 1 is certainty)."""
import bisect, http.client, json, random, statistics, sys, time

PASSWORD = "correct horse"


def ask(connection, path, body):
    """Milliseconds until the answer was read, and the answer."""
    text = json.dumps(body)
    began = time.perf_counter()
    connection.request("POST", path, text, {"content-type": "application/json"})
    answer = connection.getresponse()
    raw = answer.read()
    return (time.perf_counter() - began) * 1000, (answer.status, raw)


def certainty(known, unknown):
    """Area under the ROC curve of the best side: Mann and Whitney's U, ties counted half."""
    order = sorted(unknown)
    wins = sum((bisect.bisect_left(order, x) + bisect.bisect_right(order, x)) / 2 for x in known)
    area = wins / (len(known) * len(unknown))
    return max(area, 1 - area)


def measure(host, port, path, body_of, known_names, samples, then=None):
    """(difference of medians in ms, certainty) of body_of(name) at path. then: the body of a request sent right behind each,
    whose time is taken instead: does the work an answer leaves behind tell more than the answer?"""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    times, answers = {True: [], False: []}, set()
    turns = [True] * samples + [False] * samples
    random.shuffle(turns)
    for known in turns:
        name = random.choice(known_names) if known else f"x{random.getrandbits(48):012x}{known_names[0][13:]}"
        took, answer = ask(connection, path, body_of(name))
        answers.add(answer)
        times[known].append(ask(connection, path, then)[0] if then else took)
    connection.close()
    assert len(answers) == 1, answers
    return abs(statistics.median(times[True]) - statistics.median(times[False])), certainty(times[True], times[False])


def accounts(host, port, number):
    """Fresh ones of the accesspass door, and the end of all their addresses."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    names = [f"u{random.getrandbits(48):012x}" for _ in range(number)]
    for name in names:
        answer = ask(connection, "/register", {"username": name, "email": name + "@example.com", "password": PASSWORD,
                                               "password_confirm": PASSWORD})[1]
        assert answer[0] == 200, answer
    connection.close()
    return names, [name + "@example.com" for name in names]


def questions(names, emails):
    """(what, path, body of a name, the names that are known, share of the samples)"""
    return [
        ("sign-in, busi", "/api/users/signin", lambda name: {"email": name, "password": "wrong horse"}, emails),
        ("sign-in, busi, one account", "/api/users/signin", lambda name: {"email": name, "password": "wrong horse"}, emails[:1]),
        ("sign-in, accesspass", "/login", lambda name: {"username": name, "password": "wrong horse"}, names),
        ("reset", "/reset_password", lambda name: {"username": name}, names),
        ("reset, one account", "/reset_password", lambda name: {"username": name}, names[:1]),
        ("confirm again", "/resend_confirm", lambda name: {"username": name}, names),
        ("forgotten user name", "/forgot_username", lambda name: {"email": name}, emails),
    ]


def measure_all(host, port, samples):
    names, emails = accounts(host, port, 200)
    for what, path, body_of, known in questions(names, emails):
        yield what, *measure(host, port, path, body_of, known, samples)
    yield "what follows a reset", *measure(host, port, "/reset_password", lambda name: {"username": name}, names, samples,
                                           then={"username": "nobody"})


if __name__ == "__main__":
    for what, apart, sure in measure_all("127.0.0.1", int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 2000):
        print(f"{what:30} medians {apart:6.3f} ms apart, told apart {sure:.3f}", flush=True)
