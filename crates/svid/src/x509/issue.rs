//! Issuing: a certificate authority of one trust domain.

use std::time::Duration;

use der::asn1::OctetString;
use der::flagset::FlagSet;
use der::{Decode, Encode};
use jose_x509::x509::Certificate;
use jose_x509::{CryptoProvider, PublicKey, Signer, SigningKey};
use pki_types::{CertificateDer, DnsName, UnixTime};
use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{
    AuthorityKeyIdentifier, BasicConstraints, ExtendedKeyUsage, KeyUsage, KeyUsages,
    SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::name::Name;

use super::encode::{Content, certificate, dns_name, extension, uri_name, validity};
use crate::error::{Credential, Error};
use crate::identity::check_subject;

/// Signs X509-SVIDs of one trust domain.
#[derive(Clone, Debug)]
pub struct CertificateAuthority<S = SigningKey> {
    trust_domain: TrustDomain,
    signer: S,
    certificate: CertificateDer<'static>,
    provider: CryptoProvider,
}

impl CertificateAuthority<SigningKey> {
    /// Makes the root of a trust domain: a self-signed CA certificate with the trust domain's SPIFFE ID,
    /// `keyCertSign` and `cRLSign`.
    ///
    /// # Errors
    ///
    /// [`Error::SigningKey`] for an algorithm that has no use in certificates (RSASSA-PSS),
    /// [`Error::InvalidOption`] for an empty lifetime, [`Error::Token`] if signing fails.
    pub fn self_signed(
        trust_domain: &TrustDomain,
        key: SigningKey,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let (provider, public_key) = (*key.provider(), key.public_key().clone());
        Self::self_signed_with(&provider, trust_domain, key, &public_key, lifetime, now)
    }
}

impl<S: Signer> CertificateAuthority<S> {
    /// As [`self_signed`](CertificateAuthority::self_signed), for a signer that cannot tell its public key,
    /// such as an HSM.
    ///
    /// # Errors
    ///
    /// As [`self_signed`](CertificateAuthority::self_signed).
    pub fn self_signed_with(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let (not_before, not_after) = validity(now, lifetime, None)?;
        let spki = spki_of(public_key)?;
        let key_id = key_id(provider, &spki)?;
        let subject = authority_name(&key_id).map_err(|_| Error::Encoding)?;
        let extensions =
            authority_extensions(trust_domain, &key_id).map_err(|_| Error::Encoding)?;
        let content = Content {
            serial: serial(provider)?,
            issuer: &subject,
            subject: &subject,
            not_before,
            not_after,
            spki: &spki,
            extensions,
        };
        Ok(Self {
            certificate: certificate(content, &signer)?,
            trust_domain: trust_domain.clone(),
            signer,
            provider: *provider,
        })
    }

    /// Goes on with an existing CA certificate.
    ///
    /// # Errors
    ///
    /// [`Error::X509`] for bytes that are no certificate; [`Error::KeyMismatch`] if it is not a CA
    /// certificate with exactly the SPIFFE ID of the trust domain as URI name, or not for `public_key`.
    pub fn from_certificate(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        certificate: &CertificateDer<'_>,
    ) -> Result<Self, Error> {
        let parsed = Certificate::parse(certificate).map_err(Error::X509)?;
        let mut uris = parsed.uri_names();
        let named = uris.next() == Some(&trust_domain.id_string()) && uris.next().is_none();
        let fits = named && parsed.is_ca() && parsed.spki_der() == spki_of(public_key)?;
        if !fits {
            return Err(Error::KeyMismatch);
        }
        Ok(Self {
            trust_domain: trust_domain.clone(),
            signer,
            certificate: certificate.clone().into_owned(),
            provider: *provider,
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.trust_domain.as_trust_domain_ref()
    }

    /// The CA certificate, which goes into the bundle.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// Issues the certificate of a workload: `digitalSignature` alone, `serverAuth` and `clientAuth`, an
    /// empty subject, and a critical `subjectAltName` with the SPIFFE ID and `dns_names`. It ends with the CA
    /// certificate at the latest.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a SPIFFE ID that is no workload of the trust
    /// domain; [`Error::AuthorityNotValid`]; [`Error::InvalidOption`] for an empty lifetime;
    /// [`Error::Token`] if signing fails.
    pub fn issue_leaf(
        &self,
        spiffe_id: &SpiffeId,
        public_key: &PublicKey,
        dns_names: &[DnsName<'_>],
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        check_subject(spiffe_id, self.trust_domain(), Credential::X509)?;
        let issuer = Certificate::parse(&self.certificate).map_err(Error::X509)?;
        let bounds = (issuer.not_before().as_secs(), issuer.not_after().as_secs());
        let (not_before, not_after) = validity(now, lifetime, Some(bounds))?;
        let spki = spki_of(public_key)?;
        let content = Content {
            serial: serial(&self.provider)?,
            issuer: issuer.subject(),
            subject: EMPTY_NAME,
            not_before,
            not_after,
            spki: &spki,
            extensions: leaf_extensions(
                spiffe_id,
                dns_names,
                &key_id(&self.provider, &spki)?,
                issuer.subject_key_identifier(),
            )
            .map_err(|_| Error::Encoding)?,
        };
        certificate(content, &self.signer)
    }
}

fn authority_extensions(trust_domain: &TrustDomain, key_id: &[u8]) -> der::Result<Vec<Extension>> {
    Ok(vec![
        extension(
            true,
            &BasicConstraints {
                ca: true,
                path_len_constraint: None,
            },
        )?,
        extension(true, &usages(KeyUsages::KeyCertSign | KeyUsages::CRLSign))?,
        extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))?,
        extension(
            false,
            &SubjectAltName(vec![uri_name(&trust_domain.id_string())?]),
        )?,
    ])
}

fn leaf_extensions(
    spiffe_id: &SpiffeId,
    dns_names: &[DnsName<'_>],
    key_id: &[u8],
    issuer_key_id: Option<&[u8]>,
) -> der::Result<Vec<Extension>> {
    let mut names = vec![uri_name(spiffe_id.as_str())?];
    for name in dns_names {
        names.push(dns_name(name.as_ref())?);
    }
    let mut extensions = vec![
        extension(
            true,
            &BasicConstraints {
                ca: false,
                path_len_constraint: None,
            },
        )?,
        extension(true, &usages(KeyUsages::DigitalSignature))?,
        extension(false, &ExtendedKeyUsage(vec![SERVER_AUTH, CLIENT_AUTH]))?,
        extension(false, &SubjectKeyIdentifier(OctetString::new(key_id)?))?,
        // Critical because the subject is empty (RFC 5280, section 4.1.2.6).
        extension(true, &SubjectAltName(names))?,
    ];
    if let Some(id) = issuer_key_id {
        let id = AuthorityKeyIdentifier {
            key_identifier: Some(OctetString::new(id)?),
            ..Default::default()
        };
        extensions.push(extension(false, &id)?);
    }
    Ok(extensions)
}

fn usages(usages: impl Into<FlagSet<KeyUsages>>) -> KeyUsage {
    KeyUsage(usages.into())
}

/// A name that two keys never share. It is no identity.
fn authority_name(key_id: &[u8]) -> der::Result<Vec<u8>> {
    let mut text = String::from("CN=SPIFFE CA ");
    for byte in key_id.iter().take(8) {
        text.push_str(&format!("{byte:02x}"));
    }
    text.parse::<Name>()?.to_der()
}

fn spki_of(public_key: &PublicKey) -> Result<Vec<u8>, Error> {
    public_key.to_spki_der().map_err(|_| Error::Encoding)
}

/// RFC 7093, section 2, method 1.
fn key_id(provider: &CryptoProvider, spki: &[u8]) -> Result<Vec<u8>, Error> {
    let spki = SubjectPublicKeyInfoRef::from_der(spki).map_err(|_| Error::Encoding)?;
    let mut hash = provider
        .sha256(spki.subject_public_key.raw_bytes())
        .to_vec();
    hash.truncate(20);
    Ok(hash)
}

fn serial(provider: &CryptoProvider) -> Result<[u8; 16], Error> {
    provider.random().map_err(|source| Error::Token {
        credential: Credential::X509,
        source,
    })
}

/// DER of a subject without attributes.
const EMPTY_NAME: &[u8] = &[0x30, 0x00];
const SERVER_AUTH: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: der::asn1::ObjectIdentifier =
    der::asn1::ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
