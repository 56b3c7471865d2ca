"""Sixty-four at once, on two replicas of auth-svc: one wins, and what was ended stays so."""
import threading, time
import pytest
from accesspass import *
from mails import *

AT_ONCE = 64


def at_once(*asks):
    """What each of these functions answered; they begin together."""
    barrier, answers = threading.Barrier(len(asks)), [None] * len(asks)

    def run(i):
        barrier.wait(30)
        answers[i] = asks[i]()
    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(asks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert all(answer is not None for answer in answers)
    return answers


def expect_one_winner(answers, lost):
    """One 200; all others were told the same, or that there was no room for them just then."""
    won = [i for i, answer in enumerate(answers) if answer.status == 200]
    assert len(won) == 1, [answer.status for answer in answers]
    for i, answer in enumerate(answers):
        if i not in won and not (answer.status == 503 and int(answer.headers["retry-after"]) > 0):
            expect_error(answer, lost)
    return won[0]


def test_confirming_one_address():
    ann = Account()
    secret = confirm_id(ann.email)
    answers = at_once(*[lambda: confirm(secret)] * AT_ONCE)
    record = expect_record(answers[expect_one_winner(answers, "email confirmation failed")])
    assert who(record["access_token"])["email_confirmed"] is True


def test_confirming_while_another_is_sent():
    ann = Account()
    secret = confirm_id(ann.email)
    answers = at_once(*[lambda: confirm(secret)] * 8, *[lambda: post_json("/resend_confirm", {"username": ann.name})] * 8)
    won = [answer for answer in answers[:8] if answer.status == 200]
    assert len(won) <= 1 and all(answer.status == 200 for answer in answers[8:])
    end = time.monotonic() + 15
    while not won and time.monotonic() < end:  # a newer one had come first: that is the one that is good
        won = [mail for mail in mails(ann.email, "confirm_email") if confirm(link_of(mail)[1]).status == 200]
    assert len(won) == 1
    assert who(ann.log_in()["access_token"])["email_confirmed"] is True


def test_changing_one_password():
    ann = Account()
    post_json("/reset_password", {"username": ann.name})
    secret = password_id(ann.email)
    answers = at_once(*[lambda i=i: change_password(secret, f"secret-{i}") for i in range(AT_ONCE)])
    winner = expect_one_winner(answers, "reset for account does not exist")
    ann.log_in(f"secret-{winner}")
    for i in range(AT_ONCE)[:4]:
        assert i == winner or log_in(ann.name, f"secret-{i}").status == 400
    assert not is_good(ann.access)


def test_registering_one_name():
    name = new_name()
    answers = at_once(*[lambda i=i: post_json("/register", registration(Nobody()) | {"username": name.upper() if i % 2 else name})
                        for i in range(AT_ONCE)])
    winner = expect_one_winner(answers, {"username": ["has already been taken"]})
    assert who(answers[winner].json["ok"]["access_token"])["username"].lower() == name


def test_registering_one_address():
    email = new_email()
    answers = at_once(*[lambda i=i: post_json("/register", registration(Nobody()) | {"email": email.upper() if i % 2 else email})
                        for i in range(AT_ONCE)])
    expect_one_winner(answers, {"email": ["has already been taken"]})
    time.sleep(1)
    assert len(mails(email, "confirm_email") + mails(email.upper(), "confirm_email")) == 1


def repeat_until(stop, ask, taken):
    while not stop.is_set():
        taken.append(ask())


@pytest.mark.parametrize("round", range(4))
def test_refreshing_while_logging_out(round):
    """No token is accepted once the logout was answered, nor one that was being made meanwhile."""
    ann = Account()
    stop, taken = threading.Event(), []
    threads = [threading.Thread(target=repeat_until, args=(stop, lambda: refresh(ann.refresh), taken)) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    time.sleep(0.1 + round * 0.05)
    expect_ok(log_out(ann.access), "logged out")
    before = list(taken)
    assert not any(is_good(answer.json["ok"]) for answer in before[-50:] if answer.status == 200)
    assert refresh(ann.refresh).status == 400
    stop.set()
    for thread in threads:
        thread.join(60)
    good = [answer.json["ok"] for answer in taken if answer.status == 200]
    assert good and {answer.status for answer in taken} <= {200, 400}
    assert not any(is_good(token) for token in good[-100:])


def test_checking_while_logging_out():
    """A check that began after the logout was answered never says yes, whichever replica it meets."""
    ann = Account()
    stop, taken = threading.Event(), []

    def ask():
        began = time.monotonic()
        return began, check(ann.access).status
    threads = [threading.Thread(target=repeat_until, args=(stop, ask, taken)) for _ in range(32)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    expect_ok(log_out(ann.access), "logged out")
    ended = time.monotonic()
    time.sleep(0.5)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert any(status == 200 for _, status in taken)
    assert [status for began, status in taken if began > ended and status != 401] == []


def test_logging_in_while_the_password_changes():
    """Whoever came in with the old password is out once the change was answered."""
    ann = Account()
    post_json("/reset_password", {"username": ann.name})
    secret = password_id(ann.email)
    stop, taken = threading.Event(), []
    threads = [threading.Thread(target=repeat_until, args=(stop, lambda: log_in(ann.name, "secret1"), taken)) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2)
    expect_ok(change_password(secret, "secret2"), "password changed")
    stop.set()
    for thread in threads:
        thread.join(60)
    old = [answer.json["ok"] for answer in taken if answer.status == 200]
    assert old
    for record in old:
        assert not is_good(record["access_token"]) and refresh(record["refresh_token"]).status == 400
    ann.log_in("secret2")


def test_logging_out_of_one_session_many_times():
    ann = Account()
    other = ann.log_in()
    for answer in at_once(*[lambda: log_out(ann.access)] * AT_ONCE):
        expect_ok(answer, "logged out")
    assert not is_good(ann.access) and is_good(other["access_token"])
