// The client of the MCP TypeScript SDK with a metadata document for an identifier: node mcp.mjs clients, JSON on standard
// input and output. It serves the documents itself, one for each job, and goes through the whole authorization.
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { auth } from "@modelcontextprotocol/sdk/client/auth.js";
import { PrivateKeyJwtProvider } from "@modelcontextprotocol/sdk/client/auth-extensions.js";

const { server, redirect, certificate, key, jobs, keyed } = JSON.parse(readFileSync(0, "utf8"));

const documents = new Map();
const host = createServer({ cert: readFileSync(certificate), key: readFileSync(key) }, (request, response) => {
  const { status = 200, headers = {}, body = "" } = documents.get(request.url) ?? { status: 404 };
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(body);
});
await new Promise((resolve) => host.listen(0, "127.0.0.1", resolve));

class Client {
  clientMetadata = {
    client_name: "Interop client",
    redirect_uris: [redirect],
    grant_types: ["authorization_code"],
    response_types: ["code"],
    token_endpoint_auth_method: "none",
  };
  redirectUrl = redirect;
  saved = {};

  constructor(url) {
    this.clientMetadataUrl = url;
  }
  state() {
    return "state-1";
  }
  clientInformation() {
    return this.saved.client;
  }
  saveClientInformation(client) {
    this.saved.client = client;
  }
  tokens() {
    return this.saved.tokens;
  }
  saveTokens(tokens) {
    this.saved.tokens = tokens;
  }
  saveCodeVerifier(verifier) {
    this.saved.verifier = verifier;
  }
  codeVerifier() {
    return this.saved.verifier;
  }
  // What the browser of a user would do.
  async redirectToAuthorization(url) {
    this.authorization = await fetch(url, { redirect: "manual" });
  }
}

async function run({ name, change = {}, status, headers, fill = 0, uri = redirect }) {
  const url = `https://localhost:${host.address().port}/${name}.json`;
  const client = new Client(url);
  const document = { client_id: url, ...client.clientMetadata, ...change };
  documents.set(`/${name}.json`, { status, headers, body: JSON.stringify(document) + " ".repeat(fill) });
  client.redirectUrl = uri;
  await auth(client, { serverUrl: server });
  const answer = client.authorization;
  if (answer.status !== 302) {
    return { refused: `${answer.status}: ${await answer.text()}` };
  }
  const code = new URL(answer.headers.get("location")).searchParams.get("code");
  const result = await auth(client, { serverUrl: server, authorizationCode: code });
  return { client_id: client.saved.client.client_id, expected: url, result, token: client.saved.tokens.access_token };
}

const answers = [];
for (const job of jobs) {
  answers.push(await run(job).catch((error) => ({ refused: `${error.name}: ${error.message}` })));
}

// And a client with a key, without any user.
const provider = new PrivateKeyJwtProvider({
  clientId: keyed.client_id,
  privateKey: keyed.pem,
  algorithm: "ES256",
  jwtLifetimeSeconds: 60,
  expectedIssuer: new URL(server).origin,
});
await auth(provider, { serverUrl: server });
process.stdout.write(JSON.stringify({ answers, keyed: provider.tokens() }));
host.close();
host.closeAllConnections();
