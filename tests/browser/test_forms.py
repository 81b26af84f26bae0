"""What is typed stays, whatever is loaded, saved or lost meanwhile."""

import json
import re
import time
from contextlib import suppress

import pytest
from playwright.sync_api import Error, Page, Route, expect

from machines import Machine
from waiting import WAIT_S, until


class Held:
    """Requests of a page that wait until the end of a `with`."""

    def __init__(self, page: Page, address: str, method: str = "GET"):
        self.page = page
        self.pattern = re.compile(re.escape(address) + "$")
        self.method = method
        self.routes: list[Route] = []
        self.holds = True

    def __enter__(self):
        self.page.route(self.pattern, self._hold)
        return self

    def __exit__(self, *_):
        self.holds = False
        for route in self.routes:
            # Those that the page has given up meanwhile cannot go on.
            with suppress(Error):
                route.continue_()
        self.page.unroute(self.pattern)

    def _hold(self, route: Route):
        if self.holds and route.request.method == self.method:
            self.routes.append(route)
        else:
            route.continue_()

    def until_one_waits(self):
        # Requests are noticed while the page is asked something.
        end = time.monotonic() + WAIT_S
        while not self.routes:
            assert time.monotonic() < end, "no request waits"
            self.page.evaluate("new Promise(requestAnimationFrame)")


def saved(admin, domain: str) -> tuple:
    described = admin.get(domain).ok()
    return described["maxMembership"], described["authNamespace"]


def test_a_change_after_a_save_stays_when_what_was_saved_is_read_again(console, admin, domain):
    admin.set(domain)
    page = console.sign_in_to(domain).page
    settings = console.section("Settings")
    maximum = settings.get_by_label("Maximum of members")
    namespace = settings.get_by_label("Authentication namespace")
    with Held(page, f"/admin/v1/domains/{domain}") as held:
        maximum.fill("5")
        console.button("Save…").click()
        console.confirm("Save", "The maximum becomes 5")
        held.until_one_waits()
        # What was saved shows at once, as the server answered.
        expect(maximum).to_have_value("5")
        expect(console.section("Members")).to_contain_text("0 of 5")
        expect(console.button("Save…")).to_be_disabled()
        namespace.fill("first")
    with page.expect_response("**/members?*"):
        console.button("Refresh now").click()
    expect(namespace).to_have_value("first")
    expect(console.alert).to_have_count(0)

    # It is saved, and another change right after it, before either is read again.
    with Held(page, f"/admin/v1/domains/{domain}") as held:
        console.button("Save…").click()
        expect(console.dialog).not_to_contain_text("maximum")
        console.confirm("Save", "namespace “first”")
        maximum.fill("6")
        console.button("Save…").click()
        console.confirm("Save", "The maximum becomes 6")
        maximum.fill("7")
    with page.expect_response("**/members?*"):
        console.button("Refresh now").click()
    expect(maximum).to_have_value("7")
    expect(console.alert).to_have_count(0)
    assert saved(admin, domain) == (6, "first")
    console.button("Discard changes").click()
    expect(maximum).to_have_value("6")


def test_what_was_wrong_and_discarded_does_not_hinder(console, admin, domain):
    admin.set(domain)
    console.sign_in_to(domain)
    settings = console.section("Settings")
    settings.get_by_label("Maximum of members").fill("a few")
    console.button("Save…").click()
    expect(console.dialog).to_have_count(0)
    console.button("Discard changes").click()
    settings.get_by_label("Authentication namespace").fill("right")
    console.button("Save…").click()
    console.confirm("Save", "namespace “right”")
    assert saved(admin, domain) == (None, "right")


def test_a_save_without_an_answer_loses_nothing(console, admin, domain):
    """Neither if the server has not acted, nor if it has."""
    admin.set(domain)
    console.expected = {0}
    page = console.sign_in_to(domain).page
    maximum = console.section("Settings").get_by_label("Maximum of members")

    def save_without_an_answer(does_act: bool):
        def lose(route: Route):
            if route.request.method == "PUT":
                if does_act:
                    assert route.fetch().ok
                route.abort("connectionrefused")
            else:
                route.continue_()

        page.route(f"**/admin/v1/domains/{domain}", lose)
        console.button("Save…").click()
        console.dialog.get_by_role("button", name="Save").click()
        expect(console.alert).to_contain_text("The server does not answer")
        console.dialog.get_by_role("button", name="Cancel").click()
        page.unroute(f"**/admin/v1/domains/{domain}")
        with page.expect_response("**/members?*"):
            console.button("Refresh now").click()
        expect(maximum).to_have_value("5")

    maximum.fill("5")
    save_without_an_answer(False)
    expect(console.button("Save…")).to_be_enabled()
    assert saved(admin, domain) == (None, None)
    save_without_an_answer(True)
    # Nobody else has changed them: there is nothing to save any more.
    expect(console.button("Save…")).to_be_disabled()
    expect(console.alert).to_have_count(0)
    assert saved(admin, domain) == (5, None)


