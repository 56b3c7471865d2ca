"""A real Chromium at the pages, and another site that means them ill."""
import base64, http.server, os, pathlib, threading, urllib.parse
from house import HOST, PORT, URL, VAR
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, WebDriverException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

SCREENS = VAR.parent / "screens"
PHONE, DESKTOP = {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True}, {"width": 1280, "height": 800, "deviceScaleFactor": 1, "mobile": False}
ARGUMENTS = ("--headless=new", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync", "--force-color-profile=srgb", "--hide-scrollbars")


class Browser:
    def __init__(self):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ARGUMENTS + (("--no-sandbox",) if os.geteuid() == 0 else ()):
            options.add_argument(argument)
        RemoteConnection.set_timeout(30)  # a browser that has died answers nothing
        self.driver = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        self.driver.set_page_load_timeout(20)
        self.quit = self.driver.quit

    def tell(self, command, **parameters):
        return self.driver.execute_cdp_cmd(command, parameters)

    def forget(self):
        self.tell("Network.clearBrowserCookies")
        self.complaints()
        self.look(DESKTOP)

    def look(self, device=DESKTOP, dark=False, language="en"):
        """How pages are looked at from now on."""
        self.tell("Emulation.setDeviceMetricsOverride", **device)
        self.tell("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])
        self.tell("Emulation.setUserAgentOverride", userAgent=self.driver.execute_script("return navigator.userAgent"), acceptLanguage=language)

    # ---- going about ----
    def go(self, path):
        self.driver.get(path if path.startswith("http") else URL + path)
        return self

    @property
    def path(self):
        at = urllib.parse.urlsplit(self.driver.current_url)
        assert f"{at.scheme}://{at.netloc}" == URL, at
        return at.path + ("?" + at.query if at.query else "")

    @property
    def heading(self):
        return self.driver.find_element(By.TAG_NAME, "h1").text

    @property
    def text(self):
        return self.driver.find_element(By.TAG_NAME, "body").text

    def fill(self, **fields):
        for name, value in fields.items():
            field = self.driver.find_element(By.ID, name)
            field.clear()
            field.send_keys(value)
        return self

    def press(self, name=None):
        """The button or link of this name, or the first button; returns when the page it leads to is there."""
        before = self.driver.find_element(By.TAG_NAME, "html")
        there = self.driver.find_elements(By.TAG_NAME, "button") + self.driver.find_elements(By.TAG_NAME, "a")
        found = [at for at in there if name in (None, at.text)]
        if not found:
            raise NoSuchElementException(f"no '{name}' on: {self.text}")
        found[0].click()
        wait = WebDriverWait(self.driver, 15, poll_frequency=0.05, ignored_exceptions=[WebDriverException])
        wait.until(lambda driver: driver.find_element(By.TAG_NAME, "html") != before and driver.execute_script("return document.readyState") == "complete")
        return self

    def cookie(self):
        """The session's, as the browser keeps it; None without."""
        return next((cookie for cookie in self.tell("Network.getAllCookies")["cookies"] if cookie["name"] == "busi_session"), None)

    def keep_screen(self, name):
        """The whole page as it is looked at."""
        SCREENS.mkdir(parents=True, exist_ok=True)
        shot = self.tell("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        (SCREENS / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def complaints(self):
        """What the console holds against a page: a style that its policy refuses, for instance."""
        return [entry["message"] for entry in self.driver.get_log("browser") if "Failed to load resource" not in entry["message"]]


class Stranger:
    """A site at another origin, with whatever pages the tests give it."""

    def __init__(self):
        pages = self.pages = {}

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path)
                self.send_response(200 if page else 404)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write((page or "").encode())

            def log_message(self, *arguments):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def put(self, path, page, host="localhost"):
        """Its address. localhost is another site than 127.0.0.1, where the pages are; 127.0.0.1 another origin of the same."""
        self.pages[path] = page
        return f"http://{host}:{self.server.server_port}{path}"

    def form(self, path, action, **fields):
        inputs = "".join(f'<input name="{name.replace("__", "[")}{"]" if "__" in name else ""}" value="{value}">' for name, value in fields.items())
        return f'<form method="post" action="{URL}{action}">{inputs}<button>Win</button></form>'

    def close(self):
        self.server.shutdown()
        self.server.server_close()
