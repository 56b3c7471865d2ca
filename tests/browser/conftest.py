import pathlib, sys
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from chromium import Browser, Stranger


@pytest.fixture(scope="session")
def chromium():
    browser = Browser()
    yield browser
    browser.quit()


@pytest.fixture
def browser(chromium):
    """One that knows nothing of the tests before."""
    chromium.forget()
    return chromium


@pytest.fixture(scope="session")
def stranger():
    """Another site."""
    site = Stranger()
    yield site
    site.close()
