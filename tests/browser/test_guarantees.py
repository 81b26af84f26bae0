"""What the console never does, and what it does when something is wrong."""

import re

from playwright.sync_api import expect

from machines import Machine

INTERNAL = "internal listener on http://"


def domain_with(client, domain) -> str:
    client.join(domain, Machine.ec())
    return domain


def test_a_wrong_token_is_refused_as_the_server_says(console):
    console.expected = {401}
    console.open()
    console.page.get_by_label("Admin token").fill("wrong" * 10)
    console.button("Sign in").click()
    expect(console.alert).to_contain_text("ADMIN_AUTHENTICATION_REQUIRED, HTTP 401")
    expect(console.alert).to_contain_text(re.compile("Request urn:uuid:[0-9a-f-]{36}"))
    expect(console.button("Sign out")).to_have_count(0)
    console.page.get_by_label("Admin token").fill(console.token)
    console.page.keyboard.press("Enter")
    expect(console.heading("Domains")).to_be_visible()


def test_the_token_is_in_memory_only(console):
    page = console.sign_in().page
    stored = page.evaluate(
        """async () => JSON.stringify([
            {...localStorage}, {...sessionStorage}, document.cookie, location.href, name,
            history.state, await indexedDB.databases(), await caches.keys(),
            document.documentElement.outerHTML,
            [...document.querySelectorAll('input')].map(input => input.value),
        ])"""
    )
    assert console.token not in stored
    assert page.context.cookies() == []
    assert not any(console.token in url for url in console.requests)
    page.reload()
    expect(page.get_by_label("Admin token")).to_have_value("")
    console.sign_in()
    console.button("Sign out").click()
    expect(page.get_by_label("Admin token")).to_have_value("")


def test_the_policy_holds_in_the_browser(console_of, server):
    console = console_of(server)
    page = console.sign_in().page
    console.check()
    violations = page.evaluate(
        """async () => {
            const found = [];
            const note = violation => found.push(violation.effectiveDirective);
            document.addEventListener('securitypolicyviolation', note);
            const script = document.createElement('script');
            script.text = 'window.was = 1';
            document.body.append(script);
            const put = html => document.body.insertAdjacentHTML('beforeend', html);
            put('<p style="color: red">x</p>');
            put('<img src="https://example.com/x.png">');
            await fetch('https://example.com/').catch(() => {});
            await new Promise(done => setTimeout(done));
            return [found, window.was];
        }"""
    )
    assert set(violations[0]) == {"script-src-elem", "style-src-attr", "img-src", "connect-src"}
    assert violations[1] is None
    # That was this test's doing.
    console.complaints.clear()
    console.requests.clear()


def test_what_others_do_shows_without_a_stir(console, client, domain):
    console.page.clock.install()
    page = console.sign_in_to(domain_with(client, domain)).page
    field = page.get_by_label("Block a machine by its GUID")
    field.fill("being typed")
    settings = console.section("Settings").get_by_label("Maximum of members")
    settings.fill("7")
    field.focus()
    machine = Machine.ec()
    client.join(domain, machine)
    console.wait_a_while()
    expect(console.row(machine.guid)).to_be_visible()
    assert console.is_focused(field)
    assert field.input_value() == "being typed"
    assert settings.input_value() == "7"


def test_it_asks_only_while_it_is_looked_at(console, client, domain):
    page = console.page
    page.clock.install()
    page.add_init_script(
        "Object.defineProperty(document, 'hidden', {get: () => window.isHidden ?? false})"
    )
    console.sign_in_to(domain_with(client, domain))

    def asked_within_a_minute() -> int:
        before = len(console.requests)
        page.clock.fast_forward(60_000)
        page.evaluate("fetch('/console/icon.svg')")
        return len(console.requests) - before - 1

    with page.expect_request("**/members?*"):
        page.clock.fast_forward(5_000)
    expect(page.get_by_text("Live, as of")).to_be_visible()
    console.button("Pause updates").click()
    expect(page.get_by_text("Paused")).to_be_visible()
    assert asked_within_a_minute() == 0
    # What was asked for by hand asks for the keys last: from here on nothing is under way.
    with page.expect_response("**/keys"):
        console.button("Resume updates").click()
    look_away = (
        "away => { window.isHidden = away; document.dispatchEvent(new Event('visibilitychange')) }"
    )
    page.evaluate(look_away, True)
    assert asked_within_a_minute() == 0
    with page.expect_request("**/members?*"):
        page.evaluate(look_away, False)


