#!/usr/bin/env python3
"""Makes bundles.json with the `cryptography` package, which shares no code with the crate.

Needs `pip install cryptography` (43 or later) and Python 3.11. Keys come from `keys/`, the signatures of the certificates are
deterministic, and times and serial numbers are fixed, so every run gives the same file.
"""

import base64
import datetime
import hashlib
import json
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1_800_000_000


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(text):
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)), "big")


def private_key(name):
    jwk = json.loads((HERE.parent / "keys" / f"{name}.jwk.json").read_text())
    if jwk["kty"] == "EC":
        curve = {"P-256": ec.SECP256R1(), "P-384": ec.SECP384R1()}[jwk["crv"]]
        return ec.derive_private_key(number(jwk["d"]), curve)
    n, e, d, p, q = (number(jwk[name]) for name in "nedpq")
    public = rsa.RSAPublicNumbers(e, n)
    dmp1, dmq1, iqmp = rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q)
    return rsa.RSAPrivateNumbers(p, q, d, dmp1, dmq1, iqmp, public).private_key()


def jwk(key):
    """The public key as a JWK, from the numbers that the package gives."""
    numbers = key.public_key().public_numbers()
    octets = lambda value, length: b64u(value.to_bytes(length, "big"))
    if isinstance(key, rsa.RSAPrivateKey):
        length = (numbers.n.bit_length() + 7) // 8
        return {"kty": "RSA", "n": octets(numbers.n, length), "e": octets(numbers.e, 3)}
    length = (key.curve.key_size + 7) // 8
    name = {256: "P-256", 384: "P-384"}[key.curve.key_size]
    return {"kty": "EC", "crv": name, "x": octets(numbers.x, length), "y": octets(numbers.y, length)}


