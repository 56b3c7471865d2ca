"""What many ask at once of two workers: one wins, the others are told so, and nothing of before outlives the answer."""
import concurrent.futures, itertools, pathlib, sys, threading, time
import pytest
import accesspass, house, mails

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "wire"))
from client import Client, RpcError  # noqa: E402

RACERS = 64
DOOR, PASSWORD = "accesspass", "correct horse"
BLANK, INVALID, TAKEN = 1, 2, 6  # proto/rules.def


def connect(number):
    keys = house.VAR / "keys"
    return Client(f"tcp://127.0.0.1:{house.port(f'auth-{number % 2 + 1}')}", keys / "gateway.key", keys / "servers/auth-svc.pub")


def call(client, method, body):
    """The reply, or the refusal. Who was turned away because too much is going on tries again."""
    end = time.monotonic() + 60
    while True:
        try:
            return client.call(method, body, timeout_ms=20000)
        except RpcError as error:
            if error.code != "RESOURCE_EXHAUSTED" or time.monotonic() > end:
                return error
            time.sleep(error.retry_after_ms / 1000 or 0.1)


def once(method, body):
    client = connect(0)
    try:
        return call(client, method, body)
    finally:
        client.close()


def race(ask):
    """ask(client, number) for each racer, all let go at the same moment: their outcomes."""
    barrier = threading.Barrier(RACERS)

    def one(number):
        client = connect(number)
        try:
            client.call("rpc.Health")
            barrier.wait(30)
            return ask(client, number)
        finally:
            client.close()

    with concurrent.futures.ThreadPoolExecutor(RACERS) as pool:
        return list(pool.map(one, range(RACERS)))


def winners(outcomes):
    return [number for number, outcome in enumerate(outcomes) if isinstance(outcome, dict)]


def codes(outcomes):
    return {outcome.code for outcome in outcomes if isinstance(outcome, RpcError)}


class Account:
    def __init__(self):
        self.name, self.email = accesspass.new_name(), house.new_email()
        self.token = self.sign_up()[5]

    def sign_up(self):
        return once("auth.SignUp", {1: DOOR, 2: self.email, 3: PASSWORD, 4: self.name, 5: PASSWORD})

    def sign_in(self, password=PASSWORD):
        return once("auth.SignIn", {1: DOOR, 2: self.name, 3: password})

    def reset_id(self, number=1):
        once("auth.StartReset", {1: DOOR, 2: self.name})
        return mails.password_id(self.email, number)


def is_alive(token):
    """One verdict of both workers."""
    verdicts = set()
    for number in (0, 1):
        client = connect(number)
        outcome = call(client, "auth.CheckToken", {1: token})
        client.close()
        assert isinstance(outcome, dict) or outcome.code == "UNAUTHENTICATED", outcome
        verdicts.add(isinstance(outcome, dict))
    assert len(verdicts) == 1, verdicts
    return verdicts.pop()


