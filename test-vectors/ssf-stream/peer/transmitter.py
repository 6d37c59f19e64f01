"""A transmitter with one receiver: see README.md."""

import base64
import hmac
import json
import threading
import time
import uuid
from urllib.parse import parse_qs, urlsplit

import requests

import wire

TOKEN = "token-of-the-receiver"
AUDIENCE = "https://rx.example.org"
EVENTS = [wire.SESSION_REVOKED, wire.CREDENTIAL_CHANGE]


class Refuse(Exception):
    def __init__(self, status, **headers):
        super().__init__(status)
        self.status, self.headers = status, {name.replace("_", "-"): value for name, value in headers.items()}


class Transmitter:
    def __init__(self, wanted):
        self.ca, self.key, self.stranger = wanted["ca"], wire.new_key("t"), wire.new_key("t")
        self.lock = threading.Condition()
        self.streams, self.queue, self.out, self.acked, self.errs, self.sent = {}, {}, {}, [], {}, {}
        self.removed, self.requests, self.pending, self.verified_at = [], [], False, 0
        port = wire.listen(self.answer, wanted["certificate"], wanted["key"])
        self.base = f"https://127.0.0.1:{port}"
        self.issuer = f"{self.base}/tenant"
        self.port = port

    def metadata(self):
        ssf = f"{self.base}/ssf"
        return {
            "spec_version": "1_0",
            "issuer": self.issuer,
            "jwks_uri": f"{self.base}/keys",
            "delivery_methods_supported": [wire.PUSH, wire.POLL],
            "configuration_endpoint": f"{ssf}/stream",
            "status_endpoint": f"{ssf}/status",
            "add_subject_endpoint": f"{ssf}/subjects:add",
            "remove_subject_endpoint": f"{ssf}/subjects:remove",
            "verification_endpoint": f"{ssf}/verify",
            "authorization_schemes": [{"spec_urn": "urn:ietf:rfc:6749"}],
            "default_subjects": "ALL",
            "an_extension": {"of": "ours"},
        }

    def answer(self, method, path, headers, body):
        try:
            with self.lock:
                status, value = self.route(method, urlsplit(path), headers, body)
        except Refuse as refusal:
            return refusal.status, refusal.headers, b""
        except (KeyError, TypeError, ValueError):
            return 400, {}, b""
        if value is None:
            return status, {}, b""
        return status, {"Content-Type": "application/json"}, json.dumps(value).encode()

    def route(self, method, url, headers, body):
        self.requests.append(f"{method} {url.path}")
        if url.path == "/.well-known/ssf-configuration/tenant":
            return 200, self.metadata()
        if url.path == "/.well-known/ssf-configuration/impostor":
            return 200, self.metadata()
        if url.path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if not hmac.compare_digest(headers.get("Authorization", ""), f"Bearer {TOKEN}"):
            raise Refuse(401, WWW_Authenticate='Bearer error="invalid_token"')
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if method in ("POST", "PATCH", "PUT"):
            if headers.get("Content-Type") != "application/json":
                raise Refuse(400)
            body = json.loads(body)
        if url.path == "/ssf/stream":
            return self.configuration(method, query, body)
        if url.path.startswith("/poll/") and method == "POST":
            return self.poll(url.path.removeprefix("/poll/"), body)
        if url.path == "/ssf/status":
            stream = self.stream((query if method == "GET" else body)["stream_id"])
            if method == "POST":
                if self.pending:
                    self.pending = False
                    return 202, None
                stream["status"] = {k: body[k] for k in ("status", "reason") if k in body}
            return 200, {"stream_id": stream["c"]["stream_id"], **stream["status"]}
        if url.path in ("/ssf/subjects:add", "/ssf/subjects:remove") and method == "POST":
            self.stream(body["stream_id"])
            adds = url.path.endswith(":add")
            self.removed = [subject for subject in self.removed if subject != body["subject"]]
            self.removed += [] if adds else [body["subject"]]
            return (200 if adds else 204), None
        if url.path == "/ssf/verify" and method == "POST":
            self.stream(body["stream_id"])
            if time.time() - self.verified_at < 1:
                raise Refuse(429, Retry_After="1")
            self.verified_at = time.time()
            subject = {"format": "opaque", "id": body["stream_id"]}
            self.enqueue(body["stream_id"], subject, wire.VERIFICATION, {"state": body["state"]})
            return 204, None
        raise Refuse(404)

    def stream(self, stream_id):
        if stream_id not in self.streams:
            raise Refuse(404)
        return self.streams[stream_id]

    def configuration(self, method, query, body):
        if method == "POST":
            if self.streams:
                raise Refuse(409)
            stream_id = uuid.uuid4().hex
            self.streams[stream_id] = {"c": self.configured(stream_id, body), "status": {"status": "enabled"}}
            self.queue[stream_id] = []
            return 201, self.streams[stream_id]["c"]
        if method == "GET" and "stream_id" not in query:
            return 200, [one["c"] for one in self.streams.values()]
        stream_id = (query if method in ("GET", "DELETE") else body)["stream_id"]
        stream = self.stream(stream_id)
        if method == "DELETE":
            del self.streams[stream_id]
            return 204, None
        if method == "PATCH":
            current = {k: stream["c"][k] for k in ("delivery", "events_requested", "description") if k in stream["c"]}
            stream["c"] = self.configured(stream_id, {**current, **body})
        if method == "PUT":
            stream["c"] = self.configured(stream_id, body)
        return 200, stream["c"]

    def configured(self, stream_id, body):
        delivery = dict(body.get("delivery") or {"method": wire.POLL})
        if delivery["method"] == wire.POLL:
            delivery["endpoint_url"] = f"{self.base}/poll/{stream_id}"
        made = {
            "stream_id": stream_id,
            "iss": self.issuer,
            "aud": AUDIENCE,
            "delivery": delivery,
            "events_supported": EVENTS,
            "events_requested": body["events_requested"],
            "events_delivered": [event for event in EVENTS if event in body["events_requested"]],
            "min_verification_interval": 1,
        }
        if body.get("description") is not None:
            made["description"] = body["description"]
        return made

    def poll(self, stream_id, body):
        self.stream(stream_id)
        waiting = self.queue[stream_id]
        self.acked += [jti for jti in body.get("ack", []) if jti in dict(waiting)]
        self.errs.update({jti: report["err"] for jti, report in body.get("setErrs", {}).items()})
        done = set(body.get("ack", [])) | set(body.get("setErrs", {}))
        waiting[:] = [(jti, token) for jti, token in waiting if jti not in done]
        if not waiting and not body.get("returnImmediately", False) and body.get("maxEvents") != 0:
            self.lock.wait(3)
        now = waiting[: body.get("maxEvents", len(waiting))]
        return 200, {"sets": dict(now), "moreAvailable": len(now) < len(waiting)}

    def make(self, subject, event, payload, fault=None):
        """A SET: a good one, or one with one fault. Returns its jti and itself."""
        claims = wire.set_claims(self.issuer, AUDIENCE, subject, event, payload)
        key, typ = self.key, "secevent+jwt"
        if fault == "signature":
            key = self.stranger
        elif fault == "audience":
            claims["aud"] = "https://somebody-else.example.org"
        elif fault == "issuer":
            claims["iss"] = "https://elsewhere.example.org"
        elif fault == "exp":
            claims["exp"] = claims["iat"] + 60
        elif fault == "sub":
            claims["sub"] = "somebody"
        elif fault == "typ":
            typ = "JWT"
        elif fault == "two events":
            claims["events"][wire.CREDENTIAL_CHANGE] = {"credential_type": "password", "change_type": "update"}
        elif fault == "no subject":
            del claims["sub_id"]
        token = wire.sign(key, typ, claims)
        if fault == "none":
            header = base64.urlsafe_b64encode(b'{"alg":"none","typ":"secevent+jwt"}').rstrip(b"=").decode()
            token = f"{header}.{token.split('.')[1]}."
        elif fault == "cut":
            token = token[: len(token) // 2]
        return claims["jti"], token

    def enqueue(self, stream_id, subject, event, payload, fault=None):
        jti, token = self.make(subject, event, payload, fault)
        self.queue[stream_id].append((jti, token))
        self.lock.notify_all()
        return jti


def obey(transmitter, order):
    do = order["do"]
    with transmitter.lock:
        if do == "emit":
            if order["subject"] in transmitter.removed:
                return {"jti": None}
            arguments = (order["subject"], order.get("event", wire.SESSION_REVOKED), order.get("payload", {}))
            return {"jti": transmitter.enqueue(order["stream"], *arguments, order.get("fault"))}
        if do == "saw":
            return {"acked": transmitter.acked, "errs": transmitter.errs, "requests": transmitter.requests}
        if do == "again":
            # What was acknowledged comes once more, as from a transmitter that forgot.
            transmitter.queue[order["stream"]] += order["sets"]
            return {}
        if do == "waiting":
            return {"sets": transmitter.queue[order["stream"]]}
        if do == "undecided":
            transmitter.pending = True
            return {}
    if do == "push":
        jti, token = transmitter.make(order["subject"], wire.SESSION_REVOKED, {}, order.get("fault"))
        headers = {"Content-Type": order.get("type", "application/secevent+jwt"), "Accept": "application/json"}
        answers = []
        for _ in range(order.get("times", 1)):
            response = requests.post(order["endpoint"], data=token, headers=headers, verify=transmitter.ca, timeout=10)
            text = response.json() if response.headers.get("Content-Type", "").startswith("application/json") else {}
            answers.append({"status": response.status_code, "err": text.get("err"), "length": len(response.content)})
        return {"jti": jti, "answers": answers}
    raise ValueError(f"an unknown order: {do}")


def main(_):
    transmitter = Transmitter(wire.hear())
    wire.say({"port": transmitter.port})
    while True:
        order = wire.hear()
        if order["do"] == "end":
            return
        wire.say(obey(transmitter, order))


wire.run(main)
