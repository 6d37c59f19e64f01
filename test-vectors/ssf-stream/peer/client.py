"""A receiver that drives a transmitter through its HTTP API: see README.md."""

import threading
import time
import uuid
from urllib.parse import urlsplit

import requests

import wire

ALL = "ssf.manage ssf.read"


class Receiver:
    """One client of the transmitter, by its access tokens."""

    def __init__(self, scene, name):
        self.scene, self.name = scene, name

    def token(self, scope=ALL, **changes):
        now = int(time.time())
        claims = {
            "iss": self.scene.wanted["authorization_server"],
            "aud": self.scene.wanted["resource"],
            "sub": self.name,
            "client_id": self.name,
            "scope": scope,
            "iat": now,
            "exp": now + 300,
            "jti": uuid.uuid4().hex,
        }
        claims.update(changes)
        return wire.sign(self.scene.authority, "at+jwt", {k: v for k, v in claims.items() if v is not None})

    def ask(self, method, url, body=None, token=None, **options):
        headers = {"Authorization": f"Bearer {token or self.token()}", **options.pop("headers", {})}
        return self.scene.http.request(method, url, json=body, headers=headers, timeout=20, **options)

    def poll(self, stream, **body):
        body.setdefault("returnImmediately", True)
        response = self.ask("POST", stream["delivery"]["endpoint_url"], body)
        if response.status_code != 200:
            raise AssertionError(f"poll: {response.status_code} {response.text}")
        answer = response.json()
        sets = {}
        for jti, token in answer["sets"].items():
            claims = wire.read_set(token, self.scene.jwks, self.scene.issuer, as_list(stream["aud"]))
            if claims["jti"] != jti:
                raise AssertionError("a SET lies under another name than its jti")
            sets[jti] = claims
        return sets, answer.get("moreAvailable", False)


def as_list(audience):
    return audience if isinstance(audience, list) else [audience]


def email(name):
    return {"format": "email", "email": f"{name}@example.com"}


