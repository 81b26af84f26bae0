"""Long lists: domains by pages and by name, members by pages."""

from playwright.sync_api import expect

from admin import Admin
from machines import Machine


def names(console) -> list[str]:
    return console.page.get_by_role("rowheader").all_inner_texts()


def test_120_domains_by_pages(console_of, fleet):
    console = console_of(fleet).sign_in()
    seen = []
    for number in range(1, 6):
        expect(console.page.get_by_text(f"Page {number}")).to_be_visible()
        expect(console.row(f"home-{25 * (number - 1):03}")).to_be_visible()
        seen += names(console)
        if number < 5:
            console.button("Next").click()
    assert seen == [f"home-{number:03}" for number in range(120)]
    expect(console.button("Next")).to_be_disabled()
    console.button("Previous").click()
    expect(console.row("home-075")).to_be_visible()


def test_120_domains_by_name(console_of, fleet):
    console = console_of(fleet).sign_in()
    search = console.page.get_by_label("Search by name")
    search.fill("E-11")
    expect(console.page.get_by_text("10 found.")).to_be_visible()
    assert names(console) == [f"home-{number}" for number in range(110, 120)]
    search.fill("home-")
    expect(console.page.get_by_text("The first 25 found.")).to_be_visible()
    console.button("Show more").click()
    expect(console.page.get_by_text("The first 50 found.")).to_be_visible()
    assert len(names(console)) == 50
    search.fill("<b>no</b>")
    expect(console.page.get_by_text("No domain's name contains “<b>no</b>”.")).to_be_visible()
    search.fill("home-042")
    console.page.get_by_role("link", name="home-042").click()
    expect(console.heading("home-042")).to_be_visible()


def test_among_more_domains_than_are_asked_for_at_once(console_of, gateway_with):
    """Whose beginning is searched for is found wherever it is."""
    gateway = gateway_with()
    admin = Admin(gateway.client, gateway.admin_token)
    for number in range(205):
        admin.set(f"a-{number:03}")
    admin.set("b-zoo-a-1")
    admin.set("zoo")
    console = console_of(gateway).sign_in()
    search = console.page.get_by_label("Search by name")
    search.fill("zoo")
    expect(console.page.get_by_text("2 found.")).to_be_visible()
    assert names(console) == ["zoo", "b-zoo-a-1"]
    search.fill("A-20")
    expect(console.page.get_by_text("5 found.")).to_be_visible()


def test_members_by_pages(console, client, domain):
    machines = [Machine.ec() for _ in range(26)]
    for machine in machines:
        client.join(domain, machine)
    console.sign_in_to(domain)
    expect(console.section("Members")).to_contain_text("26")
    seen = [names(console)]
    console.button("Next").click()
    expect(console.page.get_by_text("Page 2")).to_be_visible()
    expect(console.page.get_by_role("rowheader")).to_have_count(1)
    seen.append(names(console))
    assert [len(page) for page in seen] == [25, 1]
    assert sorted(sum(seen, [])) == sorted(machine.guid for machine in machines)
