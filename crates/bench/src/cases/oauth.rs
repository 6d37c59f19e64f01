//! A token request: the client by its JWT-SVID, and a whole token exchange.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use http::request::Parts;
use http::{Request, Response};
use jose_x509::jws::ProtectedHeader;
use jose_x509::jwt::{self, Audience, Issuer, Type, Validator};
use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey};
use oauth_spiffe_client_auth::client::with_jwt_svid;
use oauth_spiffe_client_auth::server::TokenRequest;
use oauth_spiffe_client_auth::{ClientAuthenticator, Parameters, RegisteredClient};
use pki_types::UnixTime;
use serde_json::json;
use spiffe_bundle::{Bundle, BundleSet};
use spiffe_id::{SpiffeIdPattern, TrustDomain};
use svid::jwt::JwtSvidIssuer;
use token_exchange::{
    AuthenticatedClient, Caller, ExchangePolicy, ExchangeService, Form, JwtAccessTokens, JwtTokens,
    Party, PartyKind, Permissions, ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet,
    TokenExchangeRequest, TokenType, Transport,
};

use super::{Planned, with_yardstick};
use crate::backend::Backend;
use crate::bar::Bar;
use crate::fixtures::{Key, SUBJECT, four_keys};
use crate::harness::{Case, Work};

const ISSUER: &str = "https://as.prod.example.org";
const API: &str = "https://ledger.payments.prod.example.org/";
const CLIENT: &str = "settlement";

pub(super) fn plan(cases: &mut Vec<Planned>, backend: Backend) {
    let name = format!("oauth-client-jwt-svid/{}", backend.name());
    cases.push(Planned::new(name, move |name| client(name, backend)));
    let name = format!("oauth-token-exchange/{}", backend.name());
    cases.push(Planned::new(name, move |name| exchange(name, backend)));
}

/// A server's knowledge of its clients, and the JWT-SVID of one.
struct Clients {
    authenticator: ClientAuthenticator<BundleSet>,
    registered: Vec<RegisteredClient>,
    replay: MemoryReplayGuard,
    svid: String,
    signer: Key,
}

impl Clients {
    fn new(backend: Backend) -> Self {
        let provider = backend.provider();
        let (others, signer) = four_keys(Algorithm::Es256);
        let home = TrustDomain::parse("prod.example.org").expect("a trust domain");
        let bundle = others
            .iter()
            .chain([&signer])
            .fold(Bundle::builder(&provider, home.clone()), |builder, key| {
                builder.with_jwt_authority(&key.jwk())
            });
        let mut bundles = BundleSet::new();
        let bundle = bundle.build().expect("the keys are sound");
        bundles.install(bundle).expect("the first one");
        let svid = JwtSvidIssuer::new(signer.signing_key(&provider), home)
            .expect("the key has a name")
            .issue(
                &SUBJECT.parse().expect("a SPIFFE ID"),
                ISSUER,
                Duration::from_secs(3500),
                UnixTime::now(),
            )
            .expect("the workload is at home");
        let workloads = "spiffe://prod.example.org/ns/payments/*";
        let workloads = SpiffeIdPattern::parse(workloads).expect("a pattern");
        Self {
            authenticator: ClientAuthenticator::new(ISSUER, bundles, provider),
            registered: vec![RegisteredClient::new(CLIENT, workloads)],
            replay: MemoryReplayGuard::new(1000),
            svid,
            signer,
        }
    }

    fn authenticate<'a>(&self, parts: &'a Parts, form: impl Into<Parameters<'a>>) -> String {
        let request = TokenRequest::new(parts, form, &[]);
        let now = UnixTime::now();
        let client = self
            .authenticator
            .authenticate(&request, &self.registered, &self.replay, now);
        client.expect("the SVID is good").client.client_id
    }
}

/// The form has been read already; the floor is the SVID's signature.
fn client(name: &str, backend: Backend) -> Case {
    let clients = Clients::new(backend);
    let floor = backend.bare_verify(&clients.signer, &clients.svid);
    let (parts, ()) = request().into_parts();
    let mut form = vec![("grant_type".to_owned(), "client_credentials".to_owned())];
    with_jwt_svid(&mut form, Some(CLIENT), &clients.svid);
    let ours = Work::new(move || clients.authenticate(&parts, black_box(&form)));
    with_yardstick(Case::new(name, ours).floor("the signature alone", floor))
        .bar(Bar::OverFloor { at_most: 3000.0 })
}

