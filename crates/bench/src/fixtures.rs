//! Keys, tokens and certificates that every contender of a case gets alike.

use std::time::Duration;

use jose_x509::jws::ProtectedHeader;
use jose_x509::{Algorithm, Jwk, PublicKey, SigningKey, jwt, provider};
use pki_types::{CertificateDer, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use serde::Serialize;
use spiffe_id::TrustDomain;

/// Whom the token of [`Key::token`] is for.
pub const AUDIENCE: &str = "https://ledger.payments.prod.example.org";

/// Whom it is about.
pub const SUBJECT: &str = "spiffe://prod.example.org/ns/payments/sa/settlement-batch-runner-0001";

/// The length of an ES256 or EdDSA token of [`Key::token`], in bytes.
pub const TOKEN_LEN: usize = 455;

/// The claims of a JWT-SVID and three more that many issuers add.
#[derive(Clone, Debug, Serialize)]
pub struct SvidClaims {
    sub: &'static str,
    aud: [&'static str; 1],
    exp: u64,
    nbf: u64,
    iat: u64,
    jti: &'static str,
}

/// What the tokens say. The times hold from 2025 to 2099, because the peers read the clock.
pub const CLAIMS: SvidClaims = SvidClaims {
    sub: SUBJECT,
    aud: [AUDIENCE],
    exp: 4_070_908_800,
    nbf: 1_760_000_000,
    iat: 1_760_000_000,
    jti: "kJ2h8Yw0aQ5tZr3uXn7bVg",
};

/// An RSA key of 2048 bits that was made for this crate.
const RSA: &[u8] = include_bytes!("../data/rsa-2048-not-secret.pk8");

/// A private key and its name.
pub struct Key {
    /// What it signs with.
    pub algorithm: Algorithm,
    /// `kid`.
    pub kid: String,
    /// PKCS#8 in DER.
    pub pkcs8: Vec<u8>,
    /// The public half.
    pub public: PublicKey,
}

impl Key {
    /// A new key, or the same one each time for RSA.
    #[must_use]
    pub fn new(algorithm: Algorithm, kid: &str) -> Self {
        let ring = provider::ring::provider();
        let key = match algorithm {
            Algorithm::Rs256 => SigningKey::from_pkcs8_der(&ring, algorithm, RSA),
            _ => SigningKey::generate(&ring, algorithm),
        };
        let key = key.expect("ring makes EC keys and reads RSA keys");
        Self {
            algorithm,
            kid: kid.to_owned(),
            pkcs8: key.expose_pkcs8_der().to_vec(),
            public: key.public_key().clone(),
        }
    }

    /// The key for signing.
    #[must_use]
    pub fn signing_key(&self, provider: &provider::CryptoProvider) -> SigningKey {
        SigningKey::from_pkcs8_der(provider, self.algorithm, &self.pkcs8)
            .expect("the provider reads what ring wrote")
            .with_kid(self.kid.clone())
    }

    /// A token with [`CLAIMS`]: of [`TOKEN_LEN`] bytes, or longer where the signature is.
    #[must_use]
    pub fn token(&self) -> String {
        let key = self.signing_key(&provider::ring::provider());
        jwt::sign(&key, &ProtectedHeader::new("JWT"), &CLAIMS).expect("the claims are an object")
    }

    /// The public half as JWK.
    #[must_use]
    pub fn jwk(&self) -> Jwk {
        Jwk::new(self.public.clone())
            .with_kid(self.kid.clone())
            .with_algorithm(self.algorithm)
            .expect("the key is one for its algorithm")
    }
}

/// As many names of keys, each of 27 characters.
pub fn kids(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("signing-key-of-prod-{number:07}"))
}

/// Four keys, so that the right one has to be found. The third signs.
#[must_use]
pub fn four_keys(algorithm: Algorithm) -> (Vec<Key>, Key) {
    let mut keys: Vec<Key> = kids(4).map(|kid| Key::new(algorithm, &kid)).collect();
    let signer = keys.remove(2);
    (keys, signer)
}

/// A JWK Set of P-256 keys in JSON, as an issuer publishes it.
#[must_use]
pub fn jwks(count: usize) -> Vec<u8> {
    let keys: Vec<_> = kids(count)
        .map(|kid| {
            Key::new(Algorithm::Es256, &kid)
                .jwk()
                .with_use("sig")
                .to_value()
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({ "keys": keys })).expect("a set is JSON")
}

/// A SPIFFE ID of some length.
pub const SPIFFE_ID: &str = "spiffe://prod.example.org/ns/payments/sa/agent-7f3a/instance/0001";

/// A SPIFFE bundle document with this many P-256 keys of JWT-SVIDs, as an issuer publishes it.
#[must_use]
pub fn bundle_document(count: usize) -> Vec<u8> {
    let keys: Vec<_> = kids(count)
        .map(|kid| {
            Jwk::new(Key::new(Algorithm::Es256, &kid).public)
                .with_kid(kid)
                .with_use("jwt-svid")
                .to_value()
        })
        .collect();
    let document = serde_json::json!({
        "spiffe_sequence": 7, "spiffe_refresh_hint": 300, "keys": keys,
    });
    serde_json::to_vec(&document).expect("a document is JSON")
}

/// As many trust domains, which differ near the end of their names, in no order.
#[must_use]
pub fn trust_domains(count: usize) -> Vec<TrustDomain> {
    (0..count)
        .map(|number| {
            let spread = number.wrapping_mul(7919) % count.max(1);
            let name = format!("tenant-{spread:05}.workloads.example.org");
            TrustDomain::parse(&name).expect("a trust domain")
        })
        .collect()
}

/// The claims of a transaction token, 600 bytes of JSON.
pub const TXN_CLAIMS: &str = r#"{"iss":"https://tts.trust-domain.example","iat":1686536226,"aud":"trust-domain.example","exp":1686536586,"txn":"97053963-771d-49cc-a4e3-20aad399c312","sub":"d084sdrt234fsaw34tr23t","req_wl":"spiffe://trust-domain.example/ns/edge/sa/api-gateway","rctx":{"req_ip":"69.151.72.123","authn":"urn:ietf:rfc:6749#token-x","device":"managed-laptop-4471"},"scope":"trade.stocks trade.options portfolio.read","tctx":{"action":"BUY","ticker":"MSFT","quantity":"100","limit":"417.25","currency":"USD","venue":"XNAS","order":"20240612-000391","customer_type":{"geo":"US","level":"VIP","segment":"private-client"}}}"#;

/// Root, intermediate and leaf, each of P-256.
pub struct Chain {
    /// A workload certificate with one URI name.
    pub leaf: CertificateDer<'static>,
    /// Its private key, PKCS#8 in DER.
    pub leaf_key: Vec<u8>,
    /// Its issuer.
    pub intermediate: CertificateDer<'static>,
    /// The issuer of the intermediate.
    pub root: CertificateDer<'static>,
}

/// 2026-06-01, within the validity of a [`Chain`].
#[must_use]
pub fn chain_time() -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(1_780_272_000))
}