def test_a_new_domain_that_is_being_typed_stays(console_of, fleet):
    console = console_of(fleet)
    console.page.clock.install()
    page = console.sign_in().page
    console.button("New domain").click()
    console.dialog.get_by_label("Name", exact=True).fill("being-typed")
    console.dialog.get_by_label("Maximum of members").fill("3")
    with page.expect_response("**/domains?*"):
        console.wait_a_while()
    expect(page.get_by_label("Name", exact=True)).to_have_value("being-typed")
    expect(page.get_by_label("Maximum of members")).to_have_value("3")


def test_a_page_that_was_left_asks_for_nothing(console, admin, client, domain):
    """Also when something that was begun there is done later."""
    client.join(domain, Machine.ec())
    page = console.page
    page.clock.install()
    console.sign_in()
    page.evaluate("name => location.hash = `#/domains/${name}`", domain)
    with Held(page, f"/domains/{domain}/rollover", "POST") as held:
        console.button("Roll the key over…").click()
        console.dialog.get_by_role("button", name="Roll over").click()
        held.until_one_waits()
        page.go_back()
        expect(console.heading("Domains")).to_be_visible()
    # What was held has gone on by now.
    until(lambda: admin.get(domain).ok()["keyRolloverRequired"])
    before = len(console.requests)
    with page.expect_response("**/domains?*"):
        console.wait_a_while()
    assert not [url for url in console.requests[before:] if f"/domains/{domain}" in url]
    expect(console.heading("Domains")).to_be_visible()


def test_a_page_is_turned_once_however_often_next_is_clicked(console_of, fleet):
    console = console_of(fleet).sign_in()
    page = console.page
    expect(console.row("home-000")).to_be_visible()
    with Held(page, "/domains?after=home-024&limit=25") as held:
        console.button("Next").click()
        held.until_one_waits()
        expect(page.get_by_text("Page 1", exact=True)).to_be_visible()
        console.button("Next").click()
    expect(page.get_by_text("Page 2", exact=True)).to_be_visible()
    expect(console.row("home-025")).to_be_visible()


@pytest.fixture
def many(console):
    """12,000 domains, whose list is a test's, and whether the server is away."""
    names = [f"d-{number:05}" for number in range(12_000)]
    usual = {"authenticationRequired": False, "authNamespace": None, "maxMembership": None}
    usual |= {"keyRolloverRequired": False, "keyVersion": 1, "createdAt": "2026-01-02T03:04:05Z"}
    server = {"is_away": False}

    def answer(route: Route):
        if server["is_away"]:
            route.abort("connectionrefused")
            return
        query = dict(re.findall(r"[?&](\w+)=([^&]*)", route.request.url))
        after = query.get("after", "")
        found = [name for name in names if name > after][: int(query["limit"])]
        page = {"domains": [{"domain": name, **usual} for name in found]}
        page["next"] = found[-1] if found and found[-1] != names[-1] else None
        route.fulfill(body=json.dumps(page), content_type="application/json")

    console.page.route("**/admin/v1/domains?*", answer)
    console.page.clock.install()
    return server


