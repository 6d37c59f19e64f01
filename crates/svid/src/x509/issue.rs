//! Issuing: a certificate authority of one trust domain.

use std::time::Duration;

use der::{Decode, Encode};
use jose_x509::x509::{Certificate, CertificateProblem};
use jose_x509::{Algorithm, AsyncSigner, CryptoProvider, PublicKey, Signer, SigningKey};
use pki_types::{CertificateDer, DnsName, UnixTime};
use spiffe_id::{SpiffeId, TrustDomain, TrustDomainRef};
use spki::SubjectPublicKeyInfoRef;
use x509_cert::name::Name;

use super::encode::{Content, Unsigned, refused, validity};
use super::parse::{at, check_signing};
use super::profile::{CaProfile, LeafProfile};
use super::request::{CertificateRequest, RequestProblem};
use crate::error::{Credential, Error};
use crate::identity::check_subject;

/// Signs X509-SVIDs of one trust domain.
///
/// What it may sign with is a [`Signer`] in memory or behind an interface, or an [`AsyncSigner`] behind a
/// network; the methods of the latter end in `_async`.
#[derive(Clone, Debug)]
pub struct CertificateAuthority<S = SigningKey> {
    signer: S,
    core: Core,
}

/// All but the key.
#[derive(Clone, Debug)]
struct Core {
    trust_domain: TrustDomain,
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
        Self::self_signed_as(trust_domain, key, &CaProfile::new(lifetime), now)
    }

    /// As [`self_signed`](Self::self_signed), with another profile.
    ///
    /// # Errors
    ///
    /// As [`self_signed`](Self::self_signed).
    pub fn self_signed_as(
        trust_domain: &TrustDomain,
        key: SigningKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let (provider, public_key) = (*key.provider(), key.public_key().clone());
        Self::self_signed_with(&provider, trust_domain, key, &public_key, profile, now)
    }
}

impl<S> CertificateAuthority<S> {
    fn join(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        (signer, algorithm): (S, Algorithm),
        public_key: &PublicKey,
        certificate: &CertificateDer<'_>,
    ) -> Result<Self, Error> {
        let parsed = Certificate::parse(certificate).map_err(Error::X509)?;
        check_signing(&parsed).map_err(|problem| at(0, problem))?;
        if parsed.key_usage().is_none() {
            return Err(at(0, CertificateProblem::KeyUsageMissing));
        }
        if !parsed
            .uri_names()
            .all(|uri| uri == trust_domain.id_string())
            || parsed.uri_names().nth(1).is_some()
        {
            return Err(Error::AuthorityName);
        }
        if parsed.spki_der() != spki_of(public_key)? || algorithm.key_kind() != public_key.kind() {
            return Err(Error::KeyMismatch);
        }
        Ok(Self {
            signer,
            core: Core {
                trust_domain: trust_domain.clone(),
                certificate: certificate.clone().into_owned(),
                provider: *provider,
            },
        })
    }

    /// The trust domain.
    #[must_use]
    pub fn trust_domain(&self) -> TrustDomainRef<'_> {
        self.core.trust_domain.as_trust_domain_ref()
    }

    /// The CA certificate. That of a root goes into the bundle; that of an intermediate goes with each leaf.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.core.certificate
    }
}

