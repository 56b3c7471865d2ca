"""What a request leaves behind: log lines and metrics, and nothing that is nobody's business."""
import json, re, time
from house import *


def eventually(true):
    """Logs are written by a thread of their own."""
    end = time.monotonic() + 3
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    assert true()


def lines_about(request_id):
    found = []
    for name, text in logs().items():
        found += [(name, json.loads(line)) for line in text.splitlines() if request_id in line]
    return found


def test_one_request_id_through_all_processes(business):
    """With a token the gateway does not know yet: of others it need not ask."""
    answer = get(f"/api/businesses/{business['id']}", sign_up(), headers={"x-request-id": "e2e.trace-%d" % time.time_ns()})
    request_id = answer.headers["x-request-id"]
    assert request_id.startswith("e2e.trace-")
    eventually(lambda: {"gateway", "auth", "directory"} <= {name.split("-")[0].split(".")[0] for name, _ in lines_about(request_id)})
    line = next(line for name, line in lines_about(request_id) if name == "gateway.log" and line["event"] == "request")
    assert (line["method"], line["route"], line["status"]) == ("GET", "GET /api/businesses/:id", 200) and line["duration_us"] > 0


def test_no_secret_in_any_log():
    email, password = new_email(), "a password of the trace tests"
    token = sign_up(email, password)
    sign_in(email, password)
    post_json("/api/users/signin", {"email": email, "password": "another password of the trace tests"})
    get("/api/businesses?limit=1&access_token=" + token)
    get("/api/businesses?limit=1&word=query-of-the-trace-tests", token)
    get("/path-of-the-trace-tests/" + token)
    ask("POST", "/api/users/signup", b'{"user":{"password":"broken-json-of-the-trace-tests"')
    last = get("/api/businesses?limit=1", token).headers["x-request-id"]
    eventually(lambda: lines_about(last))
    for name, text in logs().items():
        assert "of the trace tests" not in text and "of-the-trace-tests" not in text, name
        assert token not in text and token.split(".")[2] not in text and "limit=1" not in text, name


def count(name, route):
    pattern = rf'^{name}\{{.*route="{re.escape(route)}".*\}} (\d+)$'
    return sum(int(n) for n in re.findall(pattern, metrics("gateway"), re.M))


def test_every_route_counts_its_requests(token):
    name = "busi_http_request_duration_seconds_count"
    for route, send in (("GET /api/businesses", lambda: get("/api/businesses?limit=1", token)), ("GET /", lambda: get("/")),
                        ("GET /", lambda: ask("HEAD", "/")), ("POST /api/users/signin", lambda: post_json("/api/users/signin", {})),
                        ("none", lambda: get("/nowhere"))):
        before = count(name, route)
        send()
        eventually(lambda: count(name, route) == before + 1)
