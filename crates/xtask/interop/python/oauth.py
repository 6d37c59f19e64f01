"""Clients of the authorization server: python3 oauth.py authlib|requests-oauthlib, JSON on standard input and output.

The answer has for each job the token response, or the error as the library reads it.
"""

import json
import sys
import time

JWT_SPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe"


def authlib(request, job):
    from authlib.common.urls import add_params_to_qs
    from authlib.integrations.base_client.errors import OAuthError
    from authlib.integrations.requests_client import OAuth2Session
    from authlib.oauth2.rfc7523 import PrivateKeyJWT
    from joserfc.jwk import ECKey

    auth, method = job["auth"], "none"
    session = OAuth2Session(job["client_id"])
    if auth["kind"] == "jwt_svid":
        # A method of one's own is a function of method, URL, header fields and body.
        def jwt_svid(_client, _method, uri, headers, body):
            assertion = [("client_assertion_type", JWT_SPIFFE), ("client_assertion", auth["assertion"])]
            return uri, headers, add_params_to_qs(body, assertion)

        method = "spiffe_jwt"
        session.register_client_auth_method((method, jwt_svid))
    elif auth["kind"] == "private_key_jwt":
        method = "private_key_jwt"
        session.client_secret = ECKey.import_key(auth["pem"])
        # By default the audience is the endpoint and not the issuer identifier, against RFC 10070, and the assertion lives for
        # an hour, which is longer than the server lets it.
        claims, headers = {"exp": int(time.time()) + 60}, {"kid": auth["kid"]}
        by_key = PrivateKeyJWT(request["issuer"], claims=claims, headers=headers, alg="ES256")
        session.register_client_auth_method(by_key)
    elif auth["kind"] == "secret":
        method = "client_secret_basic"
        session.client_secret = "secret"
    session.token_endpoint_auth_method = method
    try:
        parameters = {name: value for name, value in job["parameters"]}
        options = {"grant_type": job["grant_type"], "verify": request["ca"]}
        token = session.fetch_token(request["token_endpoint"], **options, **parameters)
        return {"token": token}
    except OAuthError as error:
        return {"error": error.error, "description": error.description}


def requests_oauthlib(request, job):
    from oauthlib.oauth2 import BackendApplicationClient
    from oauthlib.oauth2.rfc6749.errors import OAuth2Error
    from requests_oauthlib import OAuth2Session

    client = BackendApplicationClient(job["client_id"])
    client.grant_type = job["grant_type"]
    session = OAuth2Session(client=client)
    # Without `client_id` in the body it would send a secret, an empty one if need be.
    auth, options = job["auth"], {"include_client_id": True}
    if auth["kind"] == "jwt_svid":
        options |= {"client_assertion_type": JWT_SPIFFE, "client_assertion": auth["assertion"]}
    elif auth["kind"] == "private_key_jwt":
        return {"unsupported": "it has no client assertions"}
    elif auth["kind"] == "secret":
        options = {"client_secret": "secret"}
    try:
        parameters = {name: value for name, value in job["parameters"]}
        token = session.fetch_token(request["token_endpoint"], verify=request["ca"], **options, **parameters)
        return {"token": token}
    except OAuth2Error as error:
        return {"error": error.error, "description": error.description}


def main():
    request = json.load(sys.stdin)
    run = {"authlib": authlib, "requests-oauthlib": requests_oauthlib}[sys.argv[1]]
    answers = []
    for job in request["jobs"]:
        try:
            answers.append(run(request, job))
        except Exception as error:  # Libraries raise many kinds; each of them is a finding.
            answers.append({"refused": f"{type(error).__name__}: {error}"})
    json.dump({"answers": answers}, sys.stdout)


main()
