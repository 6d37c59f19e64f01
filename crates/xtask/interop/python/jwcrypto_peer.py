"""jwcrypto."""

import json

from jwcrypto import jwe, jwk, jws

KINDS = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


def generate(kind):
    if kind == "RSA":
        return jwk.JWK.generate(kty="RSA", size=2048)
    return jwk.JWK.generate(kty="OKP" if kind in ("Ed25519", "X25519") else "EC", crv=kind)


def known(alg):
    if alg not in jws.default_allowed_algs:
        raise NotImplementedError(alg)


def make_jws(job):
    known(job["alg"])
    key = generate(KINDS.get(job["alg"], "RSA"))
    token = jws.JWS(job["payload"].encode())
    token.add_signature(key, None, json.dumps({"alg": job["alg"], **job.get("header", {})}), None)
    return {
        "token": token.serialize(compact=True),
        "jwk": key.export_public(as_dict=True),
        "spki_pem": key.export_to_pem(private_key=False).decode(),
        "pkcs8_pem": key.export_to_pem(private_key=True, password=None).decode(),
        "thumbprint": key.thumbprint(),
    }


def check_jws(job, token):
    known(job["alg"])
    parsed = jws.JWS()
    parsed.allowed_algs = [job["alg"]]
    parsed.deserialize(token, jwk.JWK(**job["jwk"]))
    return {"payload": parsed.payload.decode()}


def make_jwe(job):
    own = generate(job["kind"])
    header = json.dumps({"alg": job["alg"], "enc": job["enc"], **job.get("header", {})})
    token = jwe.JWE(job["payload"].encode(), protected=header, recipient=jwk.JWK(**job["jwk"]))
    return {
        "token": token.serialize(compact=True),
        "jwk": own.export_public(as_dict=True),
        "private_jwk": own.export_private(as_dict=True),
    }


def check_jwe(job, token):
    parsed = jwe.JWE()
    parsed.allowed_algs = [job["alg"], job["enc"]]
    parsed.deserialize(token, jwk.JWK(**job["private_jwk"]))
    return {"payload": parsed.payload.decode()}
