#!/usr/bin/env python3
"""Makes x509-svid.json with the Python package cryptography, which shares no code with the crates.

Needs `pip install cryptography`. Keys are made anew and thrown away, so every run gives another file.
"""

import base64
import datetime
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose
from cryptography.x509.oid import NameOID

NOW = 1_800_000_000
SUB = "spiffe://example.org/reports/writer"
DAY = 86_400


def time(offset):
    return datetime.datetime.fromtimestamp(NOW + offset, datetime.timezone.utc)


def usage(*names):
    every = ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment"]
    every += ["key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"]
    return x509.KeyUsage(**{name: name in names for name in every})


def der(certificate):
    return base64.b64encode(certificate.public_bytes(serialization.Encoding.DER)).decode()


class Party:
    """A key, and the certificate that somebody has issued for it."""

    def __init__(self, issuer=None, name="", names=(), key=None, span=(-DAY, DAY), ca=None, path_len=None,
                 usages=("digital_signature",), purposes=(), critical_purposes=False, constraints=None):
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        subject = [x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else []
        self.name = x509.Name(subject)
        signer = issuer or self
        builder = x509.CertificateBuilder(signer.name, self.name, self.key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(time(span[0])).not_valid_after(time(span[1]))
        if ca is not None:
            builder = builder.add_extension(x509.BasicConstraints(ca, path_len), True)
        if usages:
            builder = builder.add_extension(usage(*usages), True)
        if purposes:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical_purposes)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), not subject)
        if constraints:
            builder = builder.add_extension(constraints, True)
        self.certificate = builder.sign(signer.key, hashes.SHA256())


def uri(text):
    return x509.UniformResourceIdentifier(text)


def authority(issuer, name, **more):
    more = {"ca": True, "usages": ("key_cert_sign", "crl_sign"), "span": (-DAY, 30 * DAY), **more}
    return Party(issuer, name, **more)


def entry(party):
    point = party.key.public_key().public_numbers()
    coordinate = lambda n: base64.urlsafe_b64encode(n.to_bytes(32, "big")).rstrip(b"=").decode()
    return {"kty": "EC", "crv": "P-256", "use": "x509-svid", "x": coordinate(point.x), "y": coordinate(point.y),
            "x5c": [der(party.certificate)]}


ROOT = authority(None, "root", names=[uri("spiffe://example.org")])
OTHER = authority(None, "other", names=[uri("spiffe://other.org")])
OLD = authority(None, "old", span=(-20 * DAY, -DAY))
MIDDLE = authority(ROOT, "middle", names=[uri("spiffe://example.org")], path_len=0)
CASES = []


def case(name, chain, expected, covers, **options):
    expected = {"result": "valid", "values": expected} if isinstance(expected, dict) else \
        {"result": "invalid", "code": expected}
    now = NOW + options.pop("later", 0)
    one = {"name": name, "comment": "", "input": {"chain": [der(party.certificate) for party in chain]}, "now": now}
    if options:
        one["options"] = options
    CASES.append({**one, "expected": expected, "covers": covers})


def leaf(title, expected, covers, chain=(), options=None, **content):
    issuer = content.pop("issuer", ROOT)
    content = {"names": [uri(SUB)], **content}
    case(title, [Party(issuer, **content), *chain], expected, covers, **(options or {}))


GOOD = {"spiffe_id": SUB, "not_after": NOW + DAY}
leaf("usual", GOOD, ["X509-SVID-5.1-1"])
leaf("with a subject, which means nothing", GOOD, ["X509-SVID-3.1-3"], name="spiffe://example.org/admin")
dns = [x509.DNSName("a.example"), uri(SUB), x509.DNSName("b.example"), x509.RFC822Name("a@b.example")]
leaf("other names beside the URI", GOOD, ["X509-SVID-2-5"], names=dns)
leaf("keyEncipherment and keyAgreement", GOOD, ["X509-SVID-4.3-5"],
     usages=("digital_signature", "key_encipherment", "key_agreement"))
leaf("cA false in words", GOOD, ["X509-SVID-5.2-1"], ca=False)
leaf("RSA key", GOOD, ["X509-SVID-5.1-1"], key=rsa.generate_private_key(65537, 2048))
leaf("P-384 key", GOOD, ["X509-SVID-5.1-1"], key=ec.generate_private_key(ec.SECP384R1()))
leaf("through an intermediate", GOOD, ["X509-SVID-3.2-6", "X509-SVID-4.1-1"], issuer=MIDDLE, chain=[MIDDLE])
unrelated = authority(ROOT, "unrelated")
leaf("unrelated certificate in between", GOOD, ["X509-SVID-5.1-2"], issuer=MIDDLE, chain=[unrelated, MIDDLE])
for critical in (False, True):
    both = [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH]
    leaf(f"extKeyUsage, critical {critical}", GOOD, ["X509-SVID-4.4-2", "X509-SVID-4.4-4"], purposes=both,
         critical_purposes=critical, options={"role": "client"})
server = [Purpose.SERVER_AUTH]
leaf("server alone, as server", GOOD, ["X509-SVID-4.4-4"], purposes=server, options={"role": "server"})
leaf("server alone, as client", "extended_key_usage_mismatch", ["X509-SVID-4.4-4"], purposes=server,
     options={"role": "client"})
