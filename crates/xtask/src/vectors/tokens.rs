//! What the families of signed tokens share: claims with one thing changed, signed, as a case.

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::file::{Case, Expected};
use super::oracle::{Oracle, corrupt, encode, split};

/// The cases of one group: a good token, and variations of it.
pub(super) struct Tokens<'o> {
    pub(super) oracle: &'o mut Oracle,
    /// Algorithm and key file.
    pub(super) key: (&'static str, &'static str),
    pub(super) header: Value,
    pub(super) claims: Value,
    pub(super) now: u64,
    pub(super) cases: Vec<Case>,
}

impl Tokens<'_> {
    /// A token with these members of the payload changed; null removes one.
    pub(super) fn claims(
        &mut self,
        name: &str,
        changes: Value,
        expected: Expected,
        covers: &[&str],
    ) -> Result<&mut Case> {
        let claims = changed(&self.claims, &changes).to_string();
        let header = self.header.to_string();
        self.text(name, &header, &claims, expected, covers)
    }

    /// A token with these members of the header changed; null removes one.
    pub(super) fn header(
        &mut self,
        name: &str,
        changes: Value,
        expected: Expected,
        covers: &[&str],
    ) -> Result<&mut Case> {
        let header = changed(&self.header, &changes).to_string();
        let claims = self.claims.to_string();
        self.text(name, &header, &claims, expected, covers)
    }

    /// A token of exactly this content.
    pub(super) fn text(
        &mut self,
        name: &str,
        header: &str,
        claims: &str,
        expected: Expected,
        covers: &[&str],
    ) -> Result<&mut Case> {
        let token = self.oracle.sign(self.key.0, self.key.1, header, claims)?;
        Ok(self.token(name, token, expected, covers))
    }

    /// The good token, signed by another key, which is named in the header or not.
    pub(super) fn signed_by(
        &mut self,
        name: &str,
        key: (&'static str, &'static str),
        header: Value,
        claims: Value,
        expected: Expected,
        covers: &[&str],
    ) -> Result<&mut Case> {
        let header = changed(&self.header, &header).to_string();
        let claims = changed(&self.claims, &claims).to_string();
        let token = self.oracle.sign(key.0, key.1, &header, claims)?;
        Ok(self.token(name, token, expected, covers))
    }

    /// Any text as the token.
    #[expect(
        clippy::indexing_slicing,
        reason = "a case was pushed in the line before"
    )]
    pub(super) fn token(
        &mut self,
        name: &str,
        token: String,
        expected: Expected,
        covers: &[&str],
    ) -> &mut Case {
        let case = Case::new(name, "", token, self.now, expected, covers);
        self.cases.push(case);
        let last = self.cases.len() - 1;
        &mut self.cases[last]
    }

    /// The good token.
    pub(super) fn good(&mut self) -> Result<String> {
        let (header, claims) = (self.header.to_string(), self.claims.to_string());
        self.oracle.sign(self.key.0, self.key.1, &header, claims)
    }

    /// The good token with its payload changed under the same signature, and with its signature changed.
    pub(super) fn tampered(&mut self, changes: Value, covers: &[&str]) -> Result<()> {
        let token = self.good()?;
        let (header, _, signature) = split(&token)?;
        let payload = encode(changed(&self.claims, &changes).to_string());
        let invalid = || super::file::invalid("invalid_signature");
        let forged = format!("{header}.{payload}.{signature}");
        self.token("changed payload", forged, invalid(), covers);
        self.token(
            "flipped bit in the signature",
            corrupt(&token)?,
            invalid(),
            covers,
        );
        Ok(())
    }

    /// An unsecured token, and one whose HMAC secret is the public key.
    pub(super) fn not_signed(&mut self, covers: &[&str], confusion: &[&str]) -> Result<()> {
        let claims = self.claims.to_string();
        let header = changed(&self.header, &json!({"alg": "none"})).to_string();
        let unsecured = format!("{}.{}.", encode(&header), encode(&claims));
        let expected = super::file::invalid("empty_signature");
        self.token("alg none without a signature", unsecured, expected, covers);
        let signed = self.good()?;
        let (_, payload, signature) = split(&signed)?;
        let stripped = format!("{}.{payload}.{signature}", encode(&header));
        let expected = || super::file::invalid("unsupported_algorithm");
        self.token("alg none with a signature", stripped, expected(), covers);
        let header = changed(&self.header, &json!({"alg": "HS256"})).to_string();
        let secret = self
            .oracle
            .public_jwk(self.key.1, "k", self.key.0)?
            .to_string();
        let token = Oracle::sign_hs256(secret.as_bytes(), &header, &claims)?;
        self.token(
            "HS256 with the public key as secret",
            token,
            expected(),
            confusion,
        );
        Ok(())
    }
}

/// The object with these members; null removes one.
pub(super) fn changed(object: &Value, changes: &Value) -> Value {
    let mut members: Map<String, Value> = object.as_object().cloned().unwrap_or_default();
    for (name, value) in changes.as_object().into_iter().flatten() {
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert(name.clone(), value.clone());
        }
    }
    Value::Object(members)
}
