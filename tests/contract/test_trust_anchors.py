"""`machine_trust_anchors`: whose machines may ask at all."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from certificates import self_signed, to_x5c
from machines import Machine, ec_key, rsa_key


class Authority:
    """A certificate authority for machines, of its own or under another."""

    def __init__(self, name: str, parent: "Authority | None" = None, ca=True, days=(-2, 30)):
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.key = ec_key()
        issuer = parent or self
        self.certificate = issuer.sign(self.name, self.key.public_key(), [], ca, days)

    def sign(self, subject, public_key, names, ca, days=(-1, 7)) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + timedelta(days=days[0]))
            .not_valid_after(now + timedelta(days=days[1]))
        )
        if ca is not None:
            constraints = x509.BasicConstraints(ca=ca, path_length=None)
            builder = builder.add_extension(constraints, critical=True)
        if ca:
            usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(usage, critical=True)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def leaf(self, machine: Machine, names=None, days=(-1, 7)) -> x509.Certificate:
        names = [uri(machine.guid)] if names is None else names
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "machine")])
        return self.sign(subject, machine.key.public_key(), names, False, days)

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()


def uri(guid: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(f"urn:uuid:{guid}")


ROOT = Authority("root")
SECOND_ROOT = Authority("second root")
STRANGER = Authority("root")  # The same name, another key.


@pytest.fixture(scope="session")
def anchored(gateway_with, tmp_path_factory):
    path = tmp_path_factory.mktemp("anchors") / "anchors.pem"
    path.write_text(ROOT.pem + SECOND_ROOT.pem)
    return gateway_with(machine_trust_anchors=f"@{path}")


@pytest.fixture
def client(anchored):
    return anchored.client


def ask(client, domain, machine, *chain, action="register"):
    header = {"jwk": None, "x5c": to_x5c(*chain)} if chain else {}
    return client.ask(machine, client.path(domain, action), header=header)


@pytest.mark.parametrize("root", [ROOT, SECOND_ROOT], ids=["first", "second"])
@pytest.mark.parametrize("key", [rsa_key, ec_key], ids=["RSA", "EC"])
def test_a_machine_of_an_anchor(client, domain, root, key):
    machine = Machine(key())
    chain = [root.leaf(machine)]
    assert ask(client, domain, machine, *chain).ok()["newMember"] is True
    chain.append(root.certificate)
    assert ask(client, domain, machine, *chain).ok()["newMember"] is False
    assert ask(client, domain, machine, *chain, action="deregister").ok()["deregistered"] is True


def test_by_way_of_intermediates(client, domain):
    one = Authority("one", ROOT)
    two = Authority("two", one)
    machine = Machine.ec()
    chain = [two.leaf(machine), two.certificate, one.certificate]
    assert ask(client, domain, machine, *chain).ok()["newMember"] is True


def test_the_guids_case_does_not_matter(client, domain):
    machine = Machine.ec()
    leaf = ROOT.leaf(machine, [uri(machine.guid.upper())])
    assert ask(client, domain, machine, leaf).ok()["newMember"] is True


def test_other_names_beside_the_guid(client, domain):
    machine = Machine.ec()
    names = [x509.DNSName("m.example"), uri(machine.guid)]
    assert ask(client, domain, machine, ROOT.leaf(machine, names)).ok()["newMember"] is True


def expired(machine):
    return [ROOT.leaf(machine, days=(-3, -1))]


def not_yet(machine):
    return [ROOT.leaf(machine, days=(1, 3))]


def under(machine, **named):
    between = Authority("between", ROOT, **named)
    return [between.leaf(machine), between.certificate]


def without_its_intermediate(machine):
    return under(machine)[:1]


def of_a_sibling(machine):
    """A machine's own certificate used as an authority."""
    sibling = Authority("sibling", ROOT, ca=None)
    return [sibling.leaf(machine), sibling.certificate]


def altered(machine):
    leaf = ROOT.leaf(machine).public_bytes(serialization.Encoding.DER)
    return [x509.load_der_x509_certificate(leaf[:-1] + bytes([leaf[-1] ^ 1]))]


UNTRUSTED = {
    "a jwk": lambda m: [],
    "signed by itself": lambda m: [self_signed(m.key)],
    "a stranger's": lambda m: [STRANGER.leaf(m)],
    "a stranger's, with the stranger": lambda m: [STRANGER.leaf(m), STRANGER.certificate],
    "a stranger's, with the anchor": lambda m: [STRANGER.leaf(m), ROOT.certificate],
    "expired": expired,
    "not yet valid": not_yet,
    "another machine's GUID": lambda m: [ROOT.leaf(m, [uri(str(uuid.uuid4()))])],
    "no name": lambda m: [ROOT.leaf(m, [])],
    "the GUID as a DNS name": lambda m: [ROOT.leaf(m, [x509.DNSName(m.guid)])],
    "the GUID in another URI": lambda m: [
        ROOT.leaf(m, [x509.UniformResourceIdentifier(f"https://x/{m.guid}")])
    ],
    "the GUID and more": lambda m: [ROOT.leaf(m, [uri(m.guid + "0")])],
    "without its intermediate": without_its_intermediate,
    "an intermediate that expired": lambda m: under(m, days=(-3, -1)),
    "an intermediate that is no CA": lambda m: under(m, ca=False),
    "an intermediate without constraints": of_a_sibling,
    "altered": altered,
}


@pytest.mark.parametrize("name", UNTRUSTED)
def test_untrusted(anchored, client, domain, store_unchanged, name):
    machine = Machine.ec()
    chain = UNTRUSTED[name](machine)
    with store_unchanged(anchored):
        ask(client, domain, machine, *chain).refused("MACHINE_NOT_TRUSTED")
        ask(client, domain, machine, *chain, action="deregister").refused("MACHINE_NOT_TRUSTED")


def test_a_chain_of_another_machines(anchored, client, domain, store_unchanged):
    owner, thief = Machine.ec(), Machine.ec()
    leaf = ROOT.leaf(owner)
    with store_unchanged(anchored):
        ask(client, domain, thief.twin(guid=owner.guid), leaf).refused("INVALID_SIGNATURE")
