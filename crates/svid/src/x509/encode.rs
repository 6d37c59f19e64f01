//! The DER of certificates to be signed (RFC 5280, section 4.1).

use std::time::Duration;

use der::asn1::{
    Any, AnyRef, BitString, GeneralizedTime, Ia5String, ObjectIdentifier, OctetString, UintRef,
    UtcTime,
};
use der::oid::AssociatedOid;
use der::{Decode, Encode, Sequence, Tag};
use jose_x509::{
    Algorithm, AsyncSigner, CryptoProvider, Jwk, PublicKey, Signer, VerifyingKey, x509,
};
use pki_types::{CertificateDer, UnixTime};
use spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use crate::error::{Credential, Error};

/// What is signed.
#[derive(Sequence)]
pub(super) struct TbsCertificate {
    #[asn1(context_specific = "0", tag_mode = "EXPLICIT")]
    version: u8,
    serial: Any,
    signature: AlgorithmIdentifierOwned,
    issuer: Any,
    validity: Validity,
    subject: Any,
    spki: SubjectPublicKeyInfoOwned,
    #[asn1(context_specific = "3", tag_mode = "EXPLICIT")]
    extensions: Vec<Extension>,
}

#[derive(Sequence)]
struct Validity {
    not_before: Time,
    not_after: Time,
}

#[derive(Sequence)]
struct Certificate {
    tbs: Any,
    signature_algorithm: AlgorithmIdentifierOwned,
    signature: BitString,
}

/// The parts of a certificate that differ.
pub(super) struct Content<'a> {
    pub(super) serial: [u8; 16],
    /// DER of the names.
    pub(super) issuer: &'a [u8],
    pub(super) subject: &'a [u8],
    pub(super) not_before: u64,
    pub(super) not_after: u64,
    pub(super) spki: &'a [u8],
    pub(super) extensions: Vec<Extension>,
}

/// A certificate that lacks its signature.
#[derive(Clone)]
pub(super) struct Unsigned {
    /// What is to be signed.
    pub(super) tbs: Vec<u8>,
    signature_algorithm: AlgorithmIdentifierOwned,
    algorithm: Algorithm,
}

impl Unsigned {
    pub(super) fn new(content: Content<'_>, algorithm: Algorithm) -> Result<Self, Error> {
        let signature_algorithm = signature_algorithm(algorithm)?;
        let unsigned = Self {
            tbs: tbs(content, signature_algorithm.clone()).map_err(|_| Error::Encoding)?,
            signature_algorithm,
            algorithm,
        };
        // Read back as a validator would, before a key is used for it.
        let draft = unsigned.clone().finish(&[1; LONGEST_SIGNATURE])?;
        x509::Certificate::parse(&draft).map_err(Error::Unacceptable)?;
        Ok(unsigned)
    }

    /// As [`finish`](Self::finish), after a look at the signature with the key that the certificate is for.
    pub(super) fn finish_self_signed(
        self,
        provider: &CryptoProvider,
        public_key: &PublicKey,
        signature: &[u8],
    ) -> Result<CertificateDer<'static>, Error> {
        // An RSA key verifies by the algorithm that it names.
        Jwk::new(public_key.clone())
            .with_algorithm(self.algorithm)
            .and_then(|key| VerifyingKey::from_jwk(provider, key))
            .and_then(|key| key.verify(self.algorithm, &self.tbs, signature))
            .map_err(|_| Error::KeyMismatch)?;
        self.finish(signature)
    }

    /// Adds a signature in the form of JWS.
    pub(super) fn finish(self, signature: &[u8]) -> Result<CertificateDer<'static>, Error> {
        finish(
            &self.tbs,
            self.signature_algorithm,
            self.algorithm,
            signature,
        )
        .map(CertificateDer::from)
        .map_err(|_| Error::Encoding)
    }

    pub(super) fn sign(
        self,
        signer: &(impl Signer + ?Sized),
    ) -> Result<CertificateDer<'static>, Error> {
        let signature = signer.sign(&self.tbs).map_err(refused)?;
        self.finish(signature.as_ref())
    }

    pub(super) async fn sign_async(
        self,
        signer: &(impl AsyncSigner + ?Sized),
    ) -> Result<CertificateDer<'static>, Error> {
        let signature = signer.sign(&self.tbs).await.map_err(refused)?;
        self.finish(signature.as_ref())
    }
}

pub(super) const fn refused(source: jose_x509::Error) -> Error {
    Error::Token {
        credential: Credential::X509,
        source,
    }
}

