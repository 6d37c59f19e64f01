"""spiffe, the SPIFFE library for Python: it reads bundles and SVIDs and issues nothing."""

import json

from cryptography.hazmat.primitives import serialization
from spiffe import JwtBundle, JwtSvid, TrustDomain, X509Bundle, X509Svid


def check_jwt_bundle(job, token):
    bundle = JwtBundle.parse(TrustDomain(job["trust_domain"]), token.encode())
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    keys = {kid: key.public_bytes(serialization.Encoding.PEM, form) for kid, key in bundle.jwt_authorities.items()}
    return {"payload": "".join(f"{kid} {keys[kid].decode()}" for kid in sorted(keys))}


def check_x509_bundle(job, token):
    bundle = X509Bundle.parse(TrustDomain(job["trust_domain"]), token.encode())
    pem = serialization.Encoding.PEM
    return {"payload": "".join(sorted(root.public_bytes(pem).decode() for root in bundle.x509_authorities))}


def check_jwt_svid(job, token):
    bundle = JwtBundle.parse(TrustDomain(job["trust_domain"]), json.dumps(job["bundle"]).encode())
    return {"payload": str(JwtSvid.parse_and_validate(token, bundle, {job["audience"]}).spiffe_id)}


def check_x509_svid(job, token):
    chain, key = json.loads(token)
    return {"payload": str(X509Svid.parse(chain.encode(), key.encode()).spiffe_id)}