fn request() -> Request<()> {
    Request::post("/token")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(())
        .expect("a request")
}

/// From the bytes of the form to those of the answer.
fn exchange(name: &str, backend: Backend) -> Case {
    let clients = Clients::new(backend);
    let (_, signer) = four_keys(Algorithm::Es256);
    let key = Arc::new(signer.signing_key(&backend.provider()));
    let now = UnixTime::now().as_secs();
    let subject = json!({
        "iss": ISSUER, "sub": "user-4821", "aud": SUBJECT, "client_id": CLIENT, "iat": now, "exp": now + 3500,
        "jti": "kJ2h8Yw0aQ5tZr3uXn7bVg", "scope": "ledger.read ledger.post ledger.close reports.read",
    });
    let subject = jwt::sign(&key, &ProtectedHeader::new("at+jwt"), &subject).expect("it signs");
    let mut wanted = TokenExchangeRequest::new(subject.clone(), TokenType::AccessToken);
    wanted.scope = ScopeSet::parse("ledger.read ledger.post").ok();
    wanted.resources = vec![ResourceIndicator::parse(API).expect("a resource")];
    let mut body = wanted.to_form();
    for (name, value) in assertion(&clients.svid) {
        body.push('&');
        body.push_str(&oauth_spiffe_client_auth::client::encode(&[(name, value)]));
    }

    let service = service(backend, &key);
    let (parts, ()) = request().into_parts();
    let mut floor = [
        backend.bare_verify(&clients.signer, &clients.svid),
        backend.bare_verify(&signer, &subject),
        backend.bare_sign(&signer, subject.into_bytes()),
    ];
    let floor = Work::new(move || floor.each_mut().map(Work::once));
    let answer = move |body: &[u8]| -> Response<Vec<u8>> {
        let form = Form::from_request(&parts, body).expect("the form is good");
        let client = AuthenticatedClient::new(clients.authenticate(&parts, &*form));
        let caller = Caller::client(&client, Transport::Tls);
        service.handle_form(&form, &caller, UnixTime::now()).0
    };
    let ours = Work::new(move || {
        let answer = answer(black_box(body.as_bytes()));
        assert!(answer.status().is_success(), "the request is good");
        answer
    });
    let floor_name = "two signatures verified and one made";
    with_yardstick(Case::new(name, ours).floor(floor_name, floor))
        .bar(Bar::OverFloor { at_most: 12_000.0 })
}

fn assertion(svid: &str) -> Vec<(String, String)> {
    let mut form = Vec::new();
    with_jwt_svid(&mut form, Some(CLIENT), svid);
    form
}

fn service(backend: Backend, key: &Arc<SigningKey>) -> ExchangeService {
    let reason = "the exchange ties the token to its actor";
    let own = Validator::new(
        Type::OneOf(&["at+jwt"]),
        Issuer::Exactly(ISSUER.to_owned()),
        Audience::NotApplicable { reason },
    );
    let keys = Arc::new(key.verifying_key().expect("the key is sound"));
    let tokens = JwtTokens::new().with_issuer(ISSUER, own, keys, PartyKind::User);
    let api = ResourceIndicator::parse(API).expect("a resource");
    let scopes = |text| ScopeSet::parse(text).expect("scopes");
    let (subject, issued) = (TokenType::AccessToken, TokenType::AccessToken);
    let may = scopes("ledger.read ledger.post reports.read");
    let may = Permissions::new(Party::new(SUBJECT), PartyKind::Workload, may);
    let server = ResourceServer::new(api.clone(), scopes("ledger.read ledger.post ledger.close"));
    ExchangeService::new(
        ISSUER,
        &backend.provider(),
        ExchangePolicy::new(Duration::from_secs(300)),
        ResourceRegistry::new([server]),
    )
    .accept(&subject, Arc::new(tokens))
    .issue(&issued, Arc::new(JwtAccessTokens(Arc::clone(key))))
    .expect("a writer of JWTs")
    .permit(CLIENT, may.allow(&subject, &issued, &api))
}
