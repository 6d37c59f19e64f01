//! Encrypted SETs: signed, then encrypted to the receiver (RFC 7519 section 5.2, a nested JWT).

use std::collections::BTreeMap;
use std::sync::Arc;

use jose_x509::jwe::{self, ContentEncryption, Decrypter, EncryptionKey, ProtectedHeader};

use crate::error::Error;
use crate::set::TYPE;

/// Whether a receiver that can decrypt takes SETs that are only signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Encryption {
    /// Both kinds are taken.
    Optional,
    /// A SET that is only signed is refused.
    Required,
}

/// What a verifier needs for encrypted SETs.
#[derive(Clone)]
pub(crate) struct Decryption {
    pub(crate) decrypter: Decrypter,
    pub(crate) encryption: Encryption,
}

/// Whether this looks like a compact JWE. What it is, the decrypter finds out.
pub(crate) fn is_encrypted(compact: &str) -> bool {
    // More dots than these belong to neither kind.
    compact.bytes().filter(|byte| *byte == b'.').take(5).count() == 4
}

/// To whom an issuer encrypts, by audience.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recipients(BTreeMap<String, Arc<Recipient>>);

#[derive(Debug)]
struct Recipient {
    key: EncryptionKey,
    content: ContentEncryption,
}

impl Recipients {
    pub(crate) fn insert(
        &mut self,
        audiences: impl IntoIterator<Item = String>,
        key: EncryptionKey,
        content: ContentEncryption,
    ) {
        let recipient = Arc::new(Recipient { key, content });
        for audience in audiences {
            self.0.insert(audience, Arc::clone(&recipient));
        }
    }

    /// The signed SET, or the same encrypted to the one recipient that its audience is.
    pub(crate) fn seal(&self, audience: &[String], signed: String) -> Result<String, Error> {
        let mut recipients = audience.iter().map(|audience| self.0.get(audience));
        let first = recipients.next().flatten();
        if !recipients.all(|other| other.map(Arc::as_ptr) == first.map(Arc::as_ptr)) {
            return Err(Error::SeveralRecipients);
        }
        let Some(Recipient { key, content }) = first.map(AsRef::as_ref) else {
            return Ok(signed);
        };
        // The type that counts is that of the token inside; outside it tells a dispatcher what to expect.
        let header = ProtectedHeader::new().with_typ(TYPE).with_cty("JWT");
        jwe::encrypt(key, *content, &header, signed.as_bytes()).map_err(Error::Token)
    }
}
