#!/usr/bin/env python3
"""Makes the JSON files beside it with joserfc, which shares no code with the crates.

Needs `pip install joserfc`. The keys are the worthless ones of `../keys`; ECDSA signatures are random, so every run gives other
files that mean the same.
"""

import json
import pathlib

from joserfc import jws
from joserfc.jwk import ECKey, KeySet

HERE = pathlib.Path(__file__).resolve().parent
NOW = 1_800_000_000
ISSUER = "https://as.example.com"
TOKEN = "https://as.example.com/token"
CLIENT = "https://client.example.com"
ATTESTATION, POP = "oauth-client-attestation+jwt", "oauth-client-attestation-pop+jwt"


def key(name):
    return ECKey.import_key(json.loads((HERE.parent / "keys" / f"{name}.jwk.json").read_text()))


ATTESTER, INSTANCE = key("es256"), key("es256-other")


def public(one):
    members = one.as_dict(private=False)
    return {name: members[name] for name in ("kty", "crv", "x", "y")}


def thumbprint(one):
    return ECKey.import_key(public(one)).thumbprint()


def sign(one, header, claims):
    return jws.serialize_compact({"alg": "ES256", **header}, json.dumps(claims).encode(), one)


def without(members, name):
    return {other: value for other, value in members.items() if other != name}


def case(name, comment, data, expected, covers, **options):
    result = {"result": "invalid", "code": expected} if isinstance(expected, str) else {"result": "valid", "values": expected}
    made = {"name": name, "comment": comment, "input": data, "now": NOW, "expected": result, "covers": covers}
    if options:
        made["options"] = options
    return made


def write(name, spec, groups):
    content = {"spec": spec, "generator": "make.py (joserfc)", "schema": "test-vectors/schema.json version 1", "groups": groups}
    (HERE / name).write_text(json.dumps(content, indent=2) + "\n")


def attestations():
    header = {"typ": ATTESTATION, "kid": "attester"}
    claims = {"sub": CLIENT, "iat": NOW - 10, "exp": NOW + 3600, "cnf": {"jwk": public(INSTANCE)}}
    pop_header, pop_claims = {"typ": POP}, {"aud": ISSUER, "jti": "d25d00ab", "iat": NOW}
    dpop_header = {"typ": "dpop+jwt", "jwk": public(INSTANCE)}
    dpop_claims = {"jti": "7c20c3e2", "htm": "POST", "htu": TOKEN, "iat": NOW}

    def request(header=header, claims=claims, proof=None, attester=ATTESTER, **fields):
        fields = {"OAuth-Client-Attestation": sign(attester, header, claims), **fields}
        if proof is None and "DPoP" not in fields:
            proof = sign(INSTANCE, pop_header, pop_claims)
        if proof:
            fields["OAuth-Client-Attestation-PoP"] = proof
        return {"fields": [[name, value] for name, value in fields.items()]}

    def pop(claims=pop_claims, header=pop_header, by=INSTANCE):
        return sign(by, header, claims)

    def dpop(claims=dpop_claims, by=INSTANCE):
        return sign(by, {"typ": "dpop+jwt", "jwk": public(by)}, claims)

    good = {"client_id": CLIENT, "jkt": thumbprint(INSTANCE), "method": "attestation_pop_jwt", "exp": NOW + 3600}
    combined = {**good, "method": "dpop_combined"}
    cases = [
        case("pop", "An attestation with a proof JWT.", request(), good, ["OAUTH-ABCA-4-1", "OAUTH-ABCA-5.1-1"]),
        case("combined", "The DPoP proof stands for both.", request(DPoP=dpop()), combined, ["OAUTH-ABCA-5.2-1"], dpop=True),
        case("combined-disabled", "The same, where that is not enabled.", request(DPoP=dpop()), "pop_method", ["OAUTH-ABCA-7-3"]),
        case("beside", "DPoP by another key beside a proof JWT.", request(proof=pop(), DPoP=dpop(by=ATTESTER)), good, ["OAUTH-ABCA-5.2-6"], dpop=True),
        case("other-key", "Combined, by another key.", request(DPoP=dpop(by=ATTESTER)), "instance_key_mismatch", ["OAUTH-ABCA-5.2-3", "OAUTH-ABCA-A12"], dpop=True),
        case("no-iat", "`iat` is optional.", request(claims=without(claims, "iat")), good, ["OAUTH-ABCA-4-8"]),
        case("array", "One audience in an array.", request(proof=pop({**pop_claims, "aud": [ISSUER]})), good, ["OAUTH-ABCA-5.1-3"]),
        case("older-draft", "Claims that older drafts defined.", request(proof=pop({**pop_claims, "iss": CLIENT})), good, ["OAUTH-ABCA-5.1-8"]),
        case("application-type", "The whole media type.", request({**header, "typ": "application/" + ATTESTATION}), good, ["OAUTH-ABCA-4-2"]),
        case("jwt-type", "Another type.", request({**header, "typ": "JWT"}), "wrong_type", ["OAUTH-ABCA-4-2"]),
        case("no-sub", "No client.", request(claims=without(claims, "sub")), "missing_claim", ["OAUTH-ABCA-4-4"]),
        case("no-exp", "No end.", request(claims=without(claims, "exp")), "missing_claim", ["OAUTH-ABCA-4-5"]),
        case("stale", "Its end has passed.", request(claims={**claims, "iat": NOW - 900, "exp": NOW - 120}), "stale_attestation", ["OAUTH-ABCA-4-6", "OAUTH-ABCA-A24"]),
        case("cnf-kid", "A key by name only.", request(claims={**claims, "cnf": {"kid": "x"}}), "instance_key", ["OAUTH-ABCA-4-7"]),
        case("private", "A private key.", request(claims={**claims, "cnf": {"jwk": {**public(INSTANCE), "d": "AAAA"}}}), "private_key_material", ["OAUTH-ABCA-7.1-5", "OAUTH-ABCA-A8"]),
        case("self-signed", "By the instance itself.", request(attester=INSTANCE), "invalid_signature", ["OAUTH-ABCA-A6"]),
        case("unknown-kid", "By nobody who is known.", request({**header, "kid": "other"}), "unknown_key", ["OAUTH-ABCA-7.1-4"]),
        case("thief", "The proof by another key.", request(proof=pop(by=ATTESTER)), "invalid_signature", ["OAUTH-ABCA-A9"]),
        case("endpoint", "The token endpoint as audience.", request(proof=pop({**pop_claims, "aud": TOKEN})), "audience_mismatch", ["OAUTH-ABCA-5.1-3"]),
        case("two-audiences", "One proof for two servers.", request(proof=pop({**pop_claims, "aud": [ISSUER, "https://rs.example.com"]})), "multiple_audiences", ["OAUTH-ABCA-5.1-4"]),
        case("no-jti", "A proof without a name.", request(proof=pop(without(pop_claims, "jti"))), "missing_claim", ["OAUTH-ABCA-5.1-5"]),
        case("old", "A proof of six minutes ago.", request(proof=pop({**pop_claims, "iat": NOW - 360})), "too_old", ["OAUTH-ABCA-5.1-6", "OAUTH-ABCA-7.2-4"]),
        case("ahead", "A proof for later.", request(proof=pop({**pop_claims, "iat": NOW + 3600})), "issued_in_future", ["OAUTH-ABCA-A5"]),
        case("client-id", "Another client's name.", {**request(), "client_id": "https://other.example.com"}, "client_id_mismatch", ["OAUTH-ABCA-7.1-7", "OAUTH-ABCA-A14"]),
    ]
    keys = {"attester": {"keys": [{**public(ATTESTER), "kid": "attester"}]}}
    groups = [{"name": "requests", "type": "client-attestation", "keys": keys, "cases": cases}]
    write("client-attestation.json", "draft-ietf-oauth-attestation-based-client-auth-11", groups)


