"""What people do on the pages, in a real Chromium."""
import re, time
import pytest
from chromium import *
from house import *
from mails import *

LONG = "correct horse"


def mailed(to, kind, number=1):
    """Path of the link in a mail."""
    return re.search(r"^http://[^/]+(/(?:confirm|password-reset|magic-link)/\S+)\r?$", text_of(wait_for_mail(to, kind, number)), re.M).group(1)


def register(browser, email, password=LONG):
    browser.go("/register").fill(email=email, password=password, again=password).press("Create account")
    assert browser.path == "/account" and email in browser.text, browser.text
    return email


def sign_in(browser, email, password=LONG):
    return browser.go("/sign-in").fill(email=email, password=password).press("Sign in")


def sign_out(browser):
    browser.press("Sign out")
    assert browser.heading == "Signed out" and browser.cookie() is None


def account(browser):
    """Of a new person, who is signed out."""
    email = register(browser, new_email())
    sign_out(browser)
    return email


# ---- the whole way ----
def test_register_mail_confirm_sign_in_sign_out(browser):
    email = register(browser, new_email())
    first = browser.cookie()
    assert first["httpOnly"] and first["sameSite"] == "Lax" and first["path"] == "/" and not first["secure"] and first["expires"] > time.time() + 13 * 86400
    assert "not confirmed yet" in browser.text
    browser.go(mailed(email, "confirm_email"))
    assert browser.heading == "Confirm your address"
    browser.press("Confirm address")
    assert browser.heading == "Address confirmed" and browser.cookie()["value"] == first["value"]
    sign_out(browser.go("/account"))
    sign_in(browser, email)
    assert browser.path == "/account" and "not confirmed yet" not in browser.text
    assert browser.cookie()["value"] != first["value"]
    sign_out(browser)
    browser.go("/account")
    assert browser.path.startswith("/sign-in?return_to=%2Faccount") or browser.path.startswith("/sign-in?return_to=/account")
    browser.fill(email=email, password=LONG).press("Sign in")
    assert browser.path == "/account"
    assert browser.complaints() == []


def test_who_confirms_in_another_browser_is_signed_in_there(browser):
    email = account(browser)
    browser.forget()
    browser.go(mailed(email, "confirm_email")).press("Confirm address")
    assert browser.path == "/account?done=confirmed" and email in browser.text and "Address confirmed" in browser.text


def test_a_wrong_password(browser):
    email = account(browser)
    sign_in(browser, email, "wrong horse battery")
    assert browser.heading == "Sign in" and "E-mail address or password is wrong." in browser.text and browser.cookie() is None
    field = lambda name: browser.driver.find_element(By.ID, name).get_attribute("value")
    assert field("email") == email and field("password") == ""
    browser.fill(password=LONG).press("Sign in")
    assert browser.path == "/account"


def test_a_form_with_faults_is_shown_again(browser):
    email = account(browser)
    browser.go("/register").fill(email=email, password="short", again="other").press("Create account")
    fault = lambda name: browser.driver.find_element(By.ID, f"{name}-fault").text
    assert fault("password") == "Please use at least 8 characters." and browser.driver.find_element(By.ID, "email").get_attribute("value") == email
    assert browser.driver.find_element(By.ID, "password").get_attribute("aria-describedby") == "password-fault"
    browser.fill(password=LONG, again=LONG).press("Create account")
    assert fault("email") == "There is an account with this address already."


def test_a_new_password_by_mail(browser):
    email = account(browser)
    browser.go("/sign-in").press("Forgot your password?").fill(email=email).press("Send the link")
    assert browser.path == "/mail-sent" and browser.heading == "Look into your mail"
    browser.go(mailed(email, "reset_password")).fill(new="another horse", again="another horse").press("Set password")
    assert browser.heading == "Password changed"
    browser.press("Sign in").fill(email=email, password=LONG).press("Sign in")
    assert "is wrong" in browser.text
    browser.fill(password="another horse").press("Sign in")
    assert browser.path == "/account"


def test_a_link_that_signs_in(browser):
    email = account(browser)
    browser.go("/sign-in").press("Sign in without a password").fill(email=email).press("Send the link")
    assert browser.path == "/mail-sent"
    link = mailed(email, "magic_link")
    browser.go(link).press("Sign in")
    assert browser.path == "/account" and email in browser.text
    sign_out(browser)
    browser.go(link).press("Sign in")
    assert browser.heading == "This link does not work any more" and browser.cookie() is None


def test_the_password_is_changed_and_other_sessions_end(browser):
    email = account(browser)
    elsewhere = sign_in_api(email)
    sign_in(browser, email)
    assert len(browser.driver.find_elements(By.CSS_SELECTOR, ".sessions li")) == 2 and "This browser" in browser.text
    browser.fill(old="not this one", new="another horse", again="another horse").press("Change password")
    assert "This is not your password." in browser.text
    browser.fill(old=LONG, new="another horse", again="another horse").press("Change password")
    assert "Your password is changed." in browser.text and len(browser.driver.find_elements(By.CSS_SELECTOR, ".sessions li")) == 1
    expect_invalid_token(get("/api/businesses", elsewhere))