def test_a_search_says_what_it_has_searched_and_goes_on(console, many):
    page = console.sign_in().page
    expect(page.get_by_text("Live, as of")).to_be_visible()
    search = page.get_by_label("Search by name")
    search.fill("-0999")
    page.clock.fast_forward(1000)
    expect(page.get_by_text("No name contains “-0999” among those")).to_be_visible()
    expect(page.get_by_text("0 found. Searched: the first 5,000 domains")).to_be_visible()
    go_on = console.button("Search the next 5,000")
    go_on.click()
    expect(page.get_by_text("10 found. Searched: the first 10,000 domains")).to_be_visible()
    # It is not searched again each time: that it says.
    freshness = page.get_by_text("Not live, as of")
    was = freshness.inner_text()
    console.wait_a_while()
    console.wait_a_while()
    expect(freshness).to_have_text(was)
    console.button("Refresh now").click()
    expect(freshness).not_to_have_text(was)
    expect(page.get_by_text("10 found. Searched: the first 10,000 domains")).to_be_visible()
    go_on.click()
    expect(page.get_by_text("10 found.", exact=True)).to_be_visible()
    expect(go_on).to_have_count(0)
    # What begins with it is found at once.
    search.fill("d-1199")
    page.clock.fast_forward(1000)
    expect(page.get_by_text("10 found. Searched: the first 5,000 domains, and all")).to_be_visible()
    # So many that they are asked for in pages.
    search.fill("d-")
    page.clock.fast_forward(1000)
    for number in range(1, 11):
        expect(page.get_by_text(f"The first {25 * number:,} found.")).to_be_visible()
        console.button("Show more").click()
    # Nothing of it goes on when there is another text.
    search.fill("")
    expect(console.button("Show more")).to_have_count(0)


def test_a_search_that_failed_says_so_until_it_is_repeated(console, many):
    page = console.sign_in().page
    expect(page.get_by_text("Live, as of")).to_be_visible()
    page.get_by_label("Search by name").fill("-0999")
    page.clock.fast_forward(1000)
    expect(page.get_by_text("Not live, as of")).to_be_visible()
    console.expected.add(0)
    many["is_away"] = True
    console.button("Refresh now").click()
    expect(console.alert).to_contain_text("The server does not answer")
    for _ in range(3):
        console.wait_a_while()
    expect(console.alert).to_contain_text("The server does not answer")
    many["is_away"] = False
    console.button("Refresh now").click()
    expect(console.alert).to_have_count(0)


def test_an_answer_that_never_comes_is_given_up(console):
    page = console.page
    page.clock.install()
    console.sign_in()
    expect(page.get_by_text("Live, as of")).to_be_visible()
    with Held(page, "/domains?limit=25") as held:
        console.wait_a_while()
        held.until_one_waits()
        page.clock.fast_forward(20_000)
        expect(console.alert).to_contain_text("The server does not answer")
        expect(page.get_by_text("Out of date")).to_be_visible()


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 200, "content_type": "text/html", "body": "<html>Log in</html>"},
        {"status": 503, "content_type": "application/problem+json", "body": '{"title":"Th'},
    ],
)
def test_what_cannot_be_read_is_said(console, answer):
    console.expected.add(503)
    page = console.sign_in().page
    page.route("**/domains?*", lambda route: route.fulfill(**answer))
    console.button("Refresh now").click()
    expect(console.alert).to_contain_text("The server's answer cannot be read")
    page.unroute("**/domains?*")
    console.button("Refresh now").click()
    expect(console.alert).to_have_count(0)


def test_a_question_that_is_being_carried_out_cannot_be_closed(console, admin, client, domain):
    """Escape pressed twice closes a dialog whatever the page says of it."""
    console.expected = {503}
    client.join(domain, Machine.ec())
    page = console.sign_in_to(domain).page
    console.button("Roll the key over…").click()
    with Held(page, f"/domains/{domain}/rollover", "POST") as held:
        console.dialog.get_by_role("button", name="Roll over").click()
        held.until_one_waits()
        for _ in range(3):
            page.keyboard.press("Escape")
        expect(console.dialog).to_contain_text("Working…")
        held.routes.pop().fulfill(status=503, body="<html>")
        expect(console.dialog.get_by_role("alert")).to_contain_text("The server answered 503")
    page.keyboard.press("Escape")
    expect(console.dialog).to_have_count(0)
    # The next question can be asked.
    console.button("Roll the key over…").click()
    console.confirm("Roll over")
    assert admin.get(domain).ok()["keyRolloverRequired"]


def test_a_proxys_404_is_not_a_deleted_domain(console, admin, domain):
    admin.set(domain)
    console.expected = {404}
    page = console.page
    page.clock.install()
    console.sign_in_to(domain)
    namespace = console.section("Settings").get_by_label("Authentication namespace")
    namespace.fill("half-typed")
    address = f"**/admin/v1/domains/{domain}"
    page.route(address, lambda route: route.fulfill(status=404, body="<html>"))
    with page.expect_response(address):
        console.wait_a_while()
    expect(console.alert).to_contain_text("The server answered 404")
    expect(namespace).to_have_value("half-typed")
    page.unroute(address)
    with page.expect_response("**/members?*"):
        console.wait_a_while()
    expect(console.alert).to_have_count(0)
    expect(namespace).to_have_value("half-typed")
