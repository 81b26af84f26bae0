"""A domain's life as its operator sees it: what devices do shows, what the operator does counts."""

import re

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from playwright.sync_api import expect

from machines import Machine


def test_from_the_first_device_to_the_end(console, client, admin, domain):
    console.page.clock.install()
    page = console.sign_in().page

    # A new domain tells how to join it.
    console.button("New domain").click()
    console.dialog.get_by_label("Name", exact=True).fill(domain)
    console.dialog.get_by_label("Maximum of members").fill("2")
    console.confirm("Create")
    console.says(f"Created {domain}.")
    expect(console.heading(domain)).to_be_visible()
    expect(console.section("Members")).to_contain_text(
        f"domain-device --dir television join {client.domain_server_url(domain)}"
    )
    expect(console.section("Key versions")).to_contain_text("No key yet")

    # Devices join, and show by themselves.
    first, second, third = Machine.ec(), Machine.ec(), Machine.ec()
    client.join(domain, first)
    console.wait_a_while()
    expect(console.row(first.guid)).to_be_visible()
    expect(console.section("Members")).to_contain_text("1 of 2")
    client.join(domain, second)
    console.wait_a_while()
    expect(console.section("Members")).to_contain_text("2 of 2 full: nobody new may join")
    client.register(domain, third).refused("DOM_LIMIT_REACHED")

    # The maximum is set, and no longer met.
    console.section("Settings").get_by_label("Maximum of members").fill("4")
    console.button("Save…").click()
    console.confirm("Save", f"In {domain}", "The maximum becomes 4: 2 more machines may join.")
    expect(console.section("Members")).to_contain_text("2 of 4")
    client.join(domain, third)
    console.wait_a_while()
    expect(console.row(third.guid)).to_be_visible()

    # One is removed: it may join again, and a new key is made.
    console.button(f"Remove {third.guid}").click()
    console.confirm("Remove", third.guid, domain, "The next registration", "makes a new key")
    expect(page.get_by_text("rollover due")).to_be_visible()
    expect(console.row(third.guid)).to_have_count(0)
    assert console.is_focused(page.locator("h2#members"))
    assert client.join(domain, first).versions == [1, 2]
    console.wait_a_while()
    expect(console.section("Key versions")).to_contain_text("Version 2")
    expect(page.get_by_text("rollover due")).to_have_count(0)

    # One is blocked, and let in again.
    console.button(f"Block {second.guid}").click()
    console.confirm("Block", second.guid, "It cannot join until it is unblocked")
    expect(console.section("Blocked machines").get_by_role("row")).to_have_count(2)
    expect(console.section("Members")).to_contain_text("1 of 4")
    client.register(domain, second).refused("DOM_REG_DENIED")
    console.button(f"Unblock {second.guid}").click()
    console.confirm("Unblock", second.guid, "join")
    expect(console.section("Blocked machines")).to_contain_text("No machine is blocked.")
    assert client.join(domain, second).versions == [1, 2, 3]
    console.wait_a_while()

    # The key is rolled over.
    expect(console.section("Key versions")).to_contain_text("Version 3")
    console.button("Roll the key over…").click()
    console.confirm("Roll over", "makes version 4 of its key")
    assert client.join(domain, first).versions == [1, 2, 3, 4]
    console.wait_a_while()
    expect(console.section("Key versions")).to_contain_text("Version 4")
    chart = page.get_by_role("img", name=re.compile("Key versions over time: from 1, .* to 4,"))
    expect(chart).to_be_visible()

    # It is deleted, by who can type its name.
    console.button("Delete this domain…").click()
    expect(console.dialog).to_contain_text("2 members, 4 key versions with private keys")
    delete = console.dialog.get_by_role("button", name="Delete", exact=True)
    expect(delete).to_be_disabled()
    console.dialog.get_by_label("Type").fill(domain.lower())
    expect(delete).to_be_disabled()
    console.dialog.get_by_label("Type").fill(domain)
    delete.click()
    console.says(f"Deleted {domain}.")
    expect(console.heading("Domains")).to_be_visible()
    expect(page.get_by_role("link", name=domain, exact=True)).to_have_count(0)
    admin.get(domain).refused("UNKNOWN_DOMAIN")


def test_a_certificate_is_shown_as_it_is(console, client, domain):
    joined = client.join(domain, Machine.ec())
    console.sign_in_to(domain)
    console.page.get_by_text("Version 1", exact=True).click()
    details = console.section("Key versions").get_by_role("group")
    expect(details).to_contain_text(f"CN={domain}")
    expect(details).to_contain_text(f"{client.domain_server_url(domain)}#v1")
    expect(details).to_contain_text("EC P-256")
    expect(details).to_contain_text("ECDSA with SHA-256")
    pem = details.locator("pre").inner_text()
    assert "".join(pem.splitlines()[1:-1]) == joined.credentials[0]["x5c"][0]

    certificate = x509.load_pem_x509_certificate(pem.encode())
    expect(details).to_contain_text(certificate.issuer.rfc4514_string())
    expect(details).to_contain_text(certificate.fingerprint(SHA256()).hex(":"))
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    expect(details).to_contain_text(octets.hex(":"))
    until = certificate.not_valid_after_utc.strftime("%-d %b %Y, %H:%M")
    expect(details).to_contain_text(until.replace("Sep ", "Sept "))


def test_authentication_is_required_and_lifted(console, client, admin, domain):
    client.join(domain, Machine.ec())
    console.sign_in_to(domain)
    settings = console.section("Settings")
    settings.get_by_label("Require authentication").check()
    settings.get_by_label("Authentication namespace").fill("example")
    console.button("Save…").click()
    console.confirm(
        "Save",
        f"Joining {domain}, asking for its keys and leaving need an authentication token",
        "namespace “example”",
    )
    client.register(domain, Machine.ec()).refused("DOM_AUTHENTICATION_REQUIRED")
    described = admin.get(domain).ok()
    assert (described["authNamespace"], described["maxMembership"]) == ("example", None)
    settings.get_by_label("Require authentication").uncheck()
    console.button("Save…").click()
    console.confirm("Save", "without an authentication token")
    client.join(domain, Machine.ec())