class Scene:
    def __init__(self, wanted, tally):
        self.wanted, self.tally, self.issuer = wanted, tally, wanted["issuer"]
        self.authority = wire.new_key("as")
        self.http = requests.Session()
        self.http.verify = wanted["ca"]
        self.http.trust_env = False
        self.polled, self.pushed, self.other = (Receiver(self, name) for name in ("polled", "pushed", "other"))

    def emit(self, subject, event=wire.SESSION_REVOKED):
        wire.say({"do": "emit", "subject": subject, "event": event})
        return wire.hear()["streams"]

    def discover(self):
        t, parts = self.tally, urlsplit(self.issuer)
        url = f"{parts.scheme}://{parts.netloc}/.well-known/ssf-configuration{parts.path}"
        response = self.http.get(url, timeout=10)
        t.equal("metadata", response.status_code, 200)
        t.equal("type of the metadata", response.headers["Content-Type"].split(";")[0], "application/json")
        self.metadata = m = response.json()
        t.equal("issuer", m["issuer"], self.issuer)
        t.equal("spec_version", m["spec_version"], "1_0")
        t.equal("methods", sorted(m["delivery_methods_supported"]), [wire.PUSH, wire.POLL])
        t.equal("default_subjects", m["default_subjects"], "ALL")
        t.equal("schemes", m["authorization_schemes"], [{"spec_urn": "urn:ietf:rfc:6749"}])
        endpoints = ["configuration", "status", "add_subject", "remove_subject", "verification"]
        t.holds("endpoints are https", all(m[f"{name}_endpoint"].startswith("https://") for name in endpoints))
        t.refusal("metadata of nobody", self.http.get(url + "/nobody", timeout=10), 404)
        t.refusal("metadata by POST", self.http.post(url, timeout=10), 405)
        response = self.http.get(m["jwks_uri"], timeout=10)
        t.equal("keys", response.status_code, 200)
        self.jwks = response.json()
        t.holds("no private key", all("d" not in key for key in self.jwks["keys"]))

    def authorize(self):
        t, url, rx = self.tally, self.metadata["configuration_endpoint"], self.polled
        response = t.refusal("no token", self.http.get(url, timeout=10), 401)
        t.holds("a challenge", response.headers["WWW-Authenticate"].startswith("Bearer"))
        response = t.refusal("garbage", rx.ask("GET", url, token="garbage"), 401)
        t.holds("invalid_token", 'error="invalid_token"' in response.headers["WWW-Authenticate"])
        stranger, self.authority = self.authority, wire.new_key("as")
        forged = rx.token()
        self.authority = stranger
        now = int(time.time())
        for what, token in {
            "another key": forged,
            "expired": rx.token(exp=now - 120, iat=now - 400),
            "another resource": rx.token(aud="https://elsewhere.example"),
            "another server": rx.token(iss="https://as.elsewhere.example"),
            "an unknown client": rx.token(client_id="nobody"),
            "events in it": rx.token(events={wire.SESSION_REVOKED: {}}),
        }.items():
            t.refusal(what, rx.ask("GET", url, token=token), 401)
        response = t.refusal("read does not create", rx.ask("POST", url, {}, token=rx.token("ssf.read")), 403)
        t.holds("insufficient_scope", "insufficient_scope" in response.headers["WWW-Authenticate"])
        t.refusal("no scope", rx.ask("GET", url, token=rx.token("")), 403)
        t.refusal("a token in the query as well", rx.ask("GET", f"{url}?access_token={rx.token()}"), 400)

    def configure(self):
        t, url, rx = self.tally, self.metadata["configuration_endpoint"], self.polled
        ask = rx.ask
        t.equal("no streams yet", ask("GET", url).json(), [])
        for what, body in {
            "an unknown method": {"delivery": {"method": "urn:example:pigeon"}},
            "push to nowhere": {"delivery": {"method": wire.PUSH}},
            "push in the clear": {"delivery": {"method": wire.PUSH, "endpoint_url": "http://rx.example.com/"}},
            "push into a network": {"delivery": {"method": wire.PUSH, "endpoint_url": "https://10.0.0.1/"}},
            "events that are no list": {"events_requested": "all"},
        }.items():
            t.refusal(what, ask("POST", url, body), 400)
        broken = {"headers": {"Content-Type": "application/json"}}
        t.refusal("half an object", ask("POST", url, data=b'{"delivery":', **broken), 400)
        t.refusal("a member twice", ask("POST", url, data=b'{"description":"a","description":"b"}', **broken), 400)
        t.refusal("a form", ask("POST", url, data={"a": "b"}), 400)

        requested = [wire.SESSION_REVOKED, wire.CREDENTIAL_CHANGE, "https://example.com/unknown"]
        body = {"delivery": {"method": wire.POLL}, "events_requested": requested, "description": "of Python"}
        response = ask("POST", url, body)
        t.equal("created", response.status_code, 201)
        self.stream = stream = response.json()
        t.equal("iss", stream["iss"], self.issuer)
        t.equal("aud", as_list(stream["aud"]), ["https://polled.example.org"])
        t.equal("requested", stream["events_requested"], requested)
        t.equal("delivered", sorted(stream["events_delivered"]), sorted(requested[:2]))
        t.equal("method", stream["delivery"]["method"], wire.POLL)
        t.equal("description", stream["description"], "of Python")
        t.refusal("a second stream", ask("POST", url, body), 409)

        at = {"params": {"stream_id": stream["stream_id"]}}
        t.equal("read", ask("GET", url, **at).json(), stream)
        t.equal("listed", ask("GET", url).json(), [stream])
        t.refusal("unknown", ask("GET", url, params={"stream_id": "unknown"}), 404)
        for method in ("GET", "DELETE"):
            t.refusal("somebody else's", self.other.ask(method, url, **at), 404)
        t.refusal("PATCH of somebody else's", self.other.ask("PATCH", url, {"stream_id": stream["stream_id"]}), 404)
        t.refusal("PATCH of what", ask("PATCH", url, {"description": "x"}), 400)
        mine = {"stream_id": stream["stream_id"]}
        t.refusal("another issuer", ask("PATCH", url, {**mine, "iss": "https://elsewhere.example"}), 400)
        changed = ask("PATCH", url, {**mine, "description": "changed", "iss": self.issuer})
        t.equal("PATCH", (changed.status_code, changed.json()["description"]), (200, "changed"))
        t.equal("what is absent stays", changed.json()["events_requested"], requested)
        t.holds("null removes", "description" not in ask("PATCH", url, {**mine, "description": None}).json())
        t.refusal("PUT without delivery", ask("PUT", url, {**mine, "events_requested": requested}), 400)
        body = {**mine, "delivery": {"method": wire.POLL}, "events_requested": [wire.SESSION_REVOKED]}
        replaced = ask("PUT", url, body)
        t.equal("PUT", replaced.status_code, 200)
        t.equal("PUT delivers", replaced.json()["events_delivered"], [wire.SESSION_REVOKED])
        t.holds("PUT removes what is absent", "description" not in replaced.json())
        self.stream = replaced.json()

    def receive(self):
        t, rx, stream = self.tally, self.polled, self.stream
        t.equal("nothing yet", rx.poll(stream), ({}, False))
        t.equal("emitted", self.emit(email("a")), 1)
        t.equal("an event that was not asked for", self.emit(email("a"), wire.CREDENTIAL_CHANGE), 0)
        sets, more = rx.poll(stream)
        (jti, claims), = sets.items()
        t.equal("one SET", (more, claims["sub_id"]), (False, email("a")))
        t.holds("its event", wire.SESSION_REVOKED in claims["events"])
        t.equal("not twice at once", rx.poll(stream)[0], {})
        t.equal("acknowledged", rx.poll(stream, ack=[jti], maxEvents=0), ({}, False))

        for name in ("b", "c", "d"):
            self.emit(email(name))
        seen, ack, errs = [], [], {}
        while True:
            sets, more = rx.poll(stream, maxEvents=1, ack=ack, setErrs=errs)
            for jti, claims in sets.items():
                seen.append(claims["sub_id"]["email"][0])
                if seen[-1] == "c":
                    ack, errs = [], {jti: {"err": "invalid_request", "description": "not understood"}}
                else:
                    ack, errs = [jti], {}
            if not more:
                break
        rx.poll(stream, ack=ack, setErrs=errs, maxEvents=0)
        t.equal("in order, one by one", seen, ["b", "c", "d"])
        t.equal("all done", rx.poll(stream)[0], {})

        # A long poll ends with the event.
        heard = []
        waiting = threading.Thread(target=lambda: heard.append((rx.poll(stream, returnImmediately=False), time.time())))
        waiting.start()
        time.sleep(0.5)
        t.equal("a long poll waits", heard, [])
        begun = time.time()
        self.emit(email("long"))
        waiting.join(20)
        (sets, _), ended = heard[0]
        t.holds("a long poll ends with the event", ended - begun < 1.0)
        t.equal("by a long poll", [one["sub_id"] for one in sets.values()], [email("long")])
        rx.poll(stream, ack=list(sets), maxEvents=0)

        url = stream["delivery"]["endpoint_url"]
        for what, body in {
            "maxEvents of a text": {"maxEvents": "1"},
            "ack that is no list": {"ack": "x"},
            "setErrs without a code": {"setErrs": {"x": {"description": "y"}}},
        }.items():
            t.refusal(what, rx.ask("POST", url, {"returnImmediately": True, **body}), 400)
        t.refusal("somebody else's poll", self.other.ask("POST", url, {"returnImmediately": True}), 404)
        t.refusal("poll by GET", rx.ask("GET", url), 405)

    def rule(self):
        t, rx, m, stream = self.tally, self.polled, self.metadata, self.stream
        mine = {"stream_id": stream["stream_id"]}
        status = m["status_endpoint"]
        t.equal("status", rx.ask("GET", status, params=mine).json(), {**mine, "status": "enabled"})
        paused = rx.ask("POST", status, {**mine, "status": "paused", "reason": "maintenance"})
        t.equal("paused", (paused.status_code, paused.json()["status"]), (200, "paused"))
        t.equal("held", self.emit(email("held")), 1)
        t.equal("nothing goes out", rx.poll(stream)[0], {})
        verify = m["verification_endpoint"]
        t.refusal("verification of a paused stream", rx.ask("POST", verify, {**mine, "state": "s"}), 400)
        t.equal("enabled", rx.ask("POST", status, {**mine, "status": "enabled"}).status_code, 200)
        sets, _ = rx.poll(stream)
        t.equal("what was held", [one["sub_id"] for one in sets.values()], [email("held")])
        rx.poll(stream, ack=list(sets), maxEvents=0)
        t.refusal("an unknown status", rx.ask("POST", status, {**mine, "status": "asleep"}), 400)
        t.refusal("status of what", rx.ask("GET", status), 400)
        t.refusal("somebody else's status", self.other.ask("GET", status, params=mine), 404)

        add, remove = m["add_subject_endpoint"], m["remove_subject_endpoint"]
        subject = {**mine, "subject": email("gone")}
        limited = rx.token("ssf.manage.subjects.add")
        t.refusal("a right to add is none to remove", rx.ask("POST", remove, subject, token=limited), 403)
        t.equal("removed", rx.ask("POST", remove, subject).status_code, 204)
        t.equal("removed again", rx.ask("POST", remove, subject).status_code, 204)
        t.equal("silence", self.emit(email("gone")), 0)
        added = rx.ask("POST", add, {**subject, "verified": True}, token=limited)
        t.equal("added", (added.status_code, added.content), (200, b""))
        t.equal("heard again", self.emit(email("gone")), 1)
        sets, _ = rx.poll(stream)
        rx.poll(stream, ack=list(sets), maxEvents=0)
        t.refusal("no subject", rx.ask("POST", add, mine), 400)
        t.refusal("half a subject", rx.ask("POST", add, {**mine, "subject": {"format": "email"}}), 400)
        t.refusal("somebody else's subjects", self.other.ask("POST", add, subject), 404)

        time.sleep(1.1)
        t.equal("verification", rx.ask("POST", verify, {**mine, "state": "state-1"}).status_code, 204)
        response = t.refusal("too often", rx.ask("POST", verify, {**mine, "state": "state-2"}), 429)
        t.holds("when to come back", int(response.headers["Retry-After"]) >= 1)
        sets, _ = rx.poll(stream)
        (jti, claims), = sets.items()
        t.equal("its subject", claims["sub_id"], {"format": "opaque", "id": stream["stream_id"]})
        t.equal("its state", claims["events"], {wire.VERIFICATION: {"state": "state-1"}})
        rx.poll(stream, ack=[jti], maxEvents=0)

    def be_pushed(self):
        t, rx, url = self.tally, self.pushed, self.metadata["configuration_endpoint"]
        seen, answers = [], []

        def answer(method, path, headers, body):
            status, extra, text = answers.pop(0) if answers else (202, {}, b"")
            seen.append((method, path, headers, body.decode(), status, time.time()))
            return status, extra, text

        port = wire.listen(answer, self.wanted["certificate"], self.wanted["key"])
        delivery = {
            "method": wire.PUSH,
            "endpoint_url": f"https://127.0.0.1:{port}/events",
            "authorization_header": "Bearer of-the-receiver",
        }
        response = rx.ask("POST", url, {"delivery": delivery, "events_requested": [wire.SESSION_REVOKED]})
        t.equal("created", response.status_code, 201)
        stream = response.json()
        t.equal("endpoint", stream["delivery"]["endpoint_url"], delivery["endpoint_url"])
        wire.say({"do": "push", "stream": stream["stream_id"]})
        wire.hear()
        invalid = (400, {"Content-Type": "application/json"}, b'{"err":"invalid_request","description":"no"}')
        # The first try fails, the second SET is refused for good, the third is asked for later.
        answers += [(500, {}, b""), (202, {}, b""), invalid, (429, {"Retry-After": "2"}, b""), (202, {}, b"")]
        for name in ("p1", "p2", "p3"):
            t.equal("emitted", self.emit(email(name)), 2)
        end = time.time() + 30
        while len(seen) < 5 and time.time() < end:
            time.sleep(0.05)
        names = []
        for method, path, headers, body, status, _ in seen:
            claims = wire.read_set(body, self.jwks, self.issuer, as_list(stream["aud"]))
            names.append((claims["sub_id"]["email"].split("@")[0], status))
            t.equal("how", (method, path), ("POST", "/events"))
            t.equal("type", headers["Content-Type"], "application/secevent+jwt")
            t.equal("its authorization", headers["Authorization"], "Bearer of-the-receiver")
        expected = [("p1", 500), ("p1", 202), ("p2", 400), ("p3", 429), ("p3", 202)]
        t.equal("in order, each until it is done", names, expected)
        t.equal("the same SET again", (seen[0][3], seen[3][3]), (seen[1][3], seen[4][3]))
        t.holds("as late as asked for", seen[4][5] - seen[3][5] >= 1.0)
        sets, _ = self.polled.poll(self.stream)
        t.holds("no SET for two", not {wire.read_set(one[3], self.jwks, self.issuer, as_list(stream["aud"]))["jti"]
                                       for one in seen} & set(sets))
        self.polled.poll(self.stream, ack=list(sets), maxEvents=0)
        gone = rx.ask("DELETE", url, params={"stream_id": stream["stream_id"]})
        t.equal("deleted", gone.status_code, 204)
        t.equal("only the other stream has it", self.emit(email("late")), 1)
        time.sleep(0.5)
        t.equal("nothing more is pushed", len(seen), 5)

    def end(self):
        t, rx, m, stream = self.tally, self.polled, self.metadata, self.stream
        at = {"params": {"stream_id": stream["stream_id"]}}
        gone = rx.ask("DELETE", m["configuration_endpoint"], **at)
        t.equal("deleted", (gone.status_code, gone.content), (204, b""))
        t.refusal("deleted twice", rx.ask("DELETE", m["configuration_endpoint"], **at), 404)
        t.refusal("read", rx.ask("GET", m["configuration_endpoint"], **at), 404)
        t.refusal("status", rx.ask("GET", m["status_endpoint"], **at), 404)
        t.refusal("poll", rx.ask("POST", stream["delivery"]["endpoint_url"], {"returnImmediately": True}), 404)
        mine = {"stream_id": stream["stream_id"]}
        t.refusal("verification", rx.ask("POST", m["verification_endpoint"], {**mine, "state": "s"}), 404)
        t.equal("nobody is left", self.emit(email("a")), 0)
        t.refusal("a method that there is not", rx.ask("OPTIONS", m["configuration_endpoint"]), 405)


def main(tally):
    scene = Scene(wire.hear(), tally)
    wire.say({"authority": scene.authority.as_dict(private=False)})
    wire.hear()
    for act in (scene.discover, scene.authorize, scene.configure, scene.receive, scene.rule, scene.be_pushed, scene.end):
        act()


wire.run(main)
