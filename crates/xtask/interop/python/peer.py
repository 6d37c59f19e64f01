"""One side of the exchange: python3 peer.py PEER make|check, JSON on standard input and output.

`make` gets algorithms and the other side's public keys, and makes keys and tokens.
`check` gets the other side's tokens, good and tampered with, and says which ones it accepts.
"""

import importlib
import json
import sys


def attempt(action, *arguments):
    """What the action returns, or what it says when it refuses."""
    try:
        return action(*arguments)
    except NotImplementedError as error:
        return {"unsupported": str(error) or "not implemented"}
    except Exception as error:  # Libraries raise many kinds; each of them is a refusal.
        return {"refused": f"{type(error).__name__}: {error}"}


def main():
    peer = importlib.import_module(f"{sys.argv[1]}_peer")
    request = json.load(sys.stdin)
    if sys.argv[2] == "make":
        answer = {name: [attempt(getattr(peer, f"make_{name}"), job) for job in jobs] for name, jobs in request.items()}
    else:
        answer = {
            name: [[attempt(getattr(peer, f"check_{name}"), job, token) for token in job["tokens"]] for job in jobs]
            for name, jobs in request.items()
        }
    json.dump(answer, sys.stdout)


main()