@pytest.mark.parametrize("shared", ["username", "email", "both"])
def test_r05_one_of_many_sign_ups_wins(shared):
    name, email = accesspass.new_name(), house.new_email()
    cases = [str.lower, str.upper, str.title, str.swapcase]

    def ask(client, number):
        case = cases[number // 2 % 4]
        own_name = name if shared != "email" else f"{name[:30]}-{number}"
        own_email = email if shared != "username" else f"{number}-{email}"
        return call(client, "auth.SignUp", {1: DOOR, 2: case(own_email), 3: PASSWORD, 4: case(own_name), 5: PASSWORD})

    outcomes = race(ask)
    assert len(winners(outcomes)) == 1, outcomes
    fields = {"username": ["username"], "email": ["email"], "both": ["email", "username"]}[shared]
    for outcome in outcomes:
        if isinstance(outcome, RpcError):
            assert outcome.code == "INVALID_ARGUMENT" and outcome.violations == [(field, TAKEN, None) for field in fields], outcome
    kept = house.sql(f"SELECT count(*) FROM auth.users WHERE username_key = '{name}' OR email_key = '{email}'")
    assert kept == "1", kept


def test_r06_one_of_many_confirmations_wins():
    account = Account()
    secret = mails.confirm_id(account.email)
    outcomes = race(lambda client, number: call(client, "auth.ConfirmEmail", {1: DOOR, 2: secret}))
    assert len(winners(outcomes)) == 1 and codes(outcomes) == {"NOT_FOUND"}, outcomes
    assert house.sql(f"SELECT count(*) FROM auth.one_time_secrets JOIN auth.users ON id = user_id WHERE email_key = '{account.email}'") == "0"


def test_r06_confirm_against_resend():
    """Whoever wins, one of the two secrets confirms, once."""
    account = Account()
    first = mails.confirm_id(account.email)
    outcomes = race(lambda client, number: call(client, "auth.SendConfirmation", {1: DOOR, 2: account.name}) if number % 2
                    else call(client, "auth.ConfirmEmail", {1: DOOR, 2: first}))
    won = [number for number in winners(outcomes) if number % 2 == 0]
    assert len(won) <= 1 and codes(outcomes) <= {"NOT_FOUND"}, outcomes
    if not won:
        secret = mails.confirm_id(account.email, len(mails.mails(account.email, "confirm_email")))
        assert isinstance(once("auth.ConfirmEmail", {1: DOOR, 2: secret}), dict)
    assert house.sql(f"SELECT confirmed_at IS NOT NULL FROM auth.users WHERE email_key = '{account.email}'") == "t"


def test_r07_one_of_many_resets_wins():
    account = Account()
    before = [account.token] + [account.sign_in()[5] for _ in range(3)]
    secret = account.reset_id()
    password = lambda number: f"password {number}"
    outcomes = race(lambda client, number: call(client, "auth.FinishReset", {1: DOOR, 2: secret, 3: password(number), 4: password(number)}))
    won = winners(outcomes)
    assert len(won) == 1 and codes(outcomes) == {"NOT_FOUND"}, outcomes
    assert not any(is_alive(token) for token in before)
    assert isinstance(account.sign_in(password(won[0])), dict)
    for number in (*range(0, RACERS, 16), -1):
        if number != won[0]:
            assert account.sign_in(password(number) if number >= 0 else PASSWORD).code == "UNAUTHENTICATED"


def test_r08_one_of_many_changes_wins_and_its_session_alone_lives():
    account = Account()
    tokens = [account.sign_in()[5] for _ in range(RACERS)]
    password = lambda number: f"password {number}"
    outcomes = race(lambda client, number: call(client, "auth.ChangePassword",
                                                {1: tokens[number], 2: PASSWORD, 3: password(number), 4: password(number)}))
    won = winners(outcomes)
    assert len(won) == 1 and codes(outcomes) <= {"INVALID_ARGUMENT", "UNAUTHENTICATED"}, outcomes
    assert [number for number, token in enumerate(tokens) if is_alive(token)] == won
    assert not is_alive(account.token)
    assert isinstance(account.sign_in(password(won[0])), dict)


@pytest.mark.parametrize("end", ["reset", "change", "block", "delete"])
def test_r08_no_session_of_before_outlives_the_answer(end):
    """Sign-ins by the old password all around the end of it, at both workers."""
    account = Account()
    secret = account.reset_id() if end == "reset" else None
    user_id = once("auth.CheckToken", {1: account.token})[1]
    ending = {"reset": ("auth.FinishReset", {1: DOOR, 2: secret, 3: "another password", 4: "another password"}),
              "change": ("auth.ChangePassword", {1: account.token, 2: PASSWORD, 3: "another password", 4: "another password"}),
              "block": ("auth.BlockUser", {1: user_id}), "delete": ("auth.DeleteUser", {1: user_id})}[end]

    def ask(client, number):
        if number == RACERS // 2:
            return call(client, *ending)
        return call(client, "auth.SignIn", {1: DOOR, 2: account.email, 3: PASSWORD})

    outcomes = race(ask)
    assert isinstance(outcomes[RACERS // 2], dict), outcomes[RACERS // 2]
    assert codes(outcomes) <= {"UNAUTHENTICATED"}, outcomes
    opened = [outcome[5] for number, outcome in enumerate(outcomes) if isinstance(outcome, dict) and number != RACERS // 2]
    assert not any(is_alive(token) for token in opened)
    assert is_alive(account.token) == (end == "change")


def test_r08_who_signs_in_while_all_others_are_ended_is_not_told_of_a_wrong_password():
    account = Account()

    def ask(client, number):
        if number % 16 == 0:
            return call(client, "auth.EndOtherSessions", {1: account.token})
        return call(client, "auth.SignIn", {1: DOOR, 2: account.email, 3: PASSWORD})

    outcomes = race(ask)
    assert codes(outcomes) == set(), outcomes
    assert is_alive(account.token)


def test_r11_a_deleted_account_is_not_written_to_any_more():
    account = Account()
    confirmation, secret = mails.confirm_id(account.email), account.reset_id()
    user_id = once("auth.CheckToken", {1: account.token})[1]
    asks = [("auth.DeleteUser", {1: user_id}), ("auth.ConfirmEmail", {1: DOOR, 2: confirmation}),
            ("auth.FinishReset", {1: DOOR, 2: secret, 3: "another password", 4: "another password"}),
            ("auth.ChangePassword", {1: account.token, 2: PASSWORD, 3: "another password", 4: "another password"}),
            ("auth.StartReset", {1: DOOR, 2: account.name}), ("auth.SendConfirmation", {1: DOOR, 2: account.name}),
            ("auth.SignIn", {1: DOOR, 2: account.name, 3: PASSWORD}), ("auth.BlockUser", {1: user_id})]
    outcomes = race(lambda client, number: call(client, *asks[number % len(asks)]))
    assert codes(outcomes) <= {"NOT_FOUND", "UNAUTHENTICATED", "INVALID_ARGUMENT"}, outcomes
    assert sum(outcome[1] for outcome in outcomes[::len(asks)]) == 1  # deleted once
    tokens = [outcome[5] for outcome in outcomes if isinstance(outcome, dict) and 5 in outcome]
    assert not any(is_alive(token) for token in tokens + [account.token])
    time.sleep(1.5)  # for what was asked for to be decided
    for table, column in (("users", "id"), ("one_time_secrets", "user_id")):
        assert house.sql(f"SELECT count(*) FROM auth.{table} WHERE {column} = {user_id}") == "0"
    assert isinstance(account.sign_up(), dict)  # its names are free


def test_r09_many_resets_at_once_leave_one_good_secret():
    account = Account()
    outcomes = race(lambda client, number: call(client, "auth.StartReset", {1: DOOR, 2: account.name if number % 2 else account.email}))
    assert len(winners(outcomes)) == RACERS, outcomes
    mails.wait_for_mail(account.email, "reset_password", RACERS)
    secrets = {mails.link_of(mail)[1] for mail in mails.mails(account.email, "reset_password")}
    assert len(secrets) == RACERS
    finished = [once("auth.FinishReset", {1: DOOR, 2: secret, 3: "another password", 4: "another password"}) for secret in secrets]
    assert len(winners(finished)) == 1 and codes(finished) == {"NOT_FOUND"}, finished


def test_p13_rehash_and_change_of_password():
    """A re-hash at sign-in never undoes a change, whichever is first."""
    account = Account()
    cheap = "$2b$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"  # of U*U
    for turn in itertools.count():
        house.sql(f"UPDATE auth.users SET password_hash = '{cheap}' WHERE username_key = '{account.name}'")
        token = account.sign_in("U*U")[5]
        house.sql(f"UPDATE auth.users SET password_hash = '{cheap}' WHERE username_key = '{account.name}'")
        new = f"password {turn}"
        outcomes = race(lambda client, number: call(client, "auth.ChangePassword", {1: token, 2: "U*U", 3: new, 4: new}) if number == 9
                        else call(client, "auth.SignIn", {1: DOOR, 2: account.name, 3: "U*U"}))
        if isinstance(outcomes[9], dict):
            assert isinstance(account.sign_in(new), dict)
            assert account.sign_in("U*U").code == "UNAUTHENTICATED"
        else:  # a re-hash came between its look and its change
            assert outcomes[9].code == "INVALID_ARGUMENT", outcomes[9]
            assert isinstance(account.sign_in("U*U"), dict)
        if turn == 2:
            break


def test_r03_nothing_of_a_session_is_good_once_its_sign_out_was_answered():
    """63 refresh and check all the while, at both workers, what one signs out."""
    account = Account()
    session, bystander = account.sign_in(), account.sign_in()
    made, late, answered = [session[5]], [], []

    def refresh_and_check(client):
        began = time.monotonic()
        outcomes = [call(client, "auth.RefreshToken", {1: session[8]}), call(client, "auth.CheckToken", {1: made[-1]})]
        if isinstance(outcomes[0], dict):
            made.append(outcomes[0][5])
        if answered and began > answered[0]:
            late.extend(outcomes)

    def ask(client, number):
        if number == RACERS // 2:
            while len(made) < RACERS:
                time.sleep(0.001)
            outcome = call(client, "auth.SignOut", {1: session[5]})
            answered.append(time.monotonic())
            return outcome
        while not answered:
            refresh_and_check(client)
        refresh_and_check(client)

    outcomes = race(ask)
    assert outcomes[RACERS // 2] == {}, outcomes[RACERS // 2]
    assert len(late) >= 2 * (RACERS - 1) and not winners(late) and codes(late) == {"UNAUTHENTICATED"}, late
    assert not any(is_alive(token) for token in made[:: len(made) // 20])
    assert is_alive(bystander[5])


def test_r03_one_of_many_who_end_all_others_remains():
    account = Account()
    tokens = [account.sign_in()[5] for _ in range(RACERS)]
    outcomes = race(lambda client, number: call(client, "auth.EndOtherSessions", {1: tokens[number]}))
    alive = [number for number, token in enumerate(tokens) if is_alive(token)]
    assert len(alive) == 1 and alive == winners(outcomes), outcomes
    assert codes(outcomes) <= {"UNAUTHENTICATED"}, outcomes
    user_id = once("auth.CheckToken", {1: account.sign_in()[5]})[1]
    assert len(once("auth.ListSessions", {1: user_id})[1]) == len(alive) + 1
