//! Our client at the server of npm `oidc-provider`.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use cimd::server::Publisher;
use http::{HeaderMap, Response};
use jose_x509::dpop::Htu;
use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, SigningKey, jwt};
use oauth_spiffe_client_auth::assertion::sign_client_assertion;
use oauth_spiffe_client_auth::attestation::{
    Answer, Attempt, AttestationIssuer, CLIENT_ATTESTATION_POP, ChallengeMemory, HeldAttestation,
    Next, Server,
};
use oauth_spiffe_client_auth::client::{OutgoingRequest, with_client_assertion};
use oauth_spiffe_client_auth::{Method, ServerMetadata, pop};
use serde_json::{Value, json};
use token_exchange::{
    GRANT_TYPE, ResourceIndicator, ScopeSet, TokenExchangeRequest, TokenExchangeResponse, TokenType,
};
use tokio::net::TcpListener;
use tokio::runtime::{Handle, Runtime};

use super::net::{HOST_NAME, Tls};
use super::server::{KEYED, MAIL, USER};
use crate::interop::peers::{Peer, Running};
use crate::interop::report::{Direction, Report, Tally};
use crate::interop::svid::{PROVIDER, now};

const ATTESTED: &str = "attested";
const OTHER: &str = "https://other.example";

/// The peer's server and what our clients have.
struct Scene {
    tls: Tls,
    runtime: Handle,
    server: ServerMetadata,
    keyed: SigningKey,
    attester: AttestationIssuer<SigningKey>,
    users: SigningKey,
    document: String,
    _running: Running,
}

pub(super) fn run(peer: &Peer, tls: &Tls, runtime: &Runtime, report: &mut Report) -> Result<()> {
    let scene = Scene::new(peer, tls, runtime)?;
    let mut exchange = |subject, run: fn(&Scene, &mut Tally) -> Result<()>| {
        report.exchange(subject, peer.name, Direction::Ours, |tally| {
            run(&scene, tally)
        });
    };
    exchange("OAuth private_key_jwt", Scene::assertions);
    exchange("OAuth client attestation", Scene::attestations);
    exchange("OAuth token exchange", Scene::exchanges);
    exchange("OAuth client id metadata document", Scene::documents);
    Ok(())
}

fn key() -> Result<SigningKey> {
    Ok(SigningKey::generate(&PROVIDER, Algorithm::Es256)?.with_thumbprint_kid())
}

impl Scene {
    fn new(peer: &Peer, tls: &Tls, runtime: &Runtime) -> Result<Self> {
        let (keyed, attester, users) = (key()?, key()?, key()?);
        let grants = ["client_credentials", GRANT_TYPE];
        let keys = json!({"keys": [keyed.public_jwk()]});
        let request = json!({
            "certificate": tls.certificate, "key": tls.key,
            "attester": attester.public_jwk(), "users": users.public_jwk(),
            "clients": [
                {"client_id": KEYED, "token_endpoint_auth_method": "private_key_jwt", "jwks": keys, "grant_types": grants,
                    "token_endpoint_auth_signing_alg": "ES256"},
                {"client_id": ATTESTED, "token_endpoint_auth_method": "attest_jwt_client_auth",
                    "grant_types": ["client_credentials"]},
            ],
        });
        let mut command = peer.command("serve");
        command.env("NODE_EXTRA_CA_CERTS", &tls.ca);
        let mut running = Running::start_with(&mut command, &request)?;
        let said = running.line()?;
        let port: u16 = said
            .trim()
            .parse()
            .with_context(|| said.trim().to_owned())?;
        let issuer = format!("https://{HOST_NAME}:{port}");
        let url = format!("{issuer}/.well-known/openid-configuration");
        let metadata = runtime.block_on(tls.get(&url))?;
        let server = ServerMetadata::authorization_server(&issuer, metadata.body())?;
        let document = serve_document(tls, runtime, &keys)?;
        Ok(Self {
            tls: tls.clone(),
            runtime: runtime.handle().clone(),
            server,
            keyed,
            attester: AttestationIssuer::new(attester),
            users,
            document,
            _running: running,
        })
    }

    fn send(&self, request: OutgoingRequest, method: Method) -> Result<Response<Vec<u8>>> {
        let request = request
            .into_request(&self.server, method)?
            .map(String::into_bytes);
        self.runtime.block_on(self.tls.send(request))
    }

    /// With a client assertion, made before.
    fn with_assertion(
        &self,
        mut request: OutgoingRequest,
        assertion: &str,
    ) -> Result<Response<Vec<u8>>> {
        with_client_assertion(&mut request.form, None, assertion);
        self.send(request, Method::PrivateKeyJwt)
    }