def sign_in_api(email):
    return expect_status(post_json("/api/users/signin", {"email": email, "password": LONG}), 201).json["token"]


def test_one_session_is_ended(browser):
    email = account(browser)
    one, two = sign_in_api(email), sign_in_api(email)
    sign_in(browser, email).press("End")
    alive = [get("/api/businesses?limit=1", token).status for token in (one, two)]
    assert sorted(alive) == [200, 401] and "That session has ended." in browser.text
    browser.press("Sign out everywhere else")
    assert get("/api/businesses", one).status == get("/api/businesses", two).status == 401 and browser.go("/account").path == "/account"


# ---- scanners, strangers ----
def test_a_scanner_uses_nothing_up(browser):
    email = account(browser)
    browser.go("/magic-link").fill(email=email).press("Send the link")
    browser.go("/reset").fill(email=email).press("Send the link")
    links = [mailed(email, kind) for kind in ("confirm_email", "magic_link", "reset_password")]
    for link in links:
        for _ in range(20):
            expect_status(get(link, headers={"accept": "text/html"}), 200)
        for _ in range(5):
            expect_status(ask("HEAD", link), 200)
    browser.go(links[0]).press("Confirm address")
    assert browser.path == "/account?done=confirmed"
    browser.go(links[1]).press("Sign in")
    assert browser.path == "/account"
    browser.go(links[2]).fill(new="another horse", again="another horse").press("Set password")
    assert browser.heading == "Password changed"


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1"])
def test_a_form_of_another_site_is_refused(browser, stranger, host):
    mallory, ann = account(browser), register(browser, new_email())
    cookie = browser.cookie()["value"]
    for action, fields in (("/auth/user/password/sign_in", {"user__email": mallory, "user__password": LONG}),
                           ("/auth/user/password/register", {"user__email": new_email(), "user__password": LONG, "user__password_confirmation": LONG}),
                           ("/auth/user/magic_link/request", {"user__email": ann}), ("/auth/user/password/reset_request", {"user__email": ann}),
                           ("/account/password", {"password": LONG, "new_password": "mallorys horse", "password_confirm": "mallorys horse"}),
                           ("/account/sessions", {"others": "yes"}), ("/account/sign-out", {})):
        browser.go(stranger.put("/win", stranger.form("/win", action, **fields), host)).press("Win")
        assert browser.heading == "This did not come from our page", (action, browser.text)
        assert browser.cookie()["value"] == cookie
    assert ann in browser.go("/account").text and mails(ann, "magic_link") == mails(ann, "reset_password") == []


def test_a_link_of_another_site_signs_nobody_out(browser, stranger):
    email = register(browser, new_email())
    browser.go(stranger.put("/out", f'<a href="{URL}/sign-out">Win</a>')).press("Win")
    assert browser.heading == "Sign out?" and browser.cookie()
    assert email in browser.go("/account").text
    browser.go(stranger.put("/out", f'<a href="{URL}/sign-out">Win</a>')).press("Win").press("Sign out")
    assert browser.heading == "Signed out" and browser.cookie() is None
    register(browser, new_email())
    assert browser.go("/sign-out").heading == "Signed out" and browser.cookie() is None


def test_no_site_frames_a_page(browser, stranger):
    browser.go(stranger.put("/frame", f'<h1>Frame</h1><iframe src="{URL}/sign-in"></iframe>'))
    browser.driver.switch_to.frame(0)
    assert browser.driver.find_elements(By.ID, "email") == []
    browser.driver.switch_to.default_content()


def test_who_opens_a_page_keeps_no_hand_on_it(browser, stranger):
    browser.go(stranger.put("/open", f"<h1>Open</h1><script>shown = open('{URL}/sign-in')</script>"))
    own = browser.driver.current_window_handle
    WebDriverWait(browser.driver, 10).until(lambda driver: len(driver.window_handles) == 2 and driver.execute_script("return shown.closed"))
    for handle in browser.driver.window_handles:
        if handle != own:
            browser.driver.switch_to.window(handle)
            assert browser.driver.execute_script("return opener") is None
            browser.driver.close()
    browser.driver.switch_to.window(own)


def test_what_is_typed_stays_text(browser):
    browser.go("/sign-in")
    browser.driver.execute_script("document.getElementById('email').type = 'text'")
    browser.fill(email='"><script>document.title="pwned"</script><img src=x onerror=alert(1)>', password="x").press("Sign in")
    assert browser.driver.title == "Sign in" and browser.driver.find_elements(By.TAG_NAME, "script") == []
    assert browser.driver.find_elements(By.TAG_NAME, "img") == [] and "<script>" in browser.driver.find_element(By.ID, "email").get_attribute("value")


def test_return_to_leads_back_and_nowhere_else(browser):
    email = account(browser)
    browser.go("/sign-in?return_to=/api/businesses%3Flimit%3D1").fill(email=email, password="wrong horse").press("Sign in")
    browser.fill(password=LONG).press("Sign in")
    assert browser.driver.current_url == URL + "/api/businesses?limit=1"
    for target in ("//evil.example", "https://evil.example", "/%5Cevil.example", "https:evil.example"):
        browser.go("/sign-in?return_to=" + target)
        assert browser.heading == "That did not work", target