leaf("no keyUsage", "no_key_usage", ["X509-SVID-4.3-7"], usages=())
leaf("no keyUsage, lenient", GOOD, ["X509-SVID-4.3-7"], usages=(), options={"key_usage": "lenient"})
leaf("no digitalSignature", "digital_signature_missing", ["X509-SVID-4.3-7"], usages=("key_agreement",))
leaf("no URI", "no_uri_name", ["X509-SVID-2-4", "X509-SVID-A5"], names=[x509.DNSName("example.org")])
leaf("no name but the common name", "no_uri_name", ["X509-SVID-A5"], names=(), name=SUB)
leaf("two URIs", "several_uri_names", ["X509-SVID-2-3", "X509-SVID-A3"],
     names=[uri(SUB), uri("spiffe://example.org/admin")])
leaf("one URI twice", "several_uri_names", ["X509-SVID-2-3"], names=[uri(SUB), uri(SUB)])
leaf("a URI beside it", "several_uri_names", ["X509-SVID-2-3"], names=[uri(SUB), uri("https://example.org/x")])
for text in ("https://example.org/a", "wimse://example.org/a", "SPIFFE://example.org/a", "spiffe://Example.org/a",
             "spiffe://example.org/a%62", "spiffe://example.org/a/", "spiffe://example.org//a", "spiffe://example.org/.."):
    leaf(f"URI {text}", "spiffe_id", ["X509-SVID-2-6", "X509-SVID-5.2-4"], names=[uri(text)])
for text in ("spiffe://example.org", "spiffe://example.org/"):
    leaf(f"URI {text}", "spiffe_id_without_path", ["X509-SVID-5.2-5", "X509-SVID-A15"], names=[uri(text)])
leaf("cA", "ca_used_as_leaf", ["X509-SVID-5.2-1", "X509-SVID-A1"], ca=True, name="ca")
leaf("keyCertSign", "leaf_with_ca_key_usage", ["X509-SVID-5.2-2"], usages=("digital_signature", "key_cert_sign"))
leaf("cRLSign", "leaf_with_ca_key_usage", ["X509-SVID-5.2-3"], usages=("digital_signature", "crl_sign"))
leaf("RSA key of 1024 bits", "certificate_key_weak", ["X509-SVID-A13"], key=rsa.generate_private_key(65537, 1024))
leaf("expired", "certificate_expired", ["X509-SVID-5.1-1"], span=(-DAY, -1))
leaf("not yet valid", "certificate_not_yet_valid", ["X509-SVID-5.1-1"], span=(1, DAY))
leaf("below an anchor that has expired", "anchor_expired", ["X509-SVID-A16"], issuer=OLD)
leaf("another trust domain's anchor", "unknown_issuer", ["X509-SVID-A4", "X509-SVID-5.1-2"], issuer=OTHER)
leaf("another trust domain's name", "unknown_issuer", ["X509-SVID-A4"], names=[uri("spiffe://other.org/x")])
leaf("unknown trust domain", "no_bundle", ["X509-SVID-5.1-3"], names=[uri("spiffe://unknown.org/x")])
leaf("trust domain without anchors", "no_authorities", ["X509-SVID-6.2-5"], names=[uri("spiffe://empty.org/x")])
leaf("intermediate missing", "unknown_issuer", ["X509-SVID-5.1-2"], issuer=MIDDLE)
named = authority(ROOT, "named", names=[uri("spiffe://example.org/ca")])
leaf("intermediate that names a workload", "intermediate_id", ["X509-SVID-3.2-4"], issuer=named, chain=[named])
plain = Party(ROOT, "leaf", names=[uri("spiffe://example.org/x")])
leaf("leaf as issuer", "issuer_not_ca", ["X509-SVID-A2"], issuer=plain, chain=[plain])
below = authority(MIDDLE, "below")
leaf("path length exceeded", "path_len_exceeded", ["X509-SVID-4.1-1"], issuer=below, chain=[below, MIDDLE])
over = authority(ROOT, "over", span=(-DAY, -1))
leaf("expired intermediate", "certificate_expired", ["X509-SVID-A16"], issuer=over, chain=[over])
for name, lists in (("permitted elsewhere", ([uri("other.org")], None)), ("excluded", (None, [uri("example.org")]))):
    limited = authority(ROOT, name, constraints=x509.NameConstraints(*lists))
    leaf(f"URI constraint, {name}", "name_constraint_violation", ["X509-SVID-4.2-2", "X509-SVID-A14"],
         issuer=limited, chain=[limited])
case("the CA itself", [ROOT], "spiffe_id_without_path", ["X509-SVID-3.1-4", "X509-SVID-3.2-7"])
case("no certificate", [], "empty_chain", ["X509-SVID-5.1-1"])

BUNDLES = {
    "example.org": {"spiffe_sequence": 1, "keys": [entry(ROOT), entry(OLD)]},
    "other.org": {"spiffe_sequence": 1, "keys": [entry(OTHER)]},
    "empty.org": {"spiffe_sequence": 2, "keys": []},
}
GROUP = {"name": "X509-SVID", "type": "x509-svid", "keys": BUNDLES, "cases": CASES}
FILE = {"spec": "SPIFFE X509-SVID", "generator": "x509_svid.py (Python cryptography on OpenSSL)",
        "schema": "test-vectors/schema.json version 1", "groups": [GROUP]}
pathlib.Path(__file__).with_name("x509-svid.json").write_text(json.dumps(FILE, indent=2) + "\n")
