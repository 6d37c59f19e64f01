// One side of the exchange, as python/peer.py: node peer.mjs make|check, JSON on standard input and output.
import { readFileSync } from "node:fs";
import * as jose from "jose";

const decoder = new TextDecoder();
const encoder = new TextEncoder();

const keyOptions = (kind) => (kind === "RSA" ? { modulusLength: 2048 } : { crv: kind });

const peer = {
  async make_jws({ alg, header, payload }) {
    const { publicKey, privateKey } = await jose.generateKeyPair(alg, { extractable: true });
    const jwk = await jose.exportJWK(publicKey);
    return {
      token: await new jose.CompactSign(encoder.encode(payload)).setProtectedHeader({ alg, ...header }).sign(privateKey),
      jwk,
      spki_pem: await jose.exportSPKI(publicKey),
      pkcs8_pem: await jose.exportPKCS8(privateKey),
      thumbprint: await jose.calculateJwkThumbprint(jwk),
    };
  },

  async check_jws({ alg, jwk }, token) {
    const key = await jose.importJWK(jwk, alg);
    const { payload } = await jose.compactVerify(token, key, { algorithms: [alg] });
    return { payload: decoder.decode(payload) };
  },

  async check_jwt({ alg, jwk, typ, issuer, audience, now }, token) {
    const options = { algorithms: [alg], typ, issuer, audience, currentDate: new Date(now * 1000), requiredClaims: ["sub", "exp", "iat"] };
    const { payload } = await jose.jwtVerify(token, await jose.importJWK(jwk, alg), options);
    return { payload: JSON.stringify(payload) };
  },

  async check_jwt_svid({ bundle, audience }, token) {
    const { alg, kid } = jose.decodeProtectedHeader(token);
    const found = bundle.keys.find((key) => key.use === "jwt-svid" && key.kid === kid);
    if (!found) {
      throw new Error("no key");
    }
    const { use, ...jwk } = found;
    const options = { audience, typ: "JWT", requiredClaims: ["sub", "exp"] };
    const { payload } = await jose.jwtVerify(token, await jose.importJWK(jwk, alg), options);
    return { payload: payload.sub };
  },

  async make_jwe({ alg, enc, kind, jwk, payload, header }) {
    const own = await jose.generateKeyPair(alg, { extractable: true, ...keyOptions(kind) });
    return {
      token: await new jose.CompactEncrypt(encoder.encode(payload))
        .setProtectedHeader({ alg, enc, ...header })
        .encrypt(await jose.importJWK(jwk, alg)),
      jwk: await jose.exportJWK(own.publicKey),
      private_jwk: await jose.exportJWK(own.privateKey),
    };
  },

  async check_jwe({ alg, enc, private_jwk }, token) {
    const key = await jose.importJWK(private_jwk, alg);
    const options = { keyManagementAlgorithms: [alg], contentEncryptionAlgorithms: [enc] };
    const { plaintext } = await jose.compactDecrypt(token, key, options);
    return { payload: decoder.decode(plaintext) };
  },
};

async function attempt(action, ...rest) {
  try {
    return await action(...rest);
  } catch (error) {
    const kind = error instanceof jose.errors.JOSENotSupported ? "unsupported" : "refused";
    return { [kind]: `${error.name}: ${error.message}` };
  }
}

const mode = process.argv[2];
const answer = {};
for (const [name, jobs] of Object.entries(JSON.parse(readFileSync(0, "utf8")))) {
  answer[name] = [];
  for (const job of jobs) {
    if (mode === "make") {
      answer[name].push(await attempt(peer[`make_${name}`], job));
    } else {
      const verdicts = [];
      for (const token of job.tokens) {
        verdicts.push(await attempt(peer[`check_${name}`], job, token));
      }
      answer[name].push(verdicts);
    }
  }
}
process.stdout.write(JSON.stringify(answer));
