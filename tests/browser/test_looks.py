"""How the pages look: a screenshot of each on a phone and a desktop, by day and by night, in both languages, kept in tests/var/screens.
What a machine can see of it is checked: nothing wider than the screen, nothing too small for a thumb, enough contrast, no complaint of the
browser's own."""
import pytest
from chromium import *
from house import *
from mails import *
from test_journeys import LONG, mailed, register, sign_out

LOOKS = {"phone": (PHONE, False, "en"), "phone-night-de": (PHONE, True, "de"), "desktop-de": (DESKTOP, False, "de"), "desktop-night": (DESKTOP, True, "en")}
PAGES = {"sign-in": "/sign-in", "register": "/register", "reset": "/reset", "magic-link": "/magic-link", "mail-sent": "/mail-sent", "confirm": "/confirm/x",
         "new-password": "/password-reset/x", "magic-button": "/magic-link/x", "error": "/sign-in?return_to=//evil.example", "signed-out": "/sign-out"}

MEASURE = """
const rgb = text => (text.match(/[\\d.]+/g) || [0, 0, 0]).map(Number);
const light = ([r, g, b]) => [r, g, b].map(c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
                                      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const behind = at => { for (; at; at = at.parentElement) { const c = rgb(getComputedStyle(at).backgroundColor); if (c.length < 4 || c[3] > 0) return c; }
                       return [255, 255, 255]; };
const faint = [], small = [];
for (const at of document.querySelectorAll('h1, h2, p, label, a, button, input, strong, small, span')) {
    const box = at.getBoundingClientRect();
    if (!box.width) continue;
    const [a, b] = [light(rgb(getComputedStyle(at).color)), light(behind(at))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) faint.push([at.outerHTML.slice(0, 80), contrast]);
    if (/^(A|BUTTON|INPUT)$/.test(at.tagName) && box.height < 40) small.push([at.outerHTML.slice(0, 80), box.height]);
    if (at.tagName === 'INPUT' && !at.hidden && at.type !== 'hidden' && !(at.labels && at.labels.length)) small.push([at.outerHTML, 'no label']);
}
return {wide: document.documentElement.scrollWidth - innerWidth, faint, small, lang: document.documentElement.lang, title: document.title};
"""


def expect_fine(browser, name):
    seen = browser.driver.execute_script(MEASURE)
    assert seen["wide"] <= 0 and seen["faint"] == [] and seen["small"] == [] and seen["title"], (name, seen)
    return seen


@pytest.mark.parametrize("look", LOOKS)
def test_every_page(browser, look):
    device, dark, language = LOOKS[look]
    browser.look(device, dark, language)
    for name, path in PAGES.items():
        browser.go(path)
        assert expect_fine(browser, name)["lang"] == language
        browser.keep_screen(f"{name}-{look}")
    assert browser.complaints() == []


def test_pages_with_something_to_say(browser):
    """Faults, notices and the account's own page."""
    email = register(browser, "somebody-with-much-to-say." + new_email())
    for _ in range(2):
        post_json("/api/users/signin", {"email": email, "password": LONG})
    for look, (device, dark, language) in LOOKS.items():
        browser.look(device, dark, language)
        browser.go("/account")
        expect_fine(browser, "account")
        browser.keep_screen(f"account-{look}")
        browser.go("/account?done=password")
        expect_fine(browser, "account")
        browser.keep_screen(f"account-notice-{look}")
        browser.go("/register").fill(email=email, password="short", again="other").press()
        expect_fine(browser, "register")
        browser.keep_screen(f"register-faults-{look}")
        browser.go("/sign-in").fill(email=email, password="wrong").press()
        expect_fine(browser, "sign-in")
        browser.keep_screen(f"sign-in-wrong-{look}")


def test_a_look_of_ones_own(browser, tmp_path):
    theme = tmp_path / "theme"
    theme.mkdir()
    (theme / "style.css").write_text(":root { --main: #0b7a4b; --over: #086039; --round: 2px }\r\n")
    (theme / "logo.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 40" width="120" height="40">'
                                    '<script>parent.document.title = "pwned"</script><rect width="40" height="40" fill="#0b7a4b"/></svg>')
    with another_gateway(tmp_path, pages_theme=theme, pages_name="Ann & Co") as at:
        browser.go(f"http://{HOST}:{at}/sign-in")
        button = browser.driver.find_element(By.TAG_NAME, "button")
        assert button.value_of_css_property("background-color") == "rgba(11, 122, 75, 1)"
        logo = browser.driver.find_element(By.CSS_SELECTOR, ".brand img")
        assert logo.get_attribute("alt") == "Ann & Co" and logo.get_property("naturalWidth") == 120
        assert browser.driver.title == "Sign in - Ann & Co" and browser.complaints() == []
        browser.keep_screen("own-look")
