"""Two tabs are enough to see a domain at work: what `cargo xtask demo --browser` says to try."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect


def test_the_story_in_two_tabs(console_of, gateway_with, devices):
    gateway = gateway_with(cors_origins=devices)
    console = console_of(gateway).sign_in()
    tab = console.page.context.new_page()
    problems = []
    tab.on("pageerror", lambda error: problems.append(error))
    domain = f"{console.origin}/flashaccess/domainserver/living-room/"
    tab.goto(f"{devices}/examples/household.html?url={domain}")

    def device(name: str):
        return tab.locator("section").filter(has=tab.get_by_role("heading", name=name))

    def press(name: str, button: str, said: str, *holds: str):
        device(name).get_by_role("button", name=button).click()
        expect(device(name).get_by_role("status")).to_have_text(said)
        for text in holds:
            expect(device(name)).to_contain_text(text)

    def machine(name: str) -> str:
        return device(name).locator("code").inner_text()

    # Two devices join, and the console shows them.
    expect(device("Tablet")).to_contain_text("Holds no keys.")
    press("Television", "Join", "Joined.", "Holds living-room, key versions 1.")
    press("Phone", "Join", "Joined.", "Holds living-room, key versions 1.")
    console.button("Refresh now").click()
    console.page.get_by_role("link", name="living-room").click()
    expect(console.row(machine("Television"))).to_be_visible()
    expect(console.row(machine("Phone"))).to_be_visible()

    # A limit is set, and met.
    console.section("Settings").get_by_label("Maximum of members").fill("2")
    console.button("Save…").click()
    console.confirm("Save", "The maximum becomes 2: no new machine may join")
    expect(console.section("Members")).to_contain_text("2 of 2 full: nobody new may join")
    press("Tablet", "Join", "The domain is full: another device must leave first.")
    expect(device("Tablet")).to_contain_text("Holds no keys.")

    # A device is removed. The next one to join gets a new key.
    console.button(f"Remove {machine('Television')}").click()
    console.confirm("Remove", machine("Television"))
    expect(console.page.get_by_text("rollover due")).to_be_visible()
    press("Tablet", "Join", "Joined.", "key versions 1, 2.")
    console.button("Refresh now").click()
    expect(console.row(machine("Tablet"))).to_be_visible()
    expect(console.section("Key versions")).to_contain_text("Version 2")

    # The other member gets it when it asks; the removed one has what it had.
    press("Phone", "Ask for keys again", "Is still a member.", "key versions 1, 2.")
    press("Television", "Leave", "Is no member any more.", "key versions 1.")

    # All of this is kept.
    tab.reload()
    expect(device("Phone")).to_contain_text("Holds living-room, key versions 1, 2.")
    results = Axe().run(tab)
    assert results.violations_count == 0, results.generate_report()
    assert not problems
