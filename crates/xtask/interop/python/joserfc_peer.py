"""joserfc."""

import json

from joserfc import jwe, jws, jwt
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

KINDS = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521", "EdDSA": "Ed25519", "Ed25519": "Ed25519"}


def generate(kind):
    if kind == "RSA":
        return RSAKey.generate_key(2048)
    return (OKPKey if kind in ("Ed25519", "X25519") else ECKey).generate_key(kind)


def make_jws(job):
    alg = job["alg"]
    key = generate(KINDS.get(alg, "RSA"))
    if alg not in jws.JWSRegistry.algorithms:
        raise NotImplementedError(alg)
    return {
        "token": jws.serialize_compact({"alg": alg, **job.get("header", {})}, job["payload"], key, algorithms=[alg]),
        "jwk": key.as_dict(private=False),
        "spki_pem": key.as_pem(private=False).decode(),
        "pkcs8_pem": key.as_pem(private=True).decode(),
        "thumbprint": key.thumbprint(),
    }


def check_jws(job, token):
    if job["alg"] not in jws.JWSRegistry.algorithms:
        raise NotImplementedError(job["alg"])
    key = import_key(job["jwk"])
    return {"payload": jws.deserialize_compact(token, key, algorithms=[job["alg"]]).payload.decode()}


def check_jwt(job, token):
    found = jwt.decode(token, import_key(job["jwk"]), algorithms=[job["alg"]])
    if found.header.get("typ") != job["typ"]:
        raise ValueError("another typ")
    wanted = {name: {"essential": True, "value": job[member]} for name, member in (("iss", "issuer"), ("aud", "audience"))}
    wanted.update({name: {"essential": True} for name in ("sub", "exp", "iat")})
    jwt.JWTClaimsRegistry(now=job["now"], **wanted).validate(found.claims)
    return {"payload": json.dumps(found.claims)}


def make_jwe(job):
    algorithms = [job["alg"], job["enc"]]
    own = generate(job["kind"])
    header = {"alg": job["alg"], "enc": job["enc"], **job.get("header", {})}
    return {
        "token": jwe.encrypt_compact(header, job["payload"], import_key(job["jwk"]), algorithms=algorithms),
        "jwk": own.as_dict(private=False),
        "private_jwk": own.as_dict(private=True),
    }


def check_jwe(job, token):
    key = import_key(job["private_jwk"])
    return {"payload": jwe.decrypt_compact(token, key, algorithms=[job["alg"], job["enc"]]).plaintext.decode()}
