#!/usr/bin/env python3
"""Makes the files beside it with the openssl command and joserfc, which share no code with the crates.

Needs `openssl` and `pip install joserfc`. Keys are made anew and thrown away, so every run gives other files.
"""

import base64
import hashlib
import json
import pathlib
import subprocess
import tempfile

from joserfc import jws
from joserfc.jwk import ECKey

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1_800_000_000
TARGET = "https://workload.example.org/path"
ISSUER = "https://as.example.org"


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def openssl(*arguments):
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True).stdout


def sign(key, header, claims):
    header = {"alg": "ES256", **header}
    return jws.serialize_compact(header, json.dumps(claims).encode(), key)


def public(key, **members):
    return {**key.as_dict(private=False), **members}


def write(name, content):
    data = content if isinstance(content, bytes) else content.encode()
    (HERE / name).write_bytes(data)


def certificates(work):
    """A CA of the trust domain and a leaf for a workload; gives the CA certificate in DER."""
    ca_key, ca, leaf_key = work / "ca.key", work / "ca.pem", work / "leaf.key"
    request, extensions = work / "leaf.csr", work / "leaf.ext"
    for key in (ca_key, leaf_key):
        openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", str(key))
    openssl(
        "req", "-x509", "-new", "-key", str(ca_key), "-sha256", "-days", "36500", "-subj", "/O=example.org",
        "-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        "-addext", "subjectAltName=URI:spiffe://example.org", "-out", str(ca),
    )  # fmt: skip
    openssl("req", "-new", "-key", str(leaf_key), "-subj", "/O=workload", "-out", str(request))
    extensions.write_text(
        "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n"
        "extendedKeyUsage=serverAuth,clientAuth\nsubjectAltName=URI:spiffe://example.org/billing\n"
    )
    leaf = openssl(
        "x509", "-req", "-in", str(request), "-CA", str(ca), "-CAkey", str(ca_key), "-set_serial", "4711",
        "-days", "36500", "-sha256", "-extfile", str(extensions),
    )  # fmt: skip
    write("x509-svid.pem", leaf)
    (work / "leaf.pem").write_bytes(leaf)
    write("x509-svid.der", openssl("x509", "-in", str(work / "leaf.pem"), "-outform", "DER"))
    return openssl("x509", "-in", str(ca), "-outform", "DER"), openssl("x509", "-in", str(ca), "-pubkey", "-noout")


def main():
    jwt_key, wit_key, proof_key, issuer_key = (ECKey.generate_key("P-256") for _ in range(4))
    with tempfile.TemporaryDirectory() as work:
        ca, ca_key = certificates(pathlib.Path(work))
    anchor = {**ECKey.import_key(ca_key).as_dict(), "use": "x509-svid", "x5c": [base64.b64encode(ca).decode()]}
    keys = [anchor, public(jwt_key, use="jwt-svid", kid="jwt-1"), public(wit_key, use="wit-svid", kid="wit-1")]
    for key in keys:
        if key["use"] == "x509-svid":
            key.pop("kid", None)
    write("bundle.json", json.dumps({"keys": keys, "spiffe_sequence": 7, "spiffe_refresh_hint": 3600}, indent=1))
    write("jwks.json", json.dumps({"keys": [public(issuer_key, kid="as-1", use="sig", alg="ES256")]}, indent=1))

    workload = "spiffe://example.org/billing"
    times = {"iat": NOW, "exp": NOW + 300}
    claims = {"sub": workload, "aud": ["reports"], **times}
    write("jwt-svid.jwt", sign(jwt_key, {"typ": "JWT", "kid": "jwt-1"}, claims))
    cnf = {"jwk": public(proof_key, alg="ES256")}
    wit = sign(wit_key, {"typ": "wit+jwt", "kid": "wit-1"}, {"sub": workload, "jti": "w1", "cnf": cnf, **times})
    write("wit-svid.jwt", wit)
    proof = {"aud": TARGET, "jti": "p1", "exp": NOW + 60, "wth": b64(hashlib.sha256(wit.encode()).digest())}
    write("wpt.jwt", sign(proof_key, {"typ": "wpt+jwt"}, proof))

    of_issuer = {"iss": ISSUER, "jti": "t1", "iat": NOW}
    access = {"sub": "alice", "client_id": "c1", "aud": "https://api.example.org", "exp": NOW + 300, **of_issuer}
    write("access-token.jwt", sign(issuer_key, {"typ": "at+jwt", "kid": "as-1"}, access))
    txn = {
        "sub": "alice", "aud": "example.org", "txn": "x1", "scope": "pay", "req_wl": workload, "exp": NOW + 300,
        "tctx": {"invoice": 7}, "act": {"sub": "spiffe://example.org/agents/a"}, **of_issuer,
    }  # fmt: skip
    write("txn-token.jwt", sign(issuer_key, {"typ": "txntoken+jwt", "kid": "as-1"}, txn))
    revoked = {"https://schemas.openid.net/secevent/caep/event-type/session-revoked": {"event_timestamp": NOW}}
    event = {"aud": "https://rp.example.org", "events": revoked, **of_issuer}
    event["sub_id"] = {"format": "email", "email": "alice@example.org"}
    write("set.jwt", sign(issuer_key, {"typ": "secevent+jwt", "kid": "as-1"}, event))
    client = {"iss": "c1", "sub": "c1", "aud": ISSUER, "jti": "t1", "iat": NOW, "exp": NOW + 60}
    write("client-assertion.jwt", sign(issuer_key, {"typ": "client-authentication+jwt", "kid": "as-1"}, client))


main()
