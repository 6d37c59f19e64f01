#!/usr/bin/env python3
"""Makes http-signature.json with the `cryptography` package, which shares no code with the crate.

Needs `pip install cryptography` and Python 3.11. Keys come from `keys/`, and both Ed25519 and this ES256 are deterministic, so every
run gives the same file.
"""

import base64
import hashlib
import json
import pathlib
import tomllib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1_800_000_000
TAG = "wimse-workload-to-workload"
ORIGIN = "wimse://example.com"


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def b64(data):
    return base64.b64encode(data).decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class Key:
    def __init__(self, name, alg):
        self.jwk = json.loads((HERE.parent / "keys" / f"{name}.jwk.json").read_text())
        self.alg = alg
        d = unb64(self.jwk["d"])
        if self.jwk["kty"] == "OKP":
            self.key = ed25519.Ed25519PrivateKey.from_private_bytes(d)
        else:
            self.key = ec.derive_private_key(int.from_bytes(d, "big"), ec.SECP256R1())

    def public(self):
        return {k: v for k, v in self.jwk.items() if k != "d"} | {"alg": self.alg}

    def sign(self, message, der=False):
        if self.jwk["kty"] == "OKP":
            return self.key.sign(message)
        signature = self.key.sign(message, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        if der:
            return signature
        r, s = decode_dss_signature(signature)
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


ISSUER = Key("wimse-issuer", "ES256")
OTHER = Key("es256-other", "ES256")
CALLER = Key("wimse-workload", "EdDSA")
EC_CALLER = Key("es256", "ES256")
SERVER = Key("ed25519", "Ed25519")


def wit(key, path="caller", signer=ISSUER, typ="wit+jwt", **change):
    header = {"alg": "ES256", "kid": ISSUER.jwk["kid"], "typ": typ}
    claims = {"sub": f"{ORIGIN}/{path}", "exp": NOW + 3600, "iat": NOW, "cnf": {"jwk": key.public()}} | change
    signed = ".".join(b64u(json.dumps(part, separators=(",", ":")).encode()) for part in (header, claims))
    return f"{signed}.{b64u(signer.sign(signed.encode()))}"


def base(components, params, values):
    lines = [f"{component}: {values[component]}" for component in components]
    text = f"({' '.join(components)}){params}"
    return "\n".join([*lines, f'"@signature-params": {text}']), text


def digest(content):
    return f"sha-256=:{b64(hashlib.sha256(content.encode()).digest())}:"


def params(nonce, extra, created=NOW - 5, expires=NOW + 60):
    return f';created={created};expires={expires};nonce="{nonce}";tag="{TAG}"{extra}'


AUD = ';wimse-aud="https://svc.example.com/orders"'
REQUEST = ['"@method"', '"@path"', '"@query"', '"workload-identity-token"']


def request(
    key=CALLER, method="POST", target="/orders?id=1", content="{}", fields=None, leave_out=(), more=(), label="sig1",
    legacy=False, extra=AUD, param=None, token=None, sign=None, **times,
):
    """A signed request as an implementation of the draft makes it; the arguments are what tests change."""
    path, mark, query = target.partition("?")
    token = token or wit(key)
    have = dict(fields or {}) | {"workload-identity-token": token}
    if content:
        have = {"content-type": "application/json", "content-digest": digest(content)} | have
    values = {'"@method"': method, '"@path"': path, '"@query"': f"?{query}", '"@request-target"': target}
    values |= {f'"{name}"': value for name, value in have.items()}
    cover = ['"@method"', '"@request-target"'] if legacy else ['"@method"', '"@path"', '"@query"']
    cover += [f'"{name}"' for name in have]
    cover = [one for one in cover if one not in leave_out] + list(more)
    values |= {'"@authority"': "svc.example.com"}
    text, member = base(cover, param or params("n-1", extra, **times), values)
    signature = (sign or key.sign)(text.encode())
    return {
        "method": method,
        "target": target,
        "fields": [*map(list, have.items()), ["signature-input", f"{label}={member}"], ["signature", f"{label}=:{b64(signature)}:"]],
        "content": content,
    }


def response(to, key=SERVER, token=None, status=200, content="ok", leave_out=(), nonce="n-1", target=None, legacy=False):
    have = {"content-type": "text/plain", "content-digest": digest(content), "workload-identity-token": token or wit(key, "server")}
    path, _, query = (target or to["target"]).partition("?")
    values = {'"@status"': status, '"@method";req': to["method"], '"@path";req': path, '"@query";req': f"?{query}", '"@request-target";req': to["target"]}
    values |= {f'"{name}"': value for name, value in have.items()}
    cover = ['"@status"', *(f'"{name}"' for name in have), '"@method";req']
    cover += ['"@request-target";req'] if legacy else ['"@path";req', '"@query";req']
    cover = [one for one in cover if one not in leave_out]
    text, member = base(cover, params("r-1", f';wimse-req-nonce="{nonce}"' if nonce else ""), values)
    fields = [*map(list, have.items()), ["signature-input", f"sig1={member}"], ["signature", f"sig1=:{b64(key.sign(text.encode()))}:"]]
    return {"request": to, "status": status, "fields": fields, "content": content}


def change(message, name=None, value=None, add=(), content=None, **members):
    """The message with a field replaced (or removed, for no value), fields added, or other parts exchanged."""
    fields = [[n, value if n == name else v] for n, v in message["fields"] if n != name or value is not None]
    return message | {"fields": [*fields, *map(list, add)], "content": message["content"] if content is None else content} | members


def field(message, name):
    return next(v for n, v in message["fields"] if n == name)


def case(name, message, expected, covers, now=NOW, **options):
    expected = {"result": "invalid", "code": expected} if isinstance(expected, str) else {"result": "valid", "values": expected}
    out = {"name": name, "comment": "", "input": message, "now": now, "expected": expected, "covers": covers.split()}
    return out | ({"options": options} if options else {})


ID = "WIMSE-HTTPSIG-"


def ids(text):
    return " ".join(ID + one for one in text.split())


def requests():
    caller = {"sub": f"{ORIGIN}/caller"}
    good = request()
    sig = field(good, "signature")
    replaced = lambda old, new: change(good, "signature-input", field(good, "signature-input").replace(old, new))
    two = change(good, "signature-input", field(good, "signature-input") + ", " + field(good, "signature-input").replace("sig1=", "sig2="))
    two = change(two, "signature", sig + ", " + sig.replace("sig1=", "sig2="))
    foreign = change(good, "signature-input", 'wimse=("@method");created=1;keyid="k",' + field(good, "signature-input"))
    foreign = change(foreign, "signature", "wimse=:AAAA:, " + sig)
    flipped = b64(bytes([base64.b64decode(sig[6:-1])[0] ^ 1]) + base64.b64decode(sig[6:-1])[1:])
    sha512 = f"sha-512=:{b64(hashlib.sha512(b'{}').digest())}:"
    weak = f"md5=:{b64(hashlib.md5(b'{}').digest())}:"
    yield case("Ed25519", good, caller | {"nonce": "n-1", "demands_signed_response": False, "path": "/orders"}, ids("3-1 3-20 R9421-3.3.7-1 R9421-2.5-1"))
    yield case("ES256", request(EC_CALLER), caller, ids("3-1 R9421-3.3.7-1"))
    yield case("no content, no query", request(method="GET", target="/orders", content=""), caller | {"query": None}, ids("3-4 R9421-2.2-3"))
    yield case("empty query", request(method="GET", target="/orders?", content=""), caller | {"query": ""}, ids("R9421-2.2-3"))
    yield case("percent-encoded path", request(target="/orders%2F1/../2", extra=';wimse-aud="svc-b"'), caller | {"path": "/orders%2F1/../2"}, ids("R9421-2.2-2 A16"), exact_audience="svc-b")
    yield case("signed response demanded", request(extra=AUD + ";wimse-sign-response"), caller | {"demands_signed_response": True}, ids("3.2-1 3-22"))
    yield case("demanded, explicit true", change(request(extra=AUD + ";wimse-sign-response"), "signature-input", field(request(extra=AUD + ";wimse-sign-response"), "signature-input") + "=?1"), caller | {"demands_signed_response": True}, ids("3.2-1"))
    yield case("explicitly not demanded", request(extra=AUD + ";wimse-sign-response=?0"), caller | {"demands_signed_response": False}, ids("3.2-2"))
    yield case("demanded with an integer", request(extra=AUD + ";wimse-sign-response=1"), "signature_parameter", ids("3.2-1"))
    yield case("demanded with a string", request(extra=AUD + ';wimse-sign-response="true"'), "signature_parameter", ids("3.2-1"))
    yield case("additional authority", change(request(more=['"@authority"']), add=[("host", "svc.example.com:443")]), caller, ids("3-5"))
    yield case("unknown parameter", request(extra=AUD + ";x-y=7"), caller, ids("7-1"))
    yield case("all fields", request(fields={"authorization": "Bearer t", "txn-token": "a.b.c"}), caller, ids("3-8 3-9") + " WIMSE-WIT-5.3-2")
    yield case("SHA-512", request(fields={"content-digest": sha512}), caller, ids("R9530-2-1"))
    yield case("SHA-512 and md5", request(fields={"content-digest": f"{weak},{sha512}"}), caller, ids("R9530-2-1"))
    yield case("a foreign signature", foreign, caller, ids("3-27 A5"))
    for number, name in [(2, "@method"), (3, "@path"), (4, "@query"), (6, "content-type"), (7, "content-digest"), (10, "workload-identity-token")]:
        yield case(f"without {name}", request(leave_out=[f'"{name}"']), "missing_component", ids(f"3-{number} A3"))
    yield case("authorization not covered", request(fields={"authorization": "Bearer t"}, leave_out=['"authorization"']), "missing_component", ids("3-8"))
    yield case("authorization added", change(good, add=[("authorization", "Bearer t")]), "missing_component", ids("A4"))
    yield case("txn-token added", change(good, add=[("txn-token", "t")]), "missing_component", ids("3-9 A4"))
    yield case("txn-token removed", change(request(fields={"txn-token": "t"}), "txn-token"), "absent_component", ids("3-9 R9421-2.5-3"))
    yield case("txn-token twice", change(request(fields={"txn-token": "t"}), add=[("txn-token", "u")]), "field_count", ids("R9421-2.1-1"))
    yield case("method changed", change(good, method="PUT"), "invalid_signature", ids("6.3-1 R9421-2.2-1"))
    yield case("method in lower case", change(good, method="post"), "invalid_signature", ids("R9421-2.2-1"))
    yield case("path changed", change(good, target="/orders/2?id=1"), "audience_mismatch", ids("6.3-1"))
    yield case("path changed under an exact audience", change(request(extra=';wimse-aud="svc-b"'), target="/admin?id=1"), "invalid_signature", ids("6.3-1"), exact_audience="svc-b")
    yield case("query changed", change(good, target="/orders?id=2"), "invalid_signature", ids("6.3-1"))
    yield case("content type changed", change(good, "content-type", "text/html"), "invalid_signature", ids("6.3-1"))
    yield case("content changed", change(good, content="{ }"), "digest_mismatch", ids("3-16 6.3-1 A1"))
    yield case("content added", change(request(method="GET", content=""), content="x"), "digest_missing", ids("3-15 A2"))
    yield case("digest of something else", request(fields={"content-digest": digest("x")}), "digest_mismatch", ids("3-16"))
    yield case("only md5", request(fields={"content-digest": weak}), "digest_missing", ids("R9530-2-1 A21"))
    yield case("wrong SHA-512 beside SHA-256", request(fields={"content-digest": digest("{}") + ", " + sha512.replace(":", ":AAAA", 1)}), "digest_mismatch", ids("A21"))
    yield case("digest not a byte sequence", request(fields={"content-digest": 'sha-256="x"'}), "malformed_field", ids("R9530-2-1"))
    yield case("keyid", request(extra=AUD + ';keyid="k"'), "forbidden_parameter", ids("3-24 A6"))
    yield case("alg", request(extra=AUD + ';alg="ed25519"'), "forbidden_parameter", ids("3-25 A6"))
    full = params("n-1", AUD)
    for number, name, text in [(17, "created", f";created={NOW - 5}"), (18, "expires", f";expires={NOW + 60}"), (19, "nonce", ';nonce="n-1"'), (21, "wimse-aud", AUD)]:
        yield case(f"no {name}", request(param=full.replace(text, "")), "signature_parameter", ids(f"3-{number}"))
    yield case("empty nonce", request(param=full.replace("n-1", "")), "signature_parameter", ids("3-19"))
    yield case("nonce too long", request(param=full.replace("n-1", "n" * 257)), "signature_parameter", ids("3-19"))
    yield case("nonce as token", request(param=full.replace('"n-1"', "n1")), "signature_parameter", ids("3-19"))
    yield case("created as string", request(param=full.replace(f"created={NOW - 5}", f'created="{NOW - 5}"')), "signature_parameter", ids("R9421-4.1-1"))
    yield case("created as decimal", request(param=full.replace(f"created={NOW - 5}", f"created={NOW - 5}.5")), "signature_parameter", ids("R9421-4.1-1"))
    yield case("created negative", request(created=-1), "signature_parameter", ids("3-17"))
    yield case("other tag", request(param=full.replace(TAG, "other"), label="wimse"), "not_signed", ids("3-20 3-27 3-29"))
    yield case("no tag", request(param=full.replace(f';tag="{TAG}"', "")), "not_signed", ids("3-20 3-29"))
    yield case("no signature at all", change(change(good, "signature"), "signature-input"), "not_signed", ids("3-29 5.1-1"))
    yield case("two signatures with the tag", two, "multiple_signatures", ids("3-28 A5"))
    yield case("created in the future", request(created=NOW + 61, expires=NOW + 100), "not_yet_valid", ids("3-17 A17"))
    yield case("created slightly ahead", request(created=NOW + 60, expires=NOW + 100), caller, ids("3-17"))
    yield case("expires before created", request(created=NOW, expires=NOW), "lifetime_too_long", ids("3-18"))
    yield case("300 seconds", request(created=NOW, expires=NOW + 300), caller, ids("3-18"))
    yield case("301 seconds", request(created=NOW, expires=NOW + 301), "lifetime_too_long", ids("3-18 A17"))
    yield case("within the leeway", good, caller, ids("5.1-3"), now=NOW + 70)
    yield case("31 seconds late", good, "expired", ids("5.1-3 3-18"), now=NOW + 91)
    yield case("other audience", request(extra=';wimse-aud="https://svc-c.example.com/orders"'), "audience_mismatch", ids("3.1-3 A8"))
    yield case("other audience, host field agrees", change(request(extra=';wimse-aud="https://svc-c.example.com/orders"'), add=[("host", "svc-c.example.com")]), "audience_mismatch", ids("3.1-3 A9"))
    yield case("audience as token", request(extra=";wimse-aud=svc"), "signature_parameter", ids("7-1"))
    yield case("signed with another key", request(sign=SERVER.sign), "invalid_signature", ids("3-1"))
    yield case("ES256 for an EdDSA key", request(sign=EC_CALLER.sign), "invalid_signature", ids("3-35 A7"))
    yield case("DER signature", request(EC_CALLER, sign=lambda m: EC_CALLER.sign(m, der=True)), "invalid_signature", ids("R9421-3.3.7-1 A20"))
    yield case("r and s zero", request(EC_CALLER, sign=lambda m: bytes(64)), "invalid_signature", ids("A20") + " WIMSE-WIT-A14")
    yield case("signature changed", change(good, "signature", f"sig1=:{flipped}:"), "invalid_signature", ids("6.3-1"))
    yield case("another WIT for the key", change(good, "workload-identity-token", wit(CALLER, "admin")), "invalid_signature", ids("A18") + " WIMSE-WIT-A20")
    yield case("WIT of another issuer", request(token=wit(CALLER, signer=OTHER)), "invalid_signature", ids("3-33 A19"))
    yield case("WIT of another type", request(token=wit(CALLER, typ="JWT")), "wrong_type", ids("3-33"))
    yield case("WIT expired", request(token=wit(CALLER, exp=NOW - 61)), "expired", ids("3-33"))
    yield case("algorithm against the key", request(token=wit(CALLER, cnf={"jwk": CALLER.public() | {"alg": "ES256"}})), "invalid_key", ids("A7"))
    yield case("no WIT", change(good, "workload-identity-token"), "field_count", ids("3-10"))
    yield case("WIT twice", change(good, add=[("workload-identity-token", wit(CALLER))]), "field_count", ids("R9421-2.1-1"))
    yield case("label in one field only", change(good, "signature", sig.replace("sig1", "sig2")), "signature_labels", ids("R9421-4.2-1"))
    yield case("signature as string", change(good, "signature", 'sig1="x"'), "malformed_field", ids("R9421-4.2-1"))
    yield case("signature with a parameter", change(good, "signature", sig + ";a"), "malformed_field", ids("R9421-4.2-1"))
    yield case("component twice", request(more=['"@method"']), "duplicate_component", ids("R9421-2.5-2"))
    yield case("the parameters as component", replaced('("@method"', '("@signature-params" "@method"'), "unsupported_component", ids("R9421-2.5-2"))
    yield case("status in a request", replaced('("@method"', '("@status" "@method"'), "unsupported_component", ids("R9421-2.2-4"))
    yield case("req in a request", replaced('"@method" ', '"@method" "@method";req '), "unsupported_component", ids("R9421-2.4-1"))
    yield case("upper case component", replaced('"content-type"', '"content-type" "X-A"'), "unsupported_component", ids("R9421-2.1-1"))
    for parameter in ["sf", "bs", "tr", 'key="a"', "req=?0"]:
        code = "unsupported_component"
        yield case(f"component with {parameter}", replaced('"@query"', f'"@query" "x-a";{parameter}'), code, ids("A24" if parameter == "tr" else "A14"))
    yield case("req with explicit true", replaced('"@query"', '"@query" "x-a";req=?1'), "malformed_field", ids("A14"))
    yield case("covered field that is not there", replaced('"@query"', '"@query" "x-a"'), "absent_component", ids("R9421-2.5-3"))
    yield case("parameter twice", replaced(';nonce="n-1"', ';nonce="n-1";nonce="n-1"'), "malformed_field", ids("A14"))
    yield case("label twice", replaced("sig1=", 'sig1=("@method");created=1, sig1='), "malformed_field", ids("A14"))
    yield case("two spaces in the list", replaced('"@method" "@path"', '"@method"  "@path"'), "malformed_field", ids("A14"))
    yield case("space before a parameter", replaced(";nonce", "; nonce"), "malformed_field", ids("A14"))
    yield case("leading zero", replaced(";created=", ";created=0"), "malformed_field", ids("A14"))
    yield case("escape that is not needed", replaced('nonce="n-1"', 'nonce="n\\-1"'), "malformed_field", ids("A14"))
    yield case("text behind the list", replaced(AUD, AUD + " x"), "malformed_field", ids("A14"))
    yield case("an item in place of a list", change(good, "signature-input", f'sig1="@method";tag="{TAG}"'), "malformed_field", ids("R9421-4.1-1"))
    yield case("too many components", replaced('"@query"', '"@query" ' + " ".join(f'"x-{i}"' for i in range(29))), "field_too_large", ids("A22"))
    many = ", ".join(f's{i}=("@method");created=1' for i in range(17))
    yield case("17 signatures", change(change(good, "signature-input", many), "signature", ", ".join(f"s{i}=:AAAA:" for i in range(17))), "field_too_large", ids("A22"))
    yield case("9 KiB of parameters", replaced(AUD, AUD + ';x="' + "y" * 9000 + '"'), "field_too_large", ids("A22"))
    yield case("lines forged in a value", change(request(leave_out=['"@path"'], fields={"x-a": 'b "@path": /orders'}), "x-a", 'b "@path": /orders'), "missing_component", ids("A15"))
    old = request(legacy=True, label="wimse")
    yield case("revision 06", old, caller, ids("L3-1 L3-2 L3-3"), profile="06")
    yield case("revision 06 by another label", request(legacy=True), caller, ids("L3-3"), profile="06")
    yield case("revision 06, not allowed", old, "missing_component", ids("L3-1 A23"))
    yield case("current revision read as 06", good, "missing_component", ids("L3-1"), profile="06")


def responses():
    server = {"sub": f"{ORIGIN}/server", "status": 200}
    plain = request()
    demanding = request(extra=AUD + ";wimse-sign-response")
    good = response(demanding)
    bare = change(change(change(good, "signature"), "signature-input"), "workload-identity-token")
    yield case("Ed25519", good, server, ids("3-11 3-12 3-13 3-14 3-23 3.3-1 R9421-2.4-1"))
    yield case("not demanded and signed", response(plain), server, ids("3.2-4"))
    yield case("not demanded and not signed", bare | {"request": plain}, {"sub": None}, ids("3.4-6"))
    yield case("demanded and not signed", bare, "response_not_signed", ids("3.4-4 A12"))
    yield case("bad signature, not demanded", change(response(plain), "signature", "sig1=:AAAA:"), "invalid_signature", ids("3.4-5"))
    yield case("nonce of another exchange", response(demanding, nonce="n-2"), "request_nonce", ids("3.3-2 A11"))
    yield case("no nonce of a request", response(plain, nonce=None), "signature_parameter", ids("3-23 3.3-2"))
    yield case("for another target", response(demanding, target="/orders?id=2"), "invalid_signature", ids("3-12 R9421-2.4-1 A11"))
    yield case("status changed", good | {"status": 201}, "invalid_signature", ids("3-11 6.3-1"))
    for number, name in [(11, '"@status"'), (12, '"@method";req'), (12, '"@path";req'), (12, '"@query";req'), (13, '"content-type"'), (13, '"content-digest"'), (14, '"workload-identity-token"')]:
        yield case(f"without {name}", response(demanding, leave_out=[name]), "missing_component", ids(f"3-{number}"))
    yield case("no WIT", change(good, "workload-identity-token"), "field_count", ids("3-14"))
    yield case("content changed", change(good, content="no"), "digest_mismatch", ids("3-16"))
    yield case("another workload of the trust domain", response(demanding, key=CALLER, token=wit(CALLER)), "unexpected_peer", ids("A13") + " WIMSE-WIT-1.3-3")
    yield case("audience in a response", change(good, "signature-input", field(good, "signature-input") + ';wimse-aud="x"'), "invalid_signature", ids("6.3-1"))
    late = wit(SERVER, "server", iat=NOW + 2)
    yield case("WIT issued after the signature", response(demanding, token=late), server, ids("3-14"))
    old, old_demanding = request(legacy=True, label="wimse"), request(legacy=True, label="wimse", extra=AUD + ";wimse-sign-response")
    yield case("revision 06", response(old_demanding, legacy=True), server, ids("L3-1"), profile="06")
    yield case("revision 06, voluntary, no nonce", response(old, legacy=True, nonce=None), server, ids("L3-4"), profile="06")
    yield case("revision 06, demanded, no nonce", response(old_demanding, legacy=True, nonce=None), "signature_parameter", ids("L3-4"), profile="06")


def published():
    """The messages that the drafts print. Their issuer's key is not published, so they stand for base and signature alone."""
    table = tomllib.loads((HERE.parent.parent / "docs/conformance/wimse-http-signature.toml").read_text())
    data = {vector["name"]: vector for vector in table["vector"]}
    hashes_of_bases = {
        "v07-request": "7cc52b39dff2a4cf1f0b18d00065862426e9b8cbd9cbcbe1c1750622c4e06f29",
        "v07-response": "e2d6648ad06b76f606e268ec4d35eeb701c6ba15ca8d96b00e9d15d26f65a6aa",
        "v06-request": "fc0ac47bbbab6f8b39ff64b9bd680e44f716eba49b4292e389b4e3b73a15c3f4",
        "v06-response": "d99e280767837f9560c1c8b933c4131c4a11c3276307be198015790166e6e093",
    }

    def message(name):
        head, _, content = data[name]["data"].partition("\n\n")
        start, *lines = head.split("\n")
        fields = [[name.lower(), value] for name, _, value in (line.partition(": ") for line in lines)]
        first, second, *_ = start.split(" ")
        if first.startswith("HTTP"):
            return {"status": int(second), "fields": fields, "content": content + "\n\n"}
        return {"method": first, "target": second, "fields": fields, "content": ""}

    for name, hash_of_base in hashes_of_bases.items():
        text = message(name)
        if "response" in name:
            text = {"request": message(name.replace("response", "request"))} | text
        covers = ids("R9421-2.5-1 " + ("L3-1 L3-2" if "06" in name else "3-1"))
        yield case(name, text, {"base_sha256": hash_of_base}, covers, now=1788298930 if "07" in name else 1785155800, profile=name[1:3])
    yield case(
        "RFC 9421 B.2.6",
        {
            "method": "POST",
            "target": "/foo?param=Value&Pet=dog",
            "fields": [
                ["host", "example.com"], ["date", "Tue, 20 Apr 2021 02:07:55 GMT"], ["content-type", "application/json"],
                ["content-digest", "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:"],
                ["content-length", "18"],
                ["signature-input", 'sig-b26=("date" "@method" "@path" "@authority" "content-type" "content-length");created=1618884473;keyid="test-key-ed25519"'],
                ["signature", "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:"],
            ],
            "content": '{"hello": "world"}',
        },
        {}, ids("R9421-2.5-1 R9530-2-1"), now=1618884473, key="JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs",
    )


def main():
    keys = {ORIGIN: {"keys": [ISSUER.public()]}}
    groups = [
        {"name": "requests", "type": "http-signature", "keys": keys, "cases": list(requests())},
        {"name": "responses", "type": "http-signature-response", "keys": keys, "cases": list(responses())},
        {"name": "published examples", "type": "http-signature-base", "cases": list(published())},
    ]
    file = {
        "spec": "draft-ietf-wimse-http-signature, RFC 9421, RFC 9530",
        "generator": "test-vectors/wimse/make.py (Python's cryptography); the group `published examples` is from the specifications",
        "schema": "test-vectors/schema.json version 1",
        "groups": groups,
    }
    (HERE / "http-signature.json").write_text(json.dumps(file, indent=2) + "\n")


main()
