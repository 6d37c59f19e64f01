"""What client and transmitter share: lines, keys, SETs as RFC 8417 and SSF 1.0 want them, and a server over TLS."""

import json
import ssl
import sys
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from joserfc import jws
from joserfc.jwk import ECKey, KeySet

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
CREDENTIAL_CHANGE = "https://schemas.openid.net/secevent/caep/event-type/credential-change"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
STREAM_UPDATED = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
PUSH = "urn:ietf:rfc:8935"
POLL = "urn:ietf:rfc:8936"


def say(value):
    print(json.dumps(value), flush=True)


def hear():
    line = sys.stdin.readline()
    if not line:
        raise EOFError("nobody speaks any more")
    return json.loads(line)


class Tally:
    """What came out as it should."""

    def __init__(self):
        self.accepted = 0
        self.refused = 0

    def equal(self, what, found, expected):
        if found != expected:
            raise AssertionError(f"{what}: expected {expected!r}, got {found!r}")
        self.accepted += 1

    def holds(self, what, condition):
        if not condition:
            raise AssertionError(what)
        self.accepted += 1

    def refusal(self, what, response, status):
        if response.status_code != status:
            raise AssertionError(f"{what}: expected {status}, got {response.status_code} {response.text!r}")
        self.refused += 1
        return response


def new_key(kid):
    return ECKey.generate_key("P-256", {"kid": kid, "use": "sig", "alg": "ES256"})


def sign(key, typ, claims):
    header = {"alg": "ES256", "typ": typ, "kid": key.kid}
    return jws.serialize_compact(header, json.dumps(claims), key, algorithms=["ES256"])


def set_claims(issuer, audience, subject, event, payload):
    return {
        "iss": issuer,
        "aud": audience,
        "iat": int(time.time()),
        "jti": uuid.uuid4().hex,
        "txn": uuid.uuid4().hex,
        "sub_id": subject,
        "events": {event: payload},
    }


def read_set(token, jwks, issuer, audience):
    """The claims of a SET in the profile of SSF 1.0, or an error."""
    read = jws.deserialize_compact(token, KeySet.import_key_set(jwks), algorithms=["ES256"])
    if read.protected.get("typ", "").lower() not in ("secevent+jwt", "application/secevent+jwt"):
        raise ValueError("typ")
    claims = json.loads(read.payload)
    named = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims["iss"] != issuer or not set(named) & set(audience):
        raise ValueError("issuer or audience")
    if "sub" in claims or "exp" in claims or len(claims["events"]) != 1:
        raise ValueError("a SET of SSF has neither sub nor exp, and one event")
    if not claims["jti"] or abs(claims["iat"] - time.time()) > 60 or "format" not in claims["sub_id"]:
        raise ValueError("jti, iat or sub_id")
    return claims


class Handler(BaseHTTPRequestHandler):
    """Gives requests to `self.server.answer`, which returns status, headers and body."""

    protocol_version = "HTTP/1.1"

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        status, headers, body = self.server.answer(self.command, self.path, self.headers, self.rfile.read(length))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_PATCH = do_PUT = do_DELETE = serve

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A peer that goes away is its own affair."""


def listen(answer, certificate, key):
    """A server on loopback; returns its port."""
    server = Server(("127.0.0.1", 0), Handler)
    server.answer = answer
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def run(action):
    tally = Tally()
    try:
        action(tally)
        say({"accepted": tally.accepted, "refused": tally.refused})
    except Exception as error:  # Whatever it is, whoever runs this wants to know.
        say({"failed": f"{type(error).__name__}: {error}"})
