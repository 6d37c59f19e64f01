// Clients of the authorization server: node oauth.mjs oauth4webapi|openid-client, JSON on standard input and output.
//
// The answer has what the library made of the server's metadata, and for each job the token response or the error as the
// library reads it: code, description, status, and the scheme of WWW-Authenticate.
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import * as oauth4webapi from "oauth4webapi";
import * as openid from "openid-client";

const JWT_SPIFFE = "urn:ietf:params:oauth:client-assertion-type:jwt-spiffe";

async function privateKey(pem) {
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  return crypto.subtle.importKey("pkcs8", der, { name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
}

// Both libraries take a function for a method that they do not know.
async function authentication(library, { client_id, auth }) {
  switch (auth.kind) {
    case "jwt_svid":
      return (_as, _client, body) => {
        body.set("client_assertion_type", JWT_SPIFFE);
        body.set("client_assertion", auth.assertion);
      };
    case "private_key_jwt":
      return library.PrivateKeyJwt({ key: await privateKey(auth.pem), kid: auth.kid });
    case "secret":
      return library.ClientSecretBasic("secret");
    default:
      return library.None();
  }
}

function refusal(error) {
  if (error?.code === "OAUTH_RESPONSE_BODY_ERROR" || error instanceof oauth4webapi.ResponseBodyError) {
    return { error: error.error, description: error.error_description, status: error.status };
  }
  const challenges = error instanceof oauth4webapi.WWWAuthenticateChallengeError ? error.cause : undefined;
  if (challenges) {
    return { challenge: challenges[0].scheme.toLowerCase(), status: error.status };
  }
  return { refused: `${error?.name}: ${error?.message}` };
}

const libraries = {
  async oauth4webapi({ issuer, jobs }) {
    const url = new URL(issuer);
    const response = await oauth4webapi.discoveryRequest(url, { algorithm: "oauth2" });
    const as = await oauth4webapi.processDiscoveryResponse(url, response);
    const answers = jobs.map(async (job) => {
      const client = { client_id: job.client_id };
      const method = await authentication(oauth4webapi, job);
      const parameters = new URLSearchParams(job.parameters);
      const answer = await oauth4webapi.genericTokenEndpointRequest(as, client, method, job.grant_type, parameters);
      return oauth4webapi.processGenericTokenEndpointResponse(as, client, answer);
    });
    return { metadata: as, answers };
  },

  async "openid-client"({ issuer, jobs }) {
    let metadata;
    const answers = jobs.map(async (job) => {
      const method = await authentication(openid, job);
      const config = await openid.discovery(new URL(issuer), job.client_id, undefined, method, { algorithm: "oauth2" });
      metadata = config.serverMetadata();
      return openid.genericGrantRequest(config, job.grant_type, new URLSearchParams(job.parameters));
    });
    await Promise.allSettled(answers);
    return { metadata, answers };
  },
};

const { metadata, answers } = await libraries[process.argv[2]](JSON.parse(readFileSync(0, "utf8")));
const settled = await Promise.allSettled(answers);
const read = settled.map(({ value, reason }) => (value ? { token: value } : refusal(reason)));
process.stdout.write(JSON.stringify({ metadata, answers: read }));
