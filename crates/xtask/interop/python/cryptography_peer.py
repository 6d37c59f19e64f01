"""cryptography, which has no JOSE: the compact form is put together here, keys and certificates are its own."""

import base64
import datetime
import hashlib
import json

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

CURVES = {"ES256": (ec.SECP256R1, 32), "ES384": (ec.SECP384R1, 48), "ES512": (ec.SECP521R1, 66)}
NAMES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}


def encode(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decode(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value, length=None):
    return encode(value.to_bytes(length or (value.bit_length() + 7) // 8, "big"))


def generate(alg):
    if alg in CURVES:
        return ec.generate_private_key(CURVES[alg][0]())
    if alg in ("EdDSA", "Ed25519"):
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 2048)


def rsa_padding(alg, hash_):
    if alg.startswith("RS"):
        return padding.PKCS1v15()
    return padding.PSS(padding.MGF1(hash_), hash_.digest_size)


def sign(alg, key, message):
    if alg in ("EdDSA", "Ed25519"):
        return key.sign(message)
    hash_ = HASHES[alg[2:]]()
    if alg in CURVES:
        length = CURVES[alg][1]
        r, s = utils.decode_dss_signature(key.sign(message, ec.ECDSA(hash_)))
        return r.to_bytes(length, "big") + s.to_bytes(length, "big")
    return key.sign(message, rsa_padding(alg, hash_), hash_)


def public_jwk(alg, key):
    if alg in CURVES:
        numbers, length = key.public_numbers(), CURVES[alg][1]
        return {"crv": NAMES[alg], "kty": "EC", "x": number(numbers.x, length), "y": number(numbers.y, length)}
    if alg in ("EdDSA", "Ed25519"):
        return {"crv": "Ed25519", "kty": "OKP", "x": encode(key.public_bytes_raw())}
    numbers = key.public_numbers()
    return {"e": number(numbers.e), "kty": "RSA", "n": number(numbers.n)}


def make_jws(job):
    alg = job["alg"]
    key = generate(alg)
    public = key.public_key()
    jwk = public_jwk(alg, public)
    header = {"alg": alg, **job.get("header", {})}
    message = f"{encode(json.dumps(header).encode())}.{encode(job['payload'].encode())}"
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    made = {
        "token": f"{message}.{encode(sign(alg, key, message.encode()))}",
        "jwk": jwk,
        "spki_pem": public.public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo).decode(),
        "pkcs8_pem": key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain).decode(),
        "thumbprint": encode(hashlib.sha256(json.dumps(jwk, sort_keys=True, separators=(",", ":")).encode()).digest()),
    }
    if alg in CURVES:
        traditional = key.private_bytes(pem, serialization.PrivateFormat.TraditionalOpenSSL, plain)
        made["sec1_pem"] = traditional.decode()
    return made


def check_jws(job, token):
    alg, jwk = job["alg"], job["jwk"]
    header, payload, signature = token.split(".")
    if json.loads(decode(header))["alg"] != alg:
        raise ValueError("alg")
    message, signature = f"{header}.{payload}".encode(), decode(signature)
    if alg in CURVES:
        curve, length = CURVES[alg]
        if len(signature) != 2 * length:
            raise ValueError("length")
        x, y = (int.from_bytes(decode(jwk[name]), "big") for name in "xy")
        r, s = (int.from_bytes(half, "big") for half in (signature[:length], signature[length:]))
        key = ec.EllipticCurvePublicNumbers(x, y, curve()).public_key()
        key.verify(utils.encode_dss_signature(r, s), message, ec.ECDSA(HASHES[alg[2:]]()))
    elif alg in ("EdDSA", "Ed25519"):
        ed25519.Ed25519PublicKey.from_public_bytes(decode(jwk["x"])).verify(signature, message)
    else:
        e, n = (int.from_bytes(decode(jwk[name]), "big") for name in "en")
        hash_ = HASHES[alg[2:]]()
        rsa.RSAPublicNumbers(e, n).public_key().verify(signature, message, rsa_padding(alg, hash_), hash_)
    return {"payload": decode(payload).decode()}


def make_x509(job):
    """Root, intermediate and leaf with keys for one algorithm."""
    alg, now = job["alg"], datetime.datetime.now(datetime.timezone.utc)
    hash_ = None if alg == "EdDSA" else HASHES[alg[2:]]()
    issuer, issuer_key, chain = None, None, []
    for name, is_ca in (("root", True), ("intermediate", True), ("leaf", False)):
        key = generate(alg)
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{alg} {name}")])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
            .add_extension(
                x509.KeyUsage(not is_ca, False, False, False, False, is_ca, is_ca, False, False), critical=True
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if issuer_key is not None:
            identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
            builder = builder.add_extension(identifier, critical=False)
        if not is_ca:
            names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(job["uri"])])
            builder = builder.add_extension(names, critical=False)
        certificate = builder.sign(issuer_key or key, hash_)
        chain.append(certificate.public_bytes(serialization.Encoding.PEM).decode())
        issuer, issuer_key = subject, key
    return {"chain": chain}
