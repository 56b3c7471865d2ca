"""What the pages of the documentation point at is there: files, and headings in them."""
import pathlib, re, subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGES = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
LINK = re.compile(r"\]\((?!https?:|mailto:)([^)#\s]*)(?:#([^)\s]+))?\)")


def headings(page):
    """As they are linked to: small letters, digits and hyphens."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)
    return {re.sub(r"[^\w -]", "", title.lower()).strip().replace(" ", "-") for title in re.findall(r"^#+ (.+)$", text, re.M)}


def broken(page, text):
    here = (ROOT / page).parent
    for path, heading in LINK.findall(text):
        target = (here / path).resolve() if path else ROOT / page
        if not target.exists() or heading and heading not in headings(target):
            yield path + (f"#{heading}" if heading else "")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert not list(broken(page, (ROOT / page).read_text()))


def test_a_link_that_leads_nowhere_is_found():
    text = "[a](nothing.md) [b](#no-such-heading) [c](README.md#read-on) [d](docs/stores.md#nothing) [e](https://example.com/x.md) [f](docs/)"
    assert list(broken("README.md", text)) == ["nothing.md", "#no-such-heading", "docs/stores.md#nothing"]
