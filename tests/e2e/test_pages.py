"""The pages that mails link to: what a person sees, and that opening one changes nothing."""
import base64, hashlib, html, re
import pytest
from accesspass import *
from mails import *

SAME_SITE = {"sec-fetch-site": "same-origin"}


def opened(path, language="en", **headers):
    return expect_page(get(path, headers={"accept-language": language, "accept": "text/html,*/*;q=0.8"} | headers), 200)


def pressed(path, body="", **headers):
    return post_form(path, body, headers={"accept-language": "en"} | SAME_SITE | headers)


def heading(answer):
    return html.unescape(re.search("<h1>(.*)</h1>", answer.raw.decode()).group(1))


def expect_page(answer, status, title=None):
    expect_status(answer, status)
    headers, text = answer.headers, answer.raw.decode()
    assert headers["content-type"] == "text/html; charset=utf-8", answer
    assert headers["cache-control"] == "no-store" and headers["referrer-policy"] == "strict-origin" and headers["x-robots-tag"] == "noindex", answer
    assert headers["cross-origin-opener-policy"] == "same-origin" and headers["x-content-type-options"] == "nosniff" and headers["x-frame-options"] == "DENY", answer
    style = base64.b64encode(hashlib.sha256(re.search("<style>(.*)</style>", text, re.S).group(1).encode()).digest()).decode()
    assert headers["content-security-policy"] == (f"default-src 'none'; style-src 'sha256-{style}'; form-action 'self'; "
                                                  "frame-ancestors 'none'; base-uri 'none'"), answer
    assert "<script" not in text and "{{" not in text and "http" not in text, text
    assert title is None or heading(answer) == title, answer
    return answer


@pytest.fixture(scope="module")
def bob():
    return Account()


# ---- confirmation ----
def test_the_link_of_a_mail_confirms_by_its_button():
    ann = Account()
    path, secret = link_of(wait_for_mail(ann.email, "confirm_email"))
    for _ in range(3):
        page = opened(path)
        expect_status(ask("HEAD", path), 200)
    assert heading(page) == "Confirm your address" and '<form method="post">' in page.raw.decode() and secret not in page.raw.decode()
    assert who(ann.log_in()["access_token"])["email_confirmed"] is False
    expect_page(pressed(path), 200, "Address confirmed")
    assert who(ann.log_in()["access_token"])["email_confirmed"] is True
    expect_page(pressed(path), 400, "This link does not work any more")
    expect_error(confirm(secret), "email confirmation failed")


def test_a_page_leaves_no_session_behind():
    ann = Account()
    user = sql(f"SELECT id FROM auth.users WHERE email = '{ann.email}'")
    with worker("auth") as auth:
        sessions = lambda: auth.call("auth.ListSessions", {1: int(user)})[1]
        before = sessions()
        expect_page(pressed(link_of(wait_for_mail(ann.email, "confirm_email"))[0]), 200, "Address confirmed")
        assert sessions() == before
    assert is_good(ann.access)


@pytest.mark.parametrize("secret", ["x", "x" * 48, "%3Cscript%3Ealert(1)%3C%2Fscript%3E"[:26], "<script>", "'--", "{{title}}"])
def test_secrets_that_are_none(secret):
    for path in (f"/confirm/{secret}", f"/password-reset/{secret}"):
        if get(path).status == 400:
            continue  # no target of HTTP
        assert "script>" not in opened(path).raw.decode()
        answer = pressed(path, "new_password=secret2&password_confirm=secret2")
        expect_page(answer, 400, "This link does not work any more")


# ---- a new password ----
def test_the_link_of_a_mail_sets_a_password_by_its_form():
    ann = Account()
    post_json("/reset_password", {"username": ann.name})
    path, secret = link_of(wait_for_mail(ann.email, "reset_password"))
    for _ in range(3):
        page = opened(path)
    assert heading(page) == "Choose a new password" and secret not in page.raw.decode()
    assert is_good(ann.access)

    def refused(body, fault):
        answer = expect_page(pressed(path, body), 400, "Choose a new password")
        assert f'<p class="fault" id="{fault[0]}">{fault[1]}</p>' in answer.raw.decode() and 'aria-invalid="true"' in answer.raw.decode(), answer
    refused("new_password=12345&password_confirm=12345", ("new-fault", "Please use at least 6 characters."))
    refused("new_password=&password_confirm=", ("new-fault", "Please fill this in."))
    refused("new_password=secret2&password_confirm=secret3", ("again-fault", "The two are not the same."))
    refused("new_password[]=secret2&password_confirm=secret2", ("new-fault", "This cannot be your password."))
    expect_page(pressed(path, "new_password=secret+%C3%A9&password_confirm=secret+%C3%A9"), 200, "Password changed")
    ann.log_in("secret é")
    assert not is_good(ann.access)
    expect_page(pressed(path, "new_password=secret3&password_confirm=secret3"), 400, "This link does not work any more")