def test_problems_are_told_as_their_documents_do(console, client, admin, domain):
    console.expected = {400, 404, 412}
    console.page.clock.install()
    page = console.sign_in_to(domain_with(client, domain)).page

    page.get_by_label("Block a machine by its GUID").fill("no-guid")
    console.section("Blocked machines").get_by_role("button", name="Block…", exact=True).click()
    console.dialog.get_by_role("button", name="Block").click()
    expect(console.alert).to_contain_text("INVALID_REQUEST, HTTP 400")
    page.keyboard.press("Escape")
    expect(console.dialog).to_have_count(0)

    # Someone else sets the settings between.
    console.section("Settings").get_by_label("Maximum of members").fill("5")
    admin.set(domain, maxMembership=3)
    console.button("Save…").click()
    console.dialog.get_by_role("button", name="Save").click()
    expect(console.dialog.get_by_role("alert")).to_contain_text("PRECONDITION_FAILED, HTTP 412")
    assert admin.get(domain).ok()["maxMembership"] == 3
    console.dialog.get_by_role("button", name="Cancel").click()
    console.wait_a_while()
    expect(console.alert).to_contain_text("Someone else has changed these settings meanwhile")
    console.button("Discard changes").click()
    expect(console.section("Settings").get_by_label("Maximum of members")).to_have_value("3")

    # It is deleted elsewhere.
    assert admin.delete(domain).status == 204
    console.wait_a_while()
    expect(console.alert).to_contain_text("UNKNOWN_DOMAIN, HTTP 404")
    expect(console.section("Members")).to_have_count(0)
    page.get_by_role("link", name="All domains").click()
    expect(console.heading("Domains")).to_be_visible()


def test_who_may_only_read_is_told_so_at_the_internal_listener(console_of, gateway_with):
    token = "may-only-read-" * 3
    gateway = gateway_with("--internal-listen", "127.0.0.1:0", admin_read_token=token)
    gateway.client.join("porch", Machine.ec())
    gateway.client.get("/console/").refused("NOT_FOUND")
    [line] = [line for line in gateway.log if line.startswith(INTERNAL)]
    origin = line.removeprefix(INTERNAL.removesuffix("http://")).strip()
    console = console_of(gateway, origin=origin, token=token).sign_in_to("porch")
    console.expected = {403}
    console.button("Roll the key over…").click()
    console.dialog.get_by_role("button", name="Roll over").click()
    expect(console.dialog.get_by_role("alert")).to_contain_text("ADMIN_FORBIDDEN, HTTP 403")


def test_a_server_that_went_away_comes_back(console_of, gateway_with):
    gateway = gateway_with()
    console = console_of(gateway)
    console.page.clock.install()
    console.sign_in()
    console.expected = {0, 401}
    gateway.stop()
    console.wait_a_while()
    expect(console.alert).to_contain_text("The server does not answer: it may be")
    gateway.start()
    console.wait_a_while()
    expect(console.alert).to_have_count(0)
    # And with another token, which the console does not have.
    gateway.stop()
    (gateway.state / "admin-token").write_text("another-token-" * 3)
    gateway.start()
    console.wait_a_while()
    expect(console.alert).to_contain_text("ADMIN_AUTHENTICATION_REQUIRED")
    expect(console.page.get_by_label("Admin token")).to_have_value("")


def test_without_an_admin_token_there_is_no_console(gateway_with):
    client = gateway_with(admin_token="").client
    for path in ("", "/", "/main.js"):
        client.get(f"/console{path}").refused("NOT_FOUND")


def test_below_a_path(console_of, gateway_with):
    gateway = gateway_with(public_path_prefix="/drm")
    console = console_of(gateway, prefix="/drm")
    console.url = console.url.removesuffix("/")
    page = console.sign_in().page
    expect(console.heading("Domains")).to_be_visible()
    assert page.url.endswith("/drm/console/")
    assert all(f"{console.origin}/drm/" in url for url in console.requests)