def ca(key, serial, trust_domain="example.com"):
    """The certificate of appendix A: keyCertSign alone, CA, and the trust domain's URI."""
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, trust_domain)])
    day = lambda year: datetime.datetime(year, 1, 1, tzinfo=datetime.timezone.utc)
    usage = dict.fromkeys(
        ["digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement"]
        + ["crl_sign", "encipher_only", "decipher_only"],
        False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(day(2019))
        .not_valid_after(day(2049))
        .add_extension(x509.KeyUsage(key_cert_sign=True, **usage), critical=True)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{trust_domain}/")]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    hash_ = hashes.SHA384() if getattr(getattr(key, "curve", None), "key_size", 0) == 384 else hashes.SHA256()
    deterministic = True if isinstance(key, ec.EllipticCurvePrivateKey) else None
    return builder.sign(key, hash_, ecdsa_deterministic=deterministic).public_bytes(serialization.Encoding.DER)


RSA, P256, P384, OTHER = (private_key(name) for name in ["rsa2048", "es256", "es384", "es256-other"])
RSA_CA, P256_CA, P384_CA = ca(RSA, 0xDFD0ADFD), ca(P256, 2), ca(P384, 3)


def anchor(key, *certificates, **more):
    x5c = [base64.b64encode(der).decode() for der in certificates]
    return jwk(key) | {"use": "x509-svid", "x5c": x5c} | more


def token(key, kid, use="jwt-svid", **more):
    return jwk(key) | {"use": use, "kid": kid} | more


def document(*keys, **more):
    return more | {"keys": list(keys)}


def values(sequence=None, hint=None, x509=(), jwt=(), wit=(), skipped=()):
    return {
        "spiffe_sequence": sequence,
        "spiffe_refresh_hint": hint,
        "x509": [hashlib.sha256(der).hexdigest() for der in x509],
        "jwt": list(jwt),
        "wit": list(wit),
        "skipped": list(skipped),
    }


def valid(name, comment, input_, expected, covers):
    text = input_ if isinstance(input_, str) else json.dumps(input_)
    return {
        "name": name,
        "comment": comment,
        "input": text,
        "now": NOW,
        "expected": {"result": "valid", "values": expected},
        "covers": covers,
    }


def invalid(name, comment, input_, code, covers):
    case = valid(name, comment, input_, {}, covers)
    return case | {"expected": {"result": "invalid", "code": code}}


def bundle_cases():
    first = document(anchor(RSA, RSA_CA), spiffe_sequence=1, spiffe_refresh_hint=2419200)
    rotating = document(
        anchor(RSA, RSA_CA), anchor(P256, P256_CA), spiffe_sequence=2, spiffe_refresh_hint=2419200
    )
    everything = document(
        anchor(P384, P384_CA),
        anchor(RSA, RSA_CA),
        token(P256, "jwt-1"),
        token(RSA, "jwt-2", alg="PS256"),
        token(OTHER, "wit-1", use="wit-svid"),
        spiffe_sequence=18446744073709551615,
        spiffe_refresh_hint=60,
    )
    good = token(P256, "a")
    yield valid("appendix-a-1", "The first bundle of appendix A.", first, values(1, 2419200, [RSA_CA]), ["SPIFFE-BUNDLE-4-2"])
    yield valid(
        "appendix-a-2",
        "The second bundle of appendix A: two roots during a rotation.",
        rotating,
        values(2, 2419200, [RSA_CA, P256_CA]),
        ["SPIFFE-BUNDLE-AppA-1"],
    )
    yield valid(
        "every-use",
        "Keys of all uses and kinds, and the largest sequence number.",
        everything,
        values(2**64 - 1, 60, [P384_CA, RSA_CA], ["jwt-1", "jwt-2"], ["wit-1"]),
        ["SPIFFE-BUNDLE-4.2.1-1", "SPIFFE-BUNDLE-4.2.2-1", "SPIFFE-BUNDLE-A5"],
    )
    yield valid(
        "unknown-parameters",
        "Unknown members of document and entries mean nothing, `refresh_hint` among them.",
        document(token(P256, "a", foo={"bar": [1]}), foo=None, refresh_hint=1),
        values(jwt=["a"]),
        ["SPIFFE-BUNDLE-4.1-1"],
    )
    yield valid(
        "first-certificate-only",
        "Further values of `x5c` are no anchors.",
        document(anchor(P256, P256_CA, RSA_CA)),
        values(x509=[P256_CA]),
        ["SPIFFE-BUNDLE-A11"],
    )
    yield valid("empty", "A bundle without keys revokes them all.", '{"keys":[]}', values(), ["SPIFFE-BUNDLE-4.1.3-4"])
    yield valid(
        "hint-zero", "A hint of zero is none.", '{"keys":[],"spiffe_refresh_hint":0}', values(), ["SPIFFE-BUNDLE-A17"]
    )
    for name, comment, entry, covers in [
        ("unknown-kty", "An unknown key type.", {"kty": "XYZ", "use": "jwt-svid", "kid": "x"}, "SPIFFE-BUNDLE-4.1.3-2"),
        ("oct", "A symmetric key.", {"kty": "oct", "use": "jwt-svid", "kid": "x", "k": "AAAA"}, "SPIFFE-BUNDLE-A14"),
        ("use-sig", "A use that is not of SPIFFE.", token(OTHER, "x", use="sig"), "SPIFFE-BUNDLE-A9"),
        ("use-missing", "No use.", jwk(OTHER) | {"kid": "x"}, "SPIFFE-BUNDLE-A9"),
        ("use-case", "A use in another case.", token(OTHER, "x", use="JWT-SVID"), "SPIFFE-BUNDLE-A10"),
        ("no-kid", "A token key without a name.", jwk(OTHER) | {"use": "jwt-svid"}, "JWT-SVID-6.2-3"),
        ("no-x5c", "An anchor without a certificate.", jwk(OTHER) | {"use": "x509-svid"}, "SPIFFE-BUNDLE-4.2.1-2"),
        ("other-key", "A certificate of another key.", anchor(OTHER, P256_CA), "SPIFFE-BUNDLE-A12"),
        ("off-curve", "A point that is not on its curve.", token(OTHER, "x", y=jwk(OTHER)["x"]), "SPIFFE-BUNDLE-4.2-5"),
        ("short-x", "A coordinate that is too short.", token(OTHER, "x", x="AAAA"), "SPIFFE-BUNDLE-4.2-5"),
        ("other-curve", "A point of another curve.", token(P384, "x", crv="P-256"), "SPIFFE-BUNDLE-4.2-5"),
        ("weak-rsa", "RSA of 1024 bits.", token(RSA, "x", n=jwk(RSA)["n"][:170] + "E"), "SPIFFE-BUNDLE-4.2-5"),
    ]:
        yield valid(
            name, comment + " It is left out, the other one stays.", document(entry, good), values(jwt=["a"], skipped=[0]), [covers]
        )
    for name, comment, text, code, covers in [
        ("array", "Not an object.", "[]", "json_shape", "SPIFFE-BUNDLE-4-1"),
        ("cut", "Not JSON.", '{"keys":[', "invalid_json", "SPIFFE-BUNDLE-4-1"),
        ("no-keys", "`keys` is missing.", "{}", "bundle_member", "SPIFFE-BUNDLE-4.1.3-1"),
        ("keys-null", "`keys` is no array.", '{"keys":null}', "bundle_member", "SPIFFE-BUNDLE-4.1.3-1"),
        ("keys-number", "An entry is no object.", '{"keys":[1]}', "bundle_key_not_an_object", "SPIFFE-BUNDLE-4.1.3-1"),
        ("keys-twice", "`keys` is there twice.", '{"keys":[],"keys":[]}', "duplicate_member", "SPIFFE-BUNDLE-6.3-1"),
        ("use-twice", "So is `use`, once escaped.", '{"keys":[{"use":"a","\\u0075se":"b"}]}', "duplicate_member", "SPIFFE-BUNDLE-A4"),
        ("sequence-large", "Above 2^64 - 1.", '{"keys":[],"spiffe_sequence":18446744073709551616}', "bundle_member", "SPIFFE-BUNDLE-4.1.1-3"),
        ("sequence-text", "No number.", '{"keys":[],"spiffe_sequence":"1"}', "bundle_member", "SPIFFE-BUNDLE-4.1.1-3"),
        ("sequence-exponent", "With an exponent.", '{"keys":[],"spiffe_sequence":1e3}', "bundle_member", "SPIFFE-BUNDLE-4.1.1-3"),
        ("hint-fraction", "With a fraction.", '{"keys":[],"spiffe_refresh_hint":60.5}', "bundle_member", "SPIFFE-BUNDLE-4.1.2-3"),
    ]:
        yield invalid(name, comment, text, code, [covers])
    yield invalid(
        "private-key", "A private key, which here is public anyway.", document(token(P256, "a", d="AAAA")), "private_key_material", ["SPIFFE-BUNDLE-4.2-6", "SPIFFE-BUNDLE-A15"]
    )
    yield invalid(
        "conflicting-kid", "One name for two keys of one use.", document(good, token(OTHER, "a")), "conflicting_kid", ["SPIFFE-BUNDLE-A13"]
    )


def map_cases():
    one = document(anchor(RSA, RSA_CA), token(RSA, "a"), spiffe_sequence=12035488)
    yield valid(
        "appendix-b",
        "The map of appendix B: an X.509 and a JWT key.",
        {"trust_domains": {"example.com": one}},
        {"example.com": values(12035488, None, [RSA_CA], ["a"])},
        ["SPIFFE-BUNDLE-5.1.1-1"],
    )
    yield valid(
        "two",
        "Two trust domains with one key stay two; a hint inside a map is none.",
        {"trust_domains": {"a.test": document(token(P256, "k"), spiffe_refresh_hint=1), "b.test": document(token(P256, "k"))}},
        {"a.test": values(jwt=["k"]), "b.test": values(jwt=["k"])},
        ["SPIFFE-BUNDLE-5.1.1-6"],
    )
    yield valid("none", "No trust domain.", '{"trust_domains":{}}', {}, ["SPIFFE-BUNDLE-5.1.1-1"])
    for name, comment, text, code, covers in [
        ("id-as-name", "A SPIFFE ID is no name.", '{"trust_domains":{"spiffe://a.test":{"keys":[]}}}', "trust_domain", "SPIFFE-BUNDLE-A19"),
        ("upper-case", "Nor is one in upper case.", '{"trust_domains":{"A.test":{"keys":[]}}}', "trust_domain", "SPIFFE-BUNDLE-A19"),
        ("name-twice", "A name is there twice.", '{"trust_domains":{"a":{"keys":[]},"a":{"keys":[]}}}', "duplicate_member", "SPIFFE-BUNDLE-A3"),
        ("one-is-bad", "One bad bundle refuses the map.", '{"trust_domains":{"a":{"keys":[]},"b":{}}}', "bundle_member", "SPIFFE-BUNDLE-A20"),
        ("bundle-alone", "A bundle is no map.", '{"keys":[]}', "bundle_member", "SPIFFE-BUNDLE-5.1.1-1"),
    ]:
        yield invalid(name, comment, text, code, [covers])


file = {
    "spec": "SPIFFE Trust Domain and Bundle, spiffe/spiffe main of 2026-07-01",
    "generator": "test-vectors/spiffe-bundle/make.py with Python's cryptography",
    "schema": "test-vectors/schema.json version 1",
    "groups": [
        {"name": "bundles", "type": "spiffe-bundle", "cases": list(bundle_cases())},
        {"name": "maps", "type": "spiffe-bundle-map", "cases": list(map_cases())},
    ],
}
(HERE / "bundles.json").write_text(json.dumps(file, indent=1) + "\n")