def test_no_password_is_shown_again(bob):
    post_json("/reset_password", {"username": bob.name})
    path = link_of(wait_for_mail(bob.email, "reset_password"))[0]
    assert "Geheim-77" not in pressed(path, "new_password=Geheim-77&password_confirm=Geheim-78").raw.decode()


# ---- who may press ----
@pytest.mark.parametrize("headers", [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"},
                                     {"origin": f"http://{HOST}:1"}, {"origin": "null"}, {"origin": f"http://{HOST}:{PORT}.evil.example"},
                                     {"sec-fetch-site": "cross-site", "origin": f"http://{HOST}:{PORT}"}])
def test_a_form_of_another_site_changes_nothing(headers):
    ann = Account()
    path = link_of(wait_for_mail(ann.email, "confirm_email"))[0]
    expect_page(post_form(path, "", headers=headers), 403, "This did not come from our page")
    expect_page(post_form("/password-reset/x", "new_password=secret2&password_confirm=secret2", headers=headers), 403)
    assert who(ann.log_in()["access_token"])["email_confirmed"] is False
    expect_page(pressed(path), 200, "Address confirmed")


@pytest.mark.parametrize("headers", [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "same-origin", "origin": "null"},
                                     {"origin": f"http://{HOST}:{PORT}"}, {"origin": f"https://{HOST}:{PORT}"}])
def test_a_form_of_ours_is_taken(headers):
    expect_page(post_form("/confirm/x", "", headers=headers), 400, "This link does not work any more")


# ---- languages and errors ----
@pytest.mark.parametrize("language, title", [("de", "E-Mail-Adresse bestätigen"), ("de-AT,en;q=0.1", "E-Mail-Adresse bestätigen"),
                                             ("fr,de;q=0.2", "E-Mail-Adresse bestätigen"), ("en,de", "Confirm your address"),
                                             ("xx", "Confirm your address"), ("*", "Confirm your address"),
                                             ("\"><script>", "Confirm your address")])
def test_pages_speak_the_clients_language(language, title):
    page = opened("/confirm/x", language)
    assert heading(page) == title
    assert page.headers["content-language"] == ("de" if title.startswith("E") else "en") and f'lang="{page.headers["content-language"]}"' in page.raw.decode()


def test_errors_are_pages_too():
    expect_page(ask("PUT", "/confirm/x"), 405, "That did not work")
    assert ask("PUT", "/confirm/x").headers["allow"] == "GET, HEAD, POST"
    expect_page(get("/confirm/x", headers={"accept": "application/json"}), 406)
    expect_page(pressed("/confirm/x", "a" * 65537), 413)
    expect_page(pressed("/password-reset/x", "new_password=%ff"), 415)
    expect_page(post_json("/password-reset/x", [1]), 400, "This link does not work any more")


@pytest.mark.parametrize("path", ["/confirm/x/", "/confirm/", "/confirm//x", "/password-reset", "/password_reset/x", "/confirm/x/y"])
def test_paths_are_exact(path):
    assert get(path).status in (404, 405)


def test_no_secret_is_logged():
    ann = Account()
    path, secret = link_of(wait_for_mail(ann.email, "confirm_email"))
    opened(path)
    pressed(path)
    assert all(secret not in log for log in logs().values())
    assert '"route":"POST /confirm/:secret"' in logs()["gateway.log"]


def test_pages_go_with_the_surfaces(tmp_path):
    with another_gateway(tmp_path, surface_accesspass="off") as at:
        expect_status(get("/confirm/x", at=at), 200)
    with another_gateway(tmp_path, surface_accesspass="off", surface_ash="off") as at:
        for path in ("/confirm/x", "/password-reset/x", "/check"):
            expect_detail(get(path, at=at), 404, "Not Found")