    fn assertion(
        &self,
        key: &SigningKey,
        client_id: &str,
        server: &ServerMetadata,
    ) -> Result<String> {
        Ok(sign_client_assertion(
            key,
            &PROVIDER,
            client_id,
            server,
            now()?,
        )?)
    }

    fn assertions(&self, tally: &mut Tally) -> Result<()> {
        let methods = [Method::PrivateKeyJwt, Method::SpiffeJwt];
        let chosen = self.server.choose_method(&methods);
        tally.accepts("metadata", chosen, &Method::PrivateKeyJwt)?;
        let assertion = self.assertion(&self.keyed, KEYED, &self.server)?;
        let good = self.with_assertion(for_itself(), &assertion)?;
        tally.accepts("assertion", issued(&good), &())?;
        let other = ServerMetadata::configured(OTHER, &format!("{OTHER}/token"), &methods)?;
        for (name, assertion) in [
            ("the same assertion again", assertion),
            ("another key", self.assertion(&key()?, KEYED, &self.server)?),
            (
                "another server",
                self.assertion(&self.keyed, KEYED, &other)?,
            ),
            (
                "another client",
                self.assertion(&self.keyed, "stranger", &self.server)?,
            ),
        ] {
            refused(
                name,
                &self.with_assertion(for_itself(), &assertion)?,
                "invalid_client",
                tally,
            )?;
        }
        Ok(())
    }

    fn attestations(&self, tally: &mut Tally) -> Result<()> {
        let methods = [Method::AttestJwt];
        let chosen = self.server.choose_method(&methods);
        tally.accepts("metadata", chosen, &Method::AttestJwt)?;
        let instance = key()?;
        let attest = |attester: &AttestationIssuer<SigningKey>, key: &SigningKey| {
            attester
                .issue(ATTESTED, &key.public_jwk(), now()?)
                .context("the attestation")
        };
        let attestation = attest(&self.attester, &instance)?;
        let endpoint = Htu::parse(self.server.token_endpoint(Method::AttestJwt)?)?;
        let peer = Server::authorization(self.server.identifier(), &endpoint);
        let mut memory = ChallengeMemory::default();

        // The server has a challenge for us, which the second proof has in it.
        let held = HeldAttestation::new(attestation, instance)?;
        let mut attempt = Attempt::first(&peer, &memory);
        let (headers, good) = loop {
            let mut request = for_itself();
            held.attach(
                &mut request.headers,
                self.server.identifier(),
                attempt.challenge(),
                now()?,
            )?;
            let headers = request.headers.clone();
            let response = self.send(request, Method::AttestJwt)?;
            let answer = Answer::new(response.status(), response.headers(), response.body());
            match attempt.after(&answer, &mut memory)? {
                Next::Again(next) => attempt = next,
                Next::FreshAttestation => bail!("the attestation is not fresh"),
                Next::Done => break (headers, response),
            }
        };
        tally.accepts("attestation", issued(&good), &())?;
        let challenge = memory.get(&peer);
        tally.accepts(
            "challenge",
            challenge.map(|_| true).ok_or("none came"),
            &true,
        )?;

        let attempt = |held: &HeldAttestation| -> Result<HeaderMap> {
            let mut headers = HeaderMap::new();
            held.attach(&mut headers, self.server.identifier(), challenge, now()?)?;
            Ok(headers)
        };
        let stranger = key()?;
        let by_stranger = attest(&AttestationIssuer::new(key()?), &stranger)?;
        let mut by_another_key = attempt(&held)?;
        let proof = pop::sign(
            &stranger,
            &PROVIDER,
            self.server.identifier(),
            challenge,
            now()?,
        )?;
        by_another_key.insert(CLIENT_ATTESTATION_POP, proof.parse()?);
        let mut elsewhere = HeaderMap::new();
        held.attach(&mut elsewhere, OTHER, challenge, now()?)?;
        for (name, headers) in [
            ("the same proof again", headers),
            (
                "another attester",
                attempt(&HeldAttestation::new(by_stranger, stranger)?)?,
            ),
            ("a proof by another key", by_another_key),
            ("a proof for another server", elsewhere),
        ] {
            let mut request = for_itself();
            request.headers = headers;
            refused(
                name,
                &self.send(request, Method::AttestJwt)?,
                "invalid_client",
                tally,
            )?;
        }
        Ok(())
    }

