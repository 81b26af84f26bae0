"""The console in a browser, as who uses it sees it."""

import re

from playwright.sync_api import Locator, Page, expect

# A loaded machine may be slow; nothing is waited for any longer than it takes.
WAIT_MS = 120_000

expect.set_options(timeout=WAIT_MS)

# What Chromium says of every answer that is no success, whatever the page makes of it.
REFUSED = re.compile(r"Failed to load resource: the server responded with a status of (\d+)")


class Console:
    """A page with the console, and what must not have happened on it."""

    def __init__(self, page: Page, origin: str, token: str, prefix: str = ""):
        self.page = page
        self.origin = origin
        self.token = token
        self.url = f"{origin}{prefix}/console/"
        self.complaints: list[str] = []
        self.requests: list[str] = []
        # Statuses that a test means to get.
        self.expected: set[int] = set()
        page.set_default_timeout(WAIT_MS)
        page.on("console", self._said)
        page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))

    def _said(self, message):
        refused = REFUSED.match(message.text)
        if refused and int(refused[1]) in self.expected:
            return
        if "net::ERR_CONNECTION_REFUSED" in message.text and 0 in self.expected:
            return
        self.complaints.append(f"{message.type}: {message.text} ({message.location})")

    def check(self):
        """Nothing was complained about, as violations of the policy are, and nobody else asked."""
        assert not self.complaints, "\n".join(self.complaints)
        elsewhere = [url for url in self.requests if not url.startswith(self.origin + "/")]
        assert not elsewhere, elsewhere

    def open(self, place: str = "") -> "Console":
        self.page.goto(self.url + place)
        return self

    def sign_in(self, place: str = "", token: str | None = None) -> "Console":
        self.open(place)
        self.page.get_by_label("Admin token").fill(token or self.token)
        self.page.get_by_role("button", name="Sign in").click()
        expect(self.page.get_by_role("button", name="Sign out")).to_be_visible()
        return self

    def sign_in_to(self, domain: str) -> "Console":
        self.sign_in(f"#/domains/{domain}")
        expect(self.heading(domain)).to_be_visible()
        expect(self.section("Members")).to_be_visible()
        return self

    def heading(self, name: str) -> Locator:
        return self.page.get_by_role("heading", name=name, exact=True)

    def section(self, name: str) -> Locator:
        return self.page.get_by_role("region", name=re.compile(f"^{name}"))

    def row(self, text: str) -> Locator:
        return self.page.get_by_role("row").filter(has_text=text)

    def button(self, name: str) -> Locator:
        return self.page.get_by_role("button", name=name, exact=True)

    @property
    def dialog(self) -> Locator:
        return self.page.get_by_role("dialog")

    @property
    def alert(self) -> Locator:
        return self.page.get_by_role("alert")

    def confirm(self, action: str, *said: str):
        """Reads what a confirmation says, and does it."""
        for text in said:
            expect(self.dialog).to_contain_text(text)
        self.dialog.get_by_role("button", name=action, exact=True).click()
        expect(self.dialog).to_have_count(0)

    def wait_a_while(self):
        """Until what is shown is asked for again, where the page's clock is installed."""
        self.page.clock.fast_forward(10_000)

    def says(self, text: str):
        expect(self.page.locator(".notice")).to_contain_text(text)

    def is_focused(self, what: Locator) -> bool:
        return what.evaluate("it => it === document.activeElement")