impl<S: Signer> CertificateAuthority<S> {
    /// Goes on with an existing CA certificate: a root, or an intermediate that another CA has issued. It need not have
    /// the SPIFFE ID of the trust domain, as the certificates of older authorities do not (section 3.2 only
    /// recommends it), but it must not have another name. `public_key` is that of `signer`, which is taken on trust.
    ///
    /// # Errors
    ///
    /// [`Error::X509`] for bytes that are no certificate of a CA with `keyCertSign`; [`Error::AuthorityName`] for one
    /// with another URI name than the SPIFFE ID of the trust domain, or several; [`Error::KeyMismatch`] for one that
    /// is not for `public_key`, and for a signer with an algorithm that is not for such a key.
    pub fn from_certificate(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        certificate: &CertificateDer<'_>,
    ) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        let signer = (signer, algorithm);
        Self::join(provider, trust_domain, signer, public_key, certificate)
    }

    /// As [`self_signed_as`](CertificateAuthority::self_signed_as), for a signer that cannot tell its public
    /// key, such as an HSM.
    ///
    /// # Errors
    ///
    /// As [`self_signed`](CertificateAuthority::self_signed); [`Error::KeyMismatch`] when `public_key` does not verify
    /// what `signer` has signed.
    pub fn self_signed_with(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        let root = Core::root(provider, trust_domain, algorithm, public_key, profile, now)?;
        let signature = signer.sign(&root.tbs).map_err(refused)?;
        let certificate = root.finish_self_signed(provider, public_key, signature.as_ref())?;
        Self::from_certificate(provider, trust_domain, signer, public_key, &certificate)
    }

    /// Issues the certificate of a workload: `digitalSignature` alone, `serverAuth` and `clientAuth`, an
    /// empty subject, and a critical `subjectAltName` with the SPIFFE ID and `dns_names`. It ends with the CA
    /// certificate at the latest.
    ///
    /// # Errors
    ///
    /// [`Error::ForeignSubject`] and [`Error::NoPath`] for a SPIFFE ID that is no workload of the trust
    /// domain; [`Error::AuthorityNotValid`]; [`Error::InvalidOption`] for an empty lifetime and for a usage that is not
    /// for such a key; [`Error::Unacceptable`] for names that no validator accepts, such as a DNS name with a dot at its
    /// end, and for too many of them; [`Error::Token`] if signing fails.
    pub fn issue_leaf(
        &self,
        spiffe_id: &SpiffeId,
        public_key: &PublicKey,
        dns_names: &[DnsName<'_>],
        lifetime: Duration,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let profile = LeafProfile::new(lifetime).with_dns_names(dns_names);
        self.issue_leaf_as(spiffe_id, public_key, &profile, now)
    }

    /// As [`issue_leaf`](Self::issue_leaf), with another profile.
    ///
    /// # Errors
    ///
    /// As [`issue_leaf`](Self::issue_leaf).
    pub fn issue_leaf_as(
        &self,
        spiffe_id: &SpiffeId,
        public_key: &PublicKey,
        profile: &LeafProfile<'_>,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let algorithm = self.signer.algorithm();
        let leaf = self
            .core
            .leaf(algorithm, spiffe_id, public_key, profile, now)?;
        leaf.sign(&self.signer)
    }

    /// As [`issue_leaf_as`](Self::issue_leaf_as), for the key of a certification request, whose sender has
    /// shown by it to hold the key. Whether the sender is `spiffe_id` is for the caller to know; nothing of what
    /// the request asks for is taken over.
    ///
    /// # Errors
    ///
    /// As [`issue_leaf`](Self::issue_leaf); [`Error::Request`] when the request names another SPIFFE ID.
    pub fn issue_for_request(
        &self,
        spiffe_id: &SpiffeId,
        request: &CertificateRequest,
        profile: &LeafProfile<'_>,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        check_request(request, spiffe_id)?;
        self.issue_leaf_as(spiffe_id, request.public_key(), profile, now)
    }

    /// Issues a CA certificate for `trust_domain`: this CA's own, or another one that it vouches for. It ends
    /// with this CA's certificate at the latest. Its path length, if limited here, is limited further.
    ///
    /// # Errors
    ///
    /// [`Error::PathLen`] when no CA may stand below this one, or fewer than the profile allows;
    /// [`Error::AuthorityNotValid`]; [`Error::InvalidOption`] for an empty lifetime; [`Error::Token`] if
    /// signing fails.
    pub fn issue_intermediate(
        &self,
        trust_domain: &TrustDomain,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let algorithm = self.signer.algorithm();
        let ca = self
            .core
            .intermediate(algorithm, trust_domain, public_key, profile, now)?;
        ca.sign(&self.signer)
    }
}

/// For keys behind a network.
impl<S: AsyncSigner> CertificateAuthority<S> {
    /// As [`from_certificate`](Self::from_certificate). Nothing is signed, so nobody has to wait.
    ///
    /// # Errors
    ///
    /// As [`from_certificate`](Self::from_certificate).
    pub fn from_certificate_async(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        certificate: &CertificateDer<'_>,
    ) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        let signer = (signer, algorithm);
        Self::join(provider, trust_domain, signer, public_key, certificate)
    }

    /// As [`self_signed_with`](Self::self_signed_with).
    ///
    /// # Errors
    ///
    /// As [`self_signed_with`](Self::self_signed_with).
    pub async fn self_signed_async(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        signer: S,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        let root = Core::root(provider, trust_domain, algorithm, public_key, profile, now)?;
        let signature = signer.sign(&root.tbs).await.map_err(refused)?;
        let certificate = root.finish_self_signed(provider, public_key, signature.as_ref())?;
        Self::from_certificate_async(provider, trust_domain, signer, public_key, &certificate)
    }

    /// As [`issue_leaf_as`](Self::issue_leaf_as).
    ///
    /// # Errors
    ///
    /// As [`issue_leaf`](Self::issue_leaf).
    pub async fn issue_leaf_async(
        &self,
        spiffe_id: &SpiffeId,
        public_key: &PublicKey,
        profile: &LeafProfile<'_>,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let algorithm = self.signer.algorithm();
        let leaf = self
            .core
            .leaf(algorithm, spiffe_id, public_key, profile, now)?;
        leaf.sign_async(&self.signer).await
    }

    /// As [`issue_for_request`](Self::issue_for_request).
    ///
    /// # Errors
    ///
    /// As [`issue_for_request`](Self::issue_for_request).
    pub async fn issue_for_request_async(
        &self,
        spiffe_id: &SpiffeId,
        request: &CertificateRequest,
        profile: &LeafProfile<'_>,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        check_request(request, spiffe_id)?;
        self.issue_leaf_async(spiffe_id, request.public_key(), profile, now)
            .await
    }

    /// As [`issue_intermediate`](Self::issue_intermediate).
    ///
    /// # Errors
    ///
    /// As [`issue_intermediate`](Self::issue_intermediate).
    pub async fn issue_intermediate_async(
        &self,
        trust_domain: &TrustDomain,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<CertificateDer<'static>, Error> {
        let algorithm = self.signer.algorithm();
        let ca = self
            .core
            .intermediate(algorithm, trust_domain, public_key, profile, now)?;
        ca.sign_async(&self.signer).await
    }
}