impl Chain {
    /// A new chain of the kind that SPIRE issues.
    #[must_use]
    pub fn new() -> Self {
        let key = || KeyPair::generate().expect("rcgen makes keys");
        let params = |name: &str| {
            let mut params = CertificateParams::default();
            params.not_before = rcgen::date_time_ymd(2026, 1, 1);
            params.not_after = rcgen::date_time_ymd(2027, 1, 1);
            params.distinguished_name.push(DnType::CountryName, "US");
            params
                .distinguished_name
                .push(DnType::OrganizationName, name);
            params
        };
        let ca = |name: &str, path_len: u8| {
            let mut params = params(name);
            params.is_ca = IsCa::Ca(BasicConstraints::Constrained(path_len));
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
            params.subject_alt_names = vec![uri("spiffe://prod.example.org")];
            params
        };
        let (root_key, intermediate_key, leaf_key) = (key(), key(), key());
        let root = ca("SPIFFE", 1);
        let root_der = root.self_signed(&root_key).expect("rcgen signs");
        let root = Issuer::new(root, root_key);
        let intermediate = ca("SPIRE", 0);
        let intermediate_der = intermediate
            .signed_by(&intermediate_key, &root)
            .expect("rcgen signs");
        let intermediate = Issuer::new(intermediate, intermediate_key);
        let mut params = params("SPIRE workload");
        // A basicConstraints with everything at its default, as SPIRE writes it.
        let mut constraints = CustomExtension::from_oid_content(&[2, 5, 29, 19], vec![0x30, 0]);
        constraints.set_criticality(true);
        params.custom_extensions = vec![constraints];
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyAgreement,
        ];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        params.subject_alt_names = vec![uri(SUBJECT)];
        let leaf = params
            .signed_by(&leaf_key, &intermediate)
            .expect("rcgen signs");
        Self {
            leaf: leaf.der().clone(),
            leaf_key: leaf_key.serialize_der(),
            intermediate: intermediate_der.der().clone(),
            root: root_der.der().clone(),
        }
    }
}

impl Default for Chain {
    fn default() -> Self {
        Self::new()
    }
}

fn uri(text: &str) -> SanType {
    SanType::URI(text.to_owned().try_into().expect("a URI is ASCII"))
}

#[cfg(test)]
mod tests {
    use super::{Algorithm, TOKEN_LEN, TXN_CLAIMS, four_keys};

    #[test]
    fn lengths_are_what_the_cases_say() {
        for algorithm in [Algorithm::Es256, Algorithm::EdDsa] {
            assert_eq!(four_keys(algorithm).1.token().len(), TOKEN_LEN);
        }
        assert_eq!(TXN_CLAIMS.len(), 600);
    }
}