def assertions():
    """The audiences of RFC 10070 for both uses of a JWT, and the types that keep them apart."""
    client = {"iss": "client-1", "sub": "client-1", "iat": NOW, "exp": NOW + 60}
    grant = {"iss": "https://sts.example", "sub": "mailto:mike@example.com", "iat": NOW, "exp": NOW + 60}
    matrix = [
        ("issuer", ISSUER, None, None),
        ("issuer-array", [ISSUER], None, None),
        ("endpoint", TOKEN, "audience_mismatch", None),
        ("both", [ISSUER, TOKEN], "multiple_audiences", "multiple_audiences"),
        ("another", [ISSUER, "https://other.example"], "multiple_audiences", "multiple_audiences"),
        ("slash", ISSUER + "/", "audience_mismatch", "audience_mismatch"),
        ("case", "https://AS.example.com", "audience_mismatch", "audience_mismatch"),
        ("none", [], "claim_type", "claim_type"),
        ("par", ISSUER + "/par", "audience_mismatch", "audience_mismatch"),
    ]
    kid = {"kid": "signer"}

    def group(name, claims, typ, column, covers):
        made = []
        for row in matrix:
            expected = row[column] or {"sub": claims["sub"], "iss": claims["iss"]}
            token = sign(ATTESTER, {"typ": typ, **kid}, {**claims, "aud": row[1]})
            made.append(case(row[0], f"Audience {json.dumps(row[1])}.", token, expected, covers))
        other = "JWT" if typ != "JWT" else "client-authentication+jwt"
        verdict = {"sub": claims["sub"], "iss": claims["iss"]} if typ != "JWT" else "wrong_type"
        token = sign(ATTESTER, {"typ": other, **kid}, {**claims, "aud": ISSUER})
        made.append(case("other-type", f"Type {other}.", token, verdict, ["RFC7523-A6" if typ == "JWT" else "RFC7523-10070-4-9"]))
        keys = {"keys": [{**public(ATTESTER), "kid": "signer"}]}
        return {"name": name, "type": name, "keys": keys, "cases": made}

    groups = [
        group("client-assertion", client, "client-authentication+jwt", 2, ["RFC7523-10070-4-3"]),
        group("jwt-bearer-grant", grant, "JWT", 3, ["RFC7523-10070-4-6", "RFC7523-10070-4-7"]),
    ]
    write("assertions.json", "RFC 7523 as updated by RFC 10070", groups)


attestations()
assertions()