impl Core {
    fn root(
        provider: &CryptoProvider,
        trust_domain: &TrustDomain,
        algorithm: Algorithm,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<Unsigned, Error> {
        let (not_before, not_after) = validity(now, profile.lifetime, None)?;
        let spki = spki_of(public_key)?;
        let key_id = key_id(provider, &spki)?;
        let subject = authority_name(&key_id).map_err(|_| Error::Encoding)?;
        let content = Content {
            serial: provider.random().map_err(refused)?,
            issuer: &subject,
            subject: &subject,
            not_before,
            not_after,
            spki: &spki,
            extensions: profile
                .extensions(trust_domain, &key_id, None)
                .map_err(|_| Error::Encoding)?,
        };
        Unsigned::new(content, algorithm)
    }

    fn intermediate(
        &self,
        algorithm: Algorithm,
        trust_domain: &TrustDomain,
        public_key: &PublicKey,
        profile: &CaProfile,
        now: UnixTime,
    ) -> Result<Unsigned, Error> {
        let issuer = Certificate::parse(&self.certificate).map_err(Error::X509)?;
        let profile = match issuer.basic_constraints().and_then(|limit| limit.path_len) {
            None => profile.clone(),
            Some(limit) => {
                let below = limit.checked_sub(1).ok_or(Error::PathLen)?;
                if profile.path_len.is_some_and(|wanted| wanted > below) {
                    return Err(Error::PathLen);
                }
                CaProfile {
                    path_len: Some(profile.path_len.unwrap_or(below)),
                    ..profile.clone()
                }
            }
        };
        let (not_before, not_after) = within(&issuer, profile.lifetime, now)?;
        let spki = spki_of(public_key)?;
        let key_id = key_id(&self.provider, &spki)?;
        let subject = authority_name(&key_id).map_err(|_| Error::Encoding)?;
        let content = Content {
            serial: self.provider.random().map_err(refused)?,
            issuer: issuer.subject(),
            subject: &subject,
            not_before,
            not_after,
            spki: &spki,
            extensions: profile
                .extensions(trust_domain, &key_id, Some(&self.own_key_id(&issuer)?))
                .map_err(|_| Error::Encoding)?,
        };
        Unsigned::new(content, algorithm)
    }

    fn leaf(
        &self,
        algorithm: Algorithm,
        spiffe_id: &SpiffeId,
        public_key: &PublicKey,
        profile: &LeafProfile<'_>,
        now: UnixTime,
    ) -> Result<Unsigned, Error> {
        let trust_domain = self.trust_domain.as_trust_domain_ref();
        check_subject(spiffe_id, trust_domain, Credential::X509)?;
        profile.check_usage(public_key.kind())?;
        let issuer = Certificate::parse(&self.certificate).map_err(Error::X509)?;
        let (not_before, not_after) = within(&issuer, profile.lifetime, now)?;
        let spki = spki_of(public_key)?;
        let key_id = key_id(&self.provider, &spki)?;
        let content = Content {
            serial: self.provider.random().map_err(refused)?,
            issuer: issuer.subject(),
            subject: EMPTY_NAME,
            not_before,
            not_after,
            spki: &spki,
            extensions: profile
                .extensions(spiffe_id, &key_id, &self.own_key_id(&issuer)?)
                .map_err(|_| Error::Encoding)?,
        };
        Unsigned::new(content, algorithm)
    }
}

impl Core {
    /// What the CA's certificate calls its key, or what we would: every certificate that is issued names the key that
    /// signed it (RFC 5280, section 4.2.1.1).
    fn own_key_id(&self, certificate: &Certificate<'_>) -> Result<Vec<u8>, Error> {
        match certificate.subject_key_identifier() {
            Some(id) => Ok(id.to_vec()),
            None => key_id(&self.provider, certificate.spki_der()),
        }
    }
}

fn check_request(request: &CertificateRequest, spiffe_id: &SpiffeId) -> Result<(), Error> {
    match request.requested_spiffe_id() {
        Some(requested) if requested != spiffe_id => Err(Error::Request {
            problem: RequestProblem::OtherSpiffeId,
        }),
        _ => Ok(()),
    }
}

fn within(
    issuer: &Certificate<'_>,
    lifetime: Duration,
    now: UnixTime,
) -> Result<(u64, u64), Error> {
    let bounds = (issuer.not_before().as_secs(), issuer.not_after().as_secs());
    validity(now, lifetime, Some(bounds))
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

/// DER of a subject without attributes.
const EMPTY_NAME: &[u8] = &[0x30, 0x00];
