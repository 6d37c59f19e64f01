"""One side of mutual TLS by Python's own `ssl`: python3 tls.py connect|serve, JSON on standard input and output.

Each job is one connection. `connect` reads a greeting, `serve` sends one, with the URI names of the other side. What went
wrong stands in its place: in TLS 1.3 a client learns only by reading that it was refused.
"""

import json
import socket
import ssl
import sys

VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


def context(job, side):
    made = ssl.SSLContext(side)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_REQUIRED
    made.minimum_version = made.maximum_version = VERSIONS[job["version"]]
    made.load_verify_locations(job["roots"])
    if "certificate" in job:
        made.load_cert_chain(job["certificate"], job["key"])
    return made


def uris(tls):
    return [name for kind, name in tls.getpeercert().get("subjectAltName", ()) if kind == "URI"]


def connect(job):
    with socket.create_connection(("127.0.0.1", job["port"]), timeout=10) as plain:
        with context(job, ssl.PROTOCOL_TLS_CLIENT).wrap_socket(plain, server_hostname="host.example") as tls:
            heard = b""
            while not heard.endswith(b"\n"):
                piece = tls.recv(4096)
                if not piece:
                    raise ConnectionError("closed")
                heard += piece
            return {"heard": heard.decode().strip(), "uris": uris(tls)}


def serve(listener, job):
    plain, _ = listener.accept()
    plain.settimeout(10)
    with plain, context(job, ssl.PROTOCOL_TLS_SERVER).wrap_socket(plain, server_side=True) as tls:
        found = uris(tls)
        tls.sendall(f"hello {' '.join(found)}\n".encode())
        tls.recv(1)
        return {"uris": found}


def attempt(action, *arguments):
    try:
        return action(*arguments)
    except OSError as error:
        return {"refused": f"{type(error).__name__}: {error}"}


def main():
    jobs = json.load(sys.stdin)
    if sys.argv[1] == "connect":
        answers = [attempt(connect, job) for job in jobs]
    else:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            print(listener.getsockname()[1], flush=True)
            listener.settimeout(30)
            answers = [attempt(serve, listener, job) for job in jobs]
    print(json.dumps(answers))


main()
