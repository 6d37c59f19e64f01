//! Transaction tokens across domains (draft-fletcher-oauth-txn-token-chaining-profile-00), behind feature `chaining`.
//!
//! A transaction token never leaves its trust domain. Its authorization server makes a grant of it for another domain
//! ([`ChainingService`]), as an [`OutboundAgreement`] says: scopes mapped, the subject renamed, of the context nothing but
//! what is listed. The other domain's server redeems the grant once ([`ChainRedemption`]) as its [`InboundAgreement`]
//! says, and gets what an access token, or a transaction token of that domain with the same `txn`, has to say.
//!
//! ```
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! use identity_chaining::{AuthorizationServer, Client, ClientMethod, GrantIssuer, ServerUrl, SubjectTable, TokenEndpoint};
//! use jose_x509::{Algorithm, MemoryReplayGuard, SigningKey, provider::ring::provider};
//! use pki_types::UnixTime;
//! use token_exchange::{ResourceIndicator, ResourceRegistry, ResourceServer, ScopeSet};
//! use txn_token::chaining::*;
//! use txn_token::{IssueRequest, TxnTokenIssuer, TxnTokenVerifier};
//!
//! let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
//! let (a, b) = (ServerUrl::parse("https://as.enterprise.example")?, ServerUrl::parse("https://as.spamsvc.example")?);
//! let api = ResourceIndicator::parse("https://api.spamsvc.example/spam-rating")?;
//! let tts = SigningKey::generate(&provider(), Algorithm::Es256)?.with_kid("tts-1");
//! let key = SigningKey::generate(&provider(), Algorithm::Es256)?.with_kid("as-enterprise-2026-01");
//!
//! // Domain A: which scopes are which there, who its subjects are there, and who may ask.
//! let agreement = OutboundAgreement::new(b.clone(), 1_900_000_000)
//!     .with_scope("mail-delivery", ScopeSet::parse("spam.rating.read")?)?
//!     .with_subjects(PrincipalKind::System, Match::Prefix("system:".into()), Mapping::WithoutPrefix("system:".into()))
//!     .with_resource(api.clone())
//!     .permit("spiffe://enterprise.example/mail-gateway");
//! let domain_a = ChainingService::new(
//!     GrantIssuer::new(key.clone(), a.clone(), &provider())?,
//!     &provider(),
//!     TxnTokenVerifier::new("enterprise.example", "https://tts.enterprise.example"),
//!     Arc::new(tts.verifying_key()?),
//! )
//! .with_agreement(agreement)?;
//!
//! // Domain B: whose grants it takes, for what.
//! let terms = InboundAgreement::new(a, Arc::new(key.verifying_key()?), ScopeSet::parse("spam.rating.read")?, 1_900_000_000);
//! let registry = ResourceRegistry::new([ResourceServer::new(api.clone(), ScopeSet::parse("spam.rating.read")?)]);
//! let gateway = SubjectTable::new().with("https://as.enterprise.example", "mail-gateway@enterprise.example", "customer-7");
//! let endpoint = TokenEndpoint::new(registry, Arc::new(MemoryReplayGuard::new(10_000)));
//! let domain_b = ChainRedemption::new(&b, Arc::new(gateway), endpoint).trust(terms);
//!
//! // A transaction in A, and a call to B on its behalf.
//! let issuer = TxnTokenIssuer::new(tts, "enterprise.example", &provider())?.with_issuer("https://tts.enterprise.example");
//! let subject = "system:mail-gateway@enterprise.example";
//! let token = issuer.issue(&IssueRequest::new(subject, ScopeSet::parse("mail-delivery")?, "spiffe://enterprise.example/mta"), now)?;
//! let request = ChainingRequest::new(token.as_str(), b.clone()).with_resource(api);
//! let (parts, body) = request.to_request(&ServerUrl::parse("https://as.enterprise.example/token")?)?.into_parts();
//! let workload = Client::new("spiffe://enterprise.example/mail-gateway", ClientMethod::MutualTls);
//! let answer = domain_a.handle(&parts, &body, Some(&workload), now);
//! let grant = request.parse_response(answer.status(), answer.headers(), answer.body())?;
//!
//! let server = AuthorizationServer::new(b, ServerUrl::parse("https://as.spamsvc.example/token")?);
//! let (parts, body) = grant.redeem_at(&server)?.to_request()?.into_parts();
//! let chained = domain_b.redeem(&parts, &body, Some(&Client::new("mail-gateway", ClientMethod::MutualTls)), now)?;
//! assert_eq!(chained.access.subject, "customer-7");
//! assert_eq!(chained.access.scope.to_string(), "spam.rating.read");
//! assert_eq!(chained.txn(), Some(token.txn()));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod agreement;
mod client;
mod disclosure;
mod file;
mod issue;
mod redeem;
mod subject;

pub use agreement::{AgreementProblem, AgreementWarning, OutboundAgreement, TxnRule};
pub use client::{ChainingRequest, OwnHosts};
pub use file::{AgreementKeys, Agreements, AgreementsFile};
pub use issue::{BrokeredChain, ChainingService, advertise_chaining};
pub use redeem::{ChainGrant, ChainRedemption, ChainedAccess, ChainedSubjects, InboundAgreement};
pub use subject::{Mapping, Match, PrincipalKind};

use jose_x509::{Algorithm, Algorithms, CryptoProvider, base64url};

/// The algorithms of grants, unless an agreement has others.
pub const ALGORITHMS: Algorithms = Algorithms::of(&[
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Es512,
    Algorithm::Ps256,
    Algorithm::Ps384,
    Algorithm::Ps512,
]);

/// HMAC-SHA-256 in base64url: a name that nobody without the key can tell the original of.
fn pseudonym(provider: &CryptoProvider, key: &[u8; 32], name: &str) -> String {
    let pad = |byte: u8| {
        let mut block = [byte; 64];
        for (slot, key) in block.iter_mut().zip(key) {
            *slot ^= key;
        }
        block
    };
    let inner = [pad(0x36).as_slice(), name.as_bytes()].concat();
    let inner = provider.sha256(&inner);
    base64url::encode(&provider.sha256(&[pad(0x5c).as_slice(), &inner].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Agrees with RFC 4231, test case 2, whose key is padded with zeros here as there.
    #[test]
    fn pseudonyms_are_hmacs() {
        let mut key = [0; 32];
        key.iter_mut()
            .zip(b"Jefe")
            .for_each(|(slot, byte)| *slot = *byte);
        let name = "what do ya want for nothing?";
        let tag = pseudonym(&jose_x509::provider::ring::provider(), &key, name);
        assert_eq!(tag, "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
    }
}