fn tbs(content: Content<'_>, algorithm: AlgorithmIdentifierOwned) -> der::Result<Vec<u8>> {
    // Positive and of full length: the topmost bits are 01.
    let mut serial = content.serial;
    if let Some(first) = serial.first_mut() {
        *first = (*first & 0x3f) | 0x40;
    }
    TbsCertificate {
        version: 2,
        serial: Any::new(Tag::Integer, serial)?,
        signature: algorithm,
        issuer: Any::from_der(content.issuer)?,
        validity: Validity {
            not_before: time(content.not_before)?,
            not_after: time(content.not_after)?,
        },
        subject: Any::from_der(content.subject)?,
        spki: SubjectPublicKeyInfoOwned::from_der(content.spki)?,
        extensions: content.extensions,
    }
    .to_der()
}

fn finish(
    tbs: &[u8],
    signature_algorithm: AlgorithmIdentifierOwned,
    algorithm: Algorithm,
    signature: &[u8],
) -> der::Result<Vec<u8>> {
    let signature = match algorithm {
        Algorithm::Es256 | Algorithm::Es384 | Algorithm::Es512 => ecdsa_sig_value(signature)?,
        _ => signature.to_vec(),
    };
    Certificate {
        tbs: Any::from_der(tbs)?,
        signature_algorithm,
        signature: BitString::from_bytes(&signature)?,
    }
    .to_der()
}

/// From `R || S`, as JWS has it, to the sequence that X.509 has (RFC 3279, section 2.2.3).
fn ecdsa_sig_value(signature: &[u8]) -> der::Result<Vec<u8>> {
    let (r, s) = signature.split_at(signature.len() / 2);
    let mut body = UintRef::new(r)?.to_der()?;
    body.extend(UintRef::new(s)?.to_der()?);
    AnyRef::new(Tag::Sequence, &body)?.to_der()
}

fn signature_algorithm(algorithm: Algorithm) -> Result<AlgorithmIdentifierOwned, Error> {
    let (oid, null) = match algorithm {
        Algorithm::Es256 => ("1.2.840.10045.4.3.2", false),
        Algorithm::Es384 => ("1.2.840.10045.4.3.3", false),
        Algorithm::Es512 => ("1.2.840.10045.4.3.4", false),
        Algorithm::Ed25519 | Algorithm::EdDsa => ("1.3.101.112", false),
        Algorithm::Rs256 => ("1.2.840.113549.1.1.11", true),
        Algorithm::Rs384 => ("1.2.840.113549.1.1.12", true),
        Algorithm::Rs512 => ("1.2.840.113549.1.1.13", true),
        _ => {
            return Err(Error::SigningKey {
                credential: Credential::X509,
            });
        }
    };
    Ok(AlgorithmIdentifierOwned {
        oid: ObjectIdentifier::new(oid).map_err(|_| Error::Encoding)?,
        parameters: null.then(Any::null),
    })
}

/// `UTCTime` through 2049 and `GeneralizedTime` from then on (section 4.1.2.5).
fn time(seconds: u64) -> der::Result<Time> {
    let since = Duration::from_secs(seconds);
    match UtcTime::from_unix_duration(since) {
        Ok(time) => Ok(Time::UtcTime(time)),
        Err(_) => GeneralizedTime::from_unix_duration(since).map(Time::GeneralTime),
    }
}

/// The times of a certificate that begins a little before `now`, for clocks that are late, and ends with
/// its issuer at the latest.
pub(super) fn validity(
    now: UnixTime,
    lifetime: Duration,
    issuer: Option<(u64, u64)>,
) -> Result<(u64, u64), Error> {
    if lifetime.as_secs() == 0 {
        return Err(Error::InvalidOption {
            option: "lifetime",
            range: "at least one second",
        });
    }
    let (first, last) = issuer.unwrap_or((0, MAX_TIME));
    let now = now.as_secs();
    if now < first || now >= last {
        return Err(Error::AuthorityNotValid);
    }
    let not_before = now.saturating_sub(BACKDATING).max(first);
    Ok((not_before, now.saturating_add(lifetime.as_secs()).min(last)))
}

/// An extension with its DER.
pub(super) fn extension<E: AssociatedOid + Encode>(
    critical: bool,
    value: &E,
) -> der::Result<Extension> {
    Ok(Extension {
        extn_id: E::OID,
        critical,
        extn_value: OctetString::new(value.to_der()?)?,
    })
}

pub(super) fn uri_name(uri: &str) -> der::Result<GeneralName> {
    Ia5String::new(uri).map(GeneralName::UniformResourceIdentifier)
}

pub(super) fn dns_name(name: &str) -> der::Result<GeneralName> {
    Ia5String::new(name).map(GeneralName::DnsName)
}

const BACKDATING: u64 = 30;
/// That of an RSA key of 8192 bits.
const LONGEST_SIGNATURE: usize = 1024;
/// 9999-12-31T23:59:59Z.
const MAX_TIME: u64 = 253_402_300_799;
