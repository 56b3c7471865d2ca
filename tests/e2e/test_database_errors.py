"""D-04: whatever Postgres answers, a client gets a status of a fixed table in the shape of its surface, and not a word of Postgres'."""
import json, time

import pytest

import accesspass, ash, guardian, magic
from house import *

RAW = "raw words of the database"
TRIGGER = f"""
CREATE OR REPLACE FUNCTION public.raise_as() RETURNS trigger LANGUAGE plpgsql AS $$ DECLARE state text := substring(to_jsonb(NEW)::text from 'sqlstate[-.]([0-9A-Za-z]{{5}})');
BEGIN IF state IS NOT NULL THEN RAISE EXCEPTION '{RAW}' USING ERRCODE = upper(state), DETAIL = 'detail of {RAW}', HINT = 'hint of {RAW}', CONSTRAINT = 'told_once', TABLE = 'secret_table'; END IF;
RETURN NEW; END $$;"""
TABLES = ("auth.users", "directory.businesses")


@pytest.fixture(scope="module", autouse=True)
def database_that_says_anything():
    sql(TRIGGER + "".join(f"CREATE TRIGGER raise_as BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION public.raise_as();" for table in TABLES))
    yield
    sql("".join(f"DROP TRIGGER raise_as ON {table};" for table in TABLES) + "DROP FUNCTION public.raise_as()")


# what any surface may answer
CLIENTS, CONFLICT, AGAIN, LATE, OURS = {400, 422}, {400, 409, 422}, {409, 503}, {503, 504}, {500}
STATES = {"22021": CLIENTS, "22P02": CLIENTS, "22001": CLIENTS, "23503": CONFLICT, "23514": CONFLICT, "40001": AGAIN, "40P01": AGAIN, "53300": {503}, "53100": {503},
          "53200": {503}, "57014": LATE, "55P03": LATE, "57P01": {503}, "57P03": {503}, "08006": {503}, "25006": {503}, "58030": {503}, "42601": OURS, "42501": OURS,
          "XX000": OURS, "P0001": OURS}
UNIQUE = {"23505": CONFLICT | OURS}


def expect_no_words(answer):
    shown = answer.raw.decode() + str(answer.headers)
    for word in (RAW, "raw", "SQLSTATE", "told_once", "secret_table", "plpgsql", "raise_as", "ERROR:", "postgres", "constraint"):
        assert word not in shown, answer


@pytest.mark.parametrize("state", [*STATES, *UNIQUE])
def test_d04_businesses(state, token, business):
    for send in (lambda: post_json("/api/businesses", {"business": {**BUSINESS, "name": f"sqlstate-{state}"}}, token),
                 lambda: ask("PUT", f"/api/businesses/{business['id']}", {"business": {**BUSINESS, "name": f"sqlstate-{state}"}}, token)):
        answer = send()
        assert answer.status in (STATES | UNIQUE)[state] and answer.status != 401, answer
        assert answer.json
        expect_no_words(answer)
    assert get(f"/api/businesses/{business['id']}", token).json["data"] == business


@pytest.mark.parametrize("state", [*STATES, *UNIQUE])
def test_d04_accounts(state):
    email = f"sqlstate-{state.lower()}.{time.time_ns()}@example.com"
    refused = ash.register(email)  # whose word for refused is 401
    assert refused.status in (STATES | UNIQUE)[state] | ({401} if state in ("23503", "23514", "23505") else set()), refused
    for sent in (refused, post_json("/api/users/signup", {"user": {"email": email, "password": PASSWORD}}),
                 guardian.register({"email": email, "username": guardian.new_name(), "password": PASSWORD}),
                 post_json("/register", {"username": accesspass.new_name(), "email": email, "password": "secret1", "password_confirm": "secret1"}),
                 magic.register(magic.new_name(), email)):
        assert sent is refused or sent.status in (STATES | UNIQUE)[state], sent
        assert json.loads(sent.raw) and "token" not in sent.raw.decode()
        expect_no_words(sent)
    assert sql(f"SELECT count(*) FROM auth.users WHERE email = '{email}'") == "0"


def test_d04_the_logs_have_the_state_and_none_of_the_words():
    time.sleep(0.3)
    text = "".join(logs().values())
    assert '"sqlstate":"42601"' in text and RAW not in text
