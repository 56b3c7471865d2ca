"""Paths and queries that try to be read in two ways."""
import pytest
from house import *


@pytest.mark.parametrize("path", ["/api/businesses/1%00", "/api/businesses%00", "/%00", "/api/%2e%2e/businesses", "/api/../api/businesses", "/./api",
                                  "/api/businesses/.", "/api/businesses/..", "/api%2fbusinesses", "/api%5cbusinesses", "/api\\businesses",
                                  "/api/businesses/%252e%252e", "/api/businesses/%zz", "/api/businesses/%1", "/api/businesses/%", "/api/businesses#x",
                                  "/api/businesses?a=%00", "/api/businesses?a=%zz", "/api/businesses?a=%", "/api/businesses?a=%ff"])
def test_targets_that_are_refused(token, path):
    expect_detail(get(path, token), 400, "Bad Request")


@pytest.mark.parametrize("query", ["%00", "%zz", "\\", "#x"])
@pytest.mark.parametrize("path, body", [("/check", {"error": "bad request"}), ("/auth/user/confirm", {"error": "Bad Request"}),
                                        ("/magic/system/auth/endpoints", {"message": "Bad Request"}), ("/api/users/1", {"errors": {"detail": "Bad Request"}})])
def test_a_query_that_is_refused_is_so_in_the_shape_of_its_path(path, body, query):
    expect_json(get(f"{path}?a={query}"), 400, body)


@pytest.mark.parametrize("path", ["/API/Users", "/api/businesses;v=1", "/api/users/signup/x", "/api/%62usinesses", "/-", "/favicon.ico", "/socket"])
def test_targets_that_lead_nowhere(token, path):
    expect_detail(get(path, token), 404, "Not Found")


def test_a_long_query(token):
    many = "&".join(f"a{i}=1" for i in range(200))
    assert get(f"/api/businesses?limit=1&{many}", token).status in (200, 400, 414)
    assert get(f"/api/businesses?limit=1&a={'x' * 10000}", token).status in (400, 414, 431)


def test_a_query_member_twice(token):
    answer = get("/api/businesses?limit=1&limit=2", token)
    assert answer.status == 400 or len(answer.json["data"]) in (1, 2)
