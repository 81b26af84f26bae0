"""Anyone can use it: axe-core finds nothing, a keyboard is enough, and so are 320 pixels."""

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from admin import Admin
from machines import Machine

AXE = Axe()

# How many days ago what is in a domain was made, key versions and members alike.
AGES = [300, 264, 171, 160, 62, 3]


def age(admin: Admin, name: str):
    """Gives a domain a past: what is exported of it is imported in its place, with other times."""

    def ago(index: int) -> str:
        when = datetime.now(UTC) - timedelta(days=AGES[index % len(AGES)], minutes=61 * index)
        return when.strftime("%Y-%m-%dT%H:%M:%SZ")

    parts, after = [], ""
    while after is not None:
        query = f"?after={after}" if after else ""
        page = admin.send("POST", admin.path(name, f"/export{query}")).ok()
        parts.append(page["part"])
        after = page["next"]
    for part in parts:
        if part["part"] == "domain":
            part["createdAt"] = ago(0)
        for index, key in enumerate(part.get("keys", []) if part["part"] == "keys" else []):
            key["createdAt"] = ago(index)
        for index, member in enumerate(part["members"] if part["part"] == "machines" else []):
            member["registeredAt"] = ago(index)
        path = admin.path(name, f"/import?import={'A' * 43}&replace=true")
        state = admin.send("PUT", path, part).ok()["state"]
    assert state == "imported"


@pytest.fixture(scope="module")
def homes(gateway_with):
    """A gateway with a domain that has something of everything, and others."""
    gateway = gateway_with()
    client, admin = gateway.client, Admin(gateway.client, gateway.admin_token)
    for name in ("bedroom", "kitchen", "office", "school.library", "studio_2", "workshop"):
        client.join(name, Machine.ec())
    name = "living-room"
    staying = client.join_many(name, 4)
    for _ in range(5):
        leaving = client.join_many(name, 1)[0]
        assert admin.delete(name, f"/members/{leaving.guid}").status == 204
        client.join(name, staying[0])
    admin.block(name, leaving.guid)
    admin.set(name, maxMembership=4)
    age(admin, name)
    admin.set("kitchen", maxMembership=12, authenticationRequired=True)
    return gateway


def assert_accessible(console):
    # Transitions of colours would be taken for their ends.
    console.page.evaluate("Promise.all(document.getAnimations().map(it => it.finished))")
    results = AXE.run(console.page)
    assert results.violations_count == 0, results.generate_report()


@pytest.mark.parametrize(("width", "scheme"), [(1100, "light"), (1100, "dark"), (320, "dark")])
def test_axe_finds_nothing_and_nothing_is_cut_off(console_of, homes, picture, width, scheme):
    size = {"width": width, "height": 640}
    console = console_of(homes, viewport=size, color_scheme=scheme)
    page = console.page

    def look(name: str | None = None):
        fits = "document.documentElement.scrollWidth <= document.documentElement.clientWidth"
        # Where tables begin to be tables there is least room for them.
        for tried in {width, 740, 940} if width > 940 else {width}:
            page.set_viewport_size({**size, "width": tried})
            assert page.evaluate(fits), tried
        page.set_viewport_size(size)
        assert_accessible(console)
        if name and (width, scheme) == (1100, "light"):
            picture(page, name)

    console.open()
    look()
    page.get_by_label("Admin token").fill(console.token)
    page.keyboard.press("Enter")
    expect(console.row("living-room")).to_be_visible()
    look("domains")
    console.button("New domain").click()
    look()
    page.keyboard.press("Escape")
    page.get_by_label("Search by name").fill("none of this name")
    expect(page.get_by_text("No domain's name contains")).to_be_visible()
    look()
    page.get_by_label("Search by name").fill("liv")
    expect(page.get_by_text("1 found.")).to_be_visible()
    page.get_by_role("link", name="living-room").click()
    expect(console.section("Members")).to_contain_text("4 of 4")
    look("domain")
    if (width, scheme) == (1100, "dark"):
        picture(console.section("Key versions"), "keys")
    page.get_by_text("Version 6", exact=True).click()
    expect(page.get_by_text("Signed with")).to_be_visible()
    look()
    console.button("Delete this domain…").click()
    look()


def test_axe_finds_nothing_where_nothing_is_and_where_something_is_wrong(console_of, gateway_with):
    console = console_of(gateway_with()).sign_in()
    expect(console.heading("No domain yet")).to_be_visible()
    expect(console.page.get_by_text("domain-device --dir television join")).to_be_visible()
    assert_accessible(console)
    console.page.get_by_label("Search by name").fill("any")
    expect(console.page.get_by_text("No domain's name contains “any”.")).to_be_visible()
    console.page.get_by_label("Search by name").clear()
    expect(console.heading("No domain yet")).to_be_visible()
    console.expected = {404}
    console.open("#/domains/nobodys")
    expect(console.alert).to_contain_text("UNKNOWN_DOMAIN")
    assert_accessible(console)


def test_a_keyboard_is_enough(console_of, homes):
    console = console_of(homes)
    page = console.open().page

    def tab_to(what, most: int = 60):
        for _ in range(most):
            if console.is_focused(what):
                return
            page.keyboard.press("Tab")
        raise AssertionError(f"{what} is not reached")

    def press(what, key: str = "Enter"):
        tab_to(what)
        page.keyboard.press(key)

    page.keyboard.type(console.token)
    page.keyboard.press("Enter")
    expect(console.heading("Domains")).to_be_focused()
    expect(console.row("office")).to_be_visible()
    press(page.get_by_role("link", name="office"))
    expect(console.heading("office")).to_be_focused()
    expect(console.section("Settings")).to_be_visible()

    tab_to(page.get_by_label("Maximum of members"))
    page.keyboard.type("9")
    page.keyboard.press("Enter")
    expect(console.dialog).to_contain_text("The maximum becomes 9")
    # The focus cannot leave the dialog, and the way out comes first.
    assert console.is_focused(console.dialog.get_by_role("button", name="Cancel"))
    press(console.dialog.get_by_role("button", name="Save"))
    expect(console.dialog).to_have_count(0)
    console.says("Saved the settings of office.")
    expect(page.locator("h2#settings")).to_be_focused()

    roll_over = console.button("Roll the key over…")
    press(roll_over, "Space")
    expect(console.dialog).to_be_visible()
    page.keyboard.press("Escape")
    expect(console.dialog).to_have_count(0)
    expect(roll_over).to_be_focused()

    press(page.locator("summary"))
    expect(page.get_by_text("Signed with")).to_be_visible()