    fn exchanges(&self, tally: &mut Tally) -> Result<()> {
        let token = |key: &SigningKey| -> Result<String> {
            let exp = now()?.as_secs() + 60;
            let claims = json!({"sub": USER, "aud": KEYED, "exp": exp});
            Ok(jwt::sign(key, &ProtectedHeader::new("at+jwt"), &claims)?)
        };
        let request = |token: String, target: &str| -> Result<TokenExchangeRequest> {
            let request = TokenExchangeRequest::new(token, TokenType::AccessToken);
            let mut request = request.with_resource(ResourceIndicator::parse(target)?)?;
            request.scope = Some(ScopeSet::parse("mail.read")?);
            Ok(request)
        };
        let send = |request: &TokenExchangeRequest| -> Result<_> {
            let body = request.to_request(self.server.token_endpoint(Method::PrivateKeyJwt)?)?;
            let form: Vec<_> = form_urlencoded::parse(body.body()).into_owned().collect();
            let form = form
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()));
            let assertion = self.assertion(&self.keyed, KEYED, &self.server)?;
            let response = self.with_assertion(OutgoingRequest::new(form), &assertion)?;
            let requested = Some(&TokenType::AccessToken);
            let (status, headers) = (response.status(), response.headers());
            Ok(TokenExchangeResponse::parse(
                status,
                headers,
                response.body(),
                requested,
            ))
        };
        let good = send(&request(token(&self.users)?, MAIL)?)?;
        let read = good.map(|read| (read.token, read.expires_in, read.scope));
        let expected = (
            format!("exchanged for {USER}"),
            Some(60),
            Some(ScopeSet::parse("mail.read")?),
        );
        tally.accepts("exchange", read, &expected)?;
        let mut other_type = request(token(&self.users)?, MAIL)?;
        other_type.subject.token_type = TokenType::Saml2;
        for (name, request, error) in [
            (
                "another target",
                request(token(&self.users)?, "https://files.example/")?,
                "invalid_target",
            ),
            (
                "another key",
                request(token(&key()?)?, MAIL)?,
                "invalid_request",
            ),
            ("another type", other_type, "invalid_request"),
        ] {
            let heard = send(&request)?;
            tally.refuses(name, &heard)?;
            if let Some(read) = heard
                .err()
                .filter(|read| !read.to_string().ends_with(error))
            {
                bail!("{name}: read as {read}");
            }
        }
        Ok(())
    }

    /// The server fetches the document that we publish, and takes the keys in it.
    fn documents(&self, tally: &mut Tally) -> Result<()> {
        let good = self.assertion(&self.keyed, &self.document, &self.server)?;
        tally.accepts(
            "document",
            issued(&self.with_assertion(for_itself(), &good)?),
            &(),
        )?;
        let missing = self.document.replace("client.json", "missing.json");
        for (name, key, client_id) in [
            ("another key", &key()?, &self.document),
            ("no document", &self.keyed, &missing),
        ] {
            let assertion = self.assertion(key, client_id, &self.server)?;
            refused(
                name,
                &self.with_assertion(for_itself(), &assertion)?,
                "invalid_client",
                tally,
            )?;
        }
        Ok(())
    }
}

/// A request for a token of the client itself.
fn for_itself() -> OutgoingRequest {
    OutgoingRequest::new([("grant_type", "client_credentials")])
}

/// Publishes the document of a client on a server of its own, and says its URL.
fn serve_document(tls: &Tls, runtime: &Runtime, keys: &Value) -> Result<String> {
    let listener = runtime.block_on(TcpListener::bind(("127.0.0.1", 0)))?;
    let port = listener.local_addr()?.port();
    let url = format!("https://{HOST_NAME}:{port}/client.json");
    let publisher = Publisher::new(&url)?
        .member("client_name", "Interop client")
        .member("jwks", keys.clone())
        .member("grant_types", json!(["client_credentials"]))
        .member("redirect_uris", json!([]))
        .member("response_types", json!([]))
        .member("token_endpoint_auth_signing_alg", "ES256")
        .build()?;
    let publisher = Arc::new(publisher);
    runtime.spawn(tls.clone().serve(listener, move |request| {
        let publisher = Arc::clone(&publisher);
        async move {
            let path = request
                .uri()
                .path_and_query()
                .map_or("/", |path| path.as_str());
            publisher.respond(request.method(), path, request.headers())
        }
    }));
    Ok(url)
}

fn issued(response: &Response<Vec<u8>>) -> Result<()> {
    let body: Value = serde_json::from_slice(response.body())?;
    match body.get("access_token") {
        Some(token) if token.is_string() && response.status() == 200 => Ok(()),
        _ => bail!("{}: {body}", response.status()),
    }
}

fn refused(name: &str, response: &Response<Vec<u8>>, error: &str, tally: &mut Tally) -> Result<()> {
    tally.refuses(name, &issued(response))?;
    let body: Value = serde_json::from_slice(response.body())?;
    if body.get("error").is_none_or(|read| read != error) {
        bail!("{name}: {}: {body}", response.status());
    }
    Ok(())
}
