// The server of npm `oidc-provider`: node oidc_provider.mjs, JSON on standard input. It says its port and serves until it is
// ended. With client assertions (RFC 7523), client attestations, metadata documents of clients and token exchange as
// a grant of its own.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import * as jose from "jose";

process.on("uncaughtException", (error) => {
  process.stdout.write(`${error.message}\n`, () => process.exit(1));
});

// Node.js has it from version 22 on, and the provider reads URLs of clients with it.
URL.parse ??= (text, base) => (URL.canParse(text, base) ? new URL(text, base) : null);
const { default: Provider, errors } = await import("oidc-provider");

const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";
const ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token";
const { certificate, key, clients, attester, users } = JSON.parse(readFileSync(0, "utf8"));

const server = createServer({ cert: readFileSync(certificate), key: readFileSync(key) });
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `https://localhost:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: clients.map((client) => ({ redirect_uris: [], response_types: [], ...client })),
  clientAuthMethods: ["private_key_jwt", "attest_jwt_client_auth"],
  scopes: ["mail.read", "mail.send"],
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    dPoP: { enabled: false },
    attestClientAuth: {
      enabled: true,
      ack: "draft-12",
      challengeSecret: Buffer.alloc(32, 7),
      getAttestationSignaturePublicKey: (_ctx, header) => jose.importJWK(attester, header.alg),
    },
    clientIdMetadataDocument: { enabled: true, ack: "draft-02" },
  },
  // Without the guard of the provider against addresses such as this machine's own.
  fetch: (url, { dispatcher, ...options }) => fetch(url, options),
});

// A user's token, by a key that is known here, for one of the clients.
provider.registerGrantType(
  EXCHANGE,
  async (ctx) => {
    const { subject_token, subject_token_type, requested_token_type = ACCESS_TOKEN, resource, scope } = ctx.oidc.params;
    if (subject_token_type !== ACCESS_TOKEN || requested_token_type !== ACCESS_TOKEN) {
      throw new errors.InvalidRequest("unsupported token type");
    }
    if (resource !== "https://mail.example/") {
      throw new errors.InvalidTarget();
    }
    const signed = await jose
      .jwtVerify(subject_token, await jose.importJWK(users, "ES256"), { audience: ctx.oidc.client.clientId })
      .catch(() => {
        throw new errors.InvalidRequest("subject_token is not acceptable");
      });
    const access_token = `exchanged for ${signed.payload.sub}`;
    ctx.body = { access_token, issued_token_type: ACCESS_TOKEN, token_type: "Bearer", expires_in: 60, scope };
  },
  ["subject_token", "subject_token_type", "requested_token_type", "resource", "audience", "scope"],
  ["resource", "audience"],
);

server.on("request", provider.callback());
process.stdout.write(`${server.address().port}\n`);
