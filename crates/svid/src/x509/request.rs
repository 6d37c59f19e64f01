//! Certification requests (PKCS#10, RFC 2986): how a workload asks for a certificate and shows its key.

use std::fmt;

use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Encode, Reader, SliceReader, Tag, TagNumber};
use jose_x509::{CryptoProvider, PublicKey};
use spiffe_id::SpiffeId;
use spki::{AlgorithmIdentifierRef, SubjectPublicKeyInfoRef};
use x509_cert::ext::Extensions;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::error::{Credential, Error};
use crate::identity::workload_id;

/// Largest request, in octets.
pub const MAX_REQUEST_SIZE: usize = 16 * 1024;

/// A request whose signature was verified: whoever made it held the private key of
/// [`public_key`](Self::public_key). It is no proof of being a workload, and it may be old.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRequest {
    public_key: PublicKey,
    spiffe_id: Option<SpiffeId>,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestProblem {
    /// Above [`MAX_REQUEST_SIZE`].
    TooLarge,
    /// Not one PKCS#10 request in DER, or not one `CERTIFICATE REQUEST` in PEM.
    Malformed,
    /// Its key is weak, malformed or of an unsupported kind.
    Key,
    /// Its signature algorithm is not one for its key.
    Algorithm,
    /// Its signature does not verify.
    Signature,
    /// It has several URI names, or extensions twice.
    SeveralUriNames,
    /// It names another workload than the one that the certificate is for.
    OtherSpiffeId,
}

impl RequestProblem {
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::TooLarge => "request_too_large",
            Self::Malformed => "request_malformed",
            Self::Key => "request_key",
            Self::Algorithm => "request_algorithm",
            Self::Signature => "request_signature",
            Self::SeveralUriNames => "request_several_uri_names",
            Self::OtherSpiffeId => "request_other_spiffe_id",
        }
    }
}

impl fmt::Display for RequestProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "it is larger than 16 KiB",
            Self::Malformed => "it is not one PKCS#10 request",
            Self::Key => "its key is weak, malformed or not supported",
            Self::Algorithm => "its signature algorithm is not one for its key",
            Self::Signature => "its signature does not verify",
            Self::SeveralUriNames => "it has several URI names, or a list of extensions twice",
            Self::OtherSpiffeId => "it names another workload than the certificate is for",
        })
    }
}

impl CertificateRequest {
    /// Reads a request in DER and verifies its signature.
    ///
    /// # Errors
    ///
    /// [`Error::Request`]; [`Error::SpiffeId`] and [`Error::NoPath`] for a URI name that names no workload.
    pub fn from_der(provider: &CryptoProvider, der: &[u8]) -> Result<Self, Error> {
        let refuse = |problem| Error::Request { problem };
        if der.len() > MAX_REQUEST_SIZE {
            return Err(refuse(RequestProblem::TooLarge));
        }
        let request = Request::read(der).map_err(|_| refuse(RequestProblem::Malformed))?;
        let public_key =
            PublicKey::from_spki_der(request.spki).map_err(|_| refuse(RequestProblem::Key))?;
        request.verify(provider).map_err(refuse)?;
        let spiffe_id = match request.uri_name().map_err(refuse)? {
            Some(uri) => Some(workload_id(&uri, Credential::X509)?),
            None => None,
        };
        Ok(Self {
            public_key,
            spiffe_id,
        })
    }

    /// As [`from_der`](Self::from_der), for text with one `CERTIFICATE REQUEST` block.
    ///
    /// # Errors
    ///
    /// As [`from_der`](Self::from_der).
    pub fn from_pem(provider: &CryptoProvider, pem: &str) -> Result<Self, Error> {
        let refuse = |problem| Error::Request { problem };
        // Base64 and the lines around it.
        if pem.len() > MAX_REQUEST_SIZE * 3 / 2 {
            return Err(refuse(RequestProblem::TooLarge));
        }
        match der::pem::decode_vec(pem.trim_ascii().as_bytes()) {
            Ok(("CERTIFICATE REQUEST", der)) => Self::from_der(provider, &der),
            _ => Err(refuse(RequestProblem::Malformed)),
        }
    }

    /// The key whose possession was shown.
    #[must_use]
    pub const fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The SPIFFE ID that the sender asks for, which it need not be entitled to.
    #[must_use]
    pub const fn requested_spiffe_id(&self) -> Option<&SpiffeId> {
        self.spiffe_id.as_ref()
    }
}

/// The parts of a request.
struct Request<'a> {
    /// `CertificationRequestInfo`, as it was signed.
    info: &'a [u8],
    spki: &'a [u8],
    attributes: &'a [u8],
    algorithm: AlgorithmIdentifierRef<'a>,
    signature: &'a [u8],
}

impl<'a> Request<'a> {
    fn read(der: &'a [u8]) -> der::Result<Self> {
        let body = whole(der, Tag::Sequence)?;
        let mut reader = SliceReader::new(body)?;
        let info = reader.tlv_bytes()?;
        let algorithm = AlgorithmIdentifierRef::decode(&mut reader)?;
        let signature = BitStringRef::decode(&mut reader)?;
        reader.finish()?;

        let mut reader = SliceReader::new(whole(info, Tag::Sequence)?)?;
        if u8::decode(&mut reader)? != 0 {
            return Err(Tag::Integer.value_error().into());
        }
        // The subject is no identity.
        whole(reader.tlv_bytes()?, Tag::Sequence)?;
        let spki = reader.tlv_bytes()?;
        let attributes = match reader.is_finished() {
            // Mandatory by the standard, and left out by some.
            true => &[],
            false => whole(reader.tlv_bytes()?, ATTRIBUTES)?,
        };
        reader.finish()?;
        let signature = signature
            .as_bytes()
            .ok_or_else(|| Tag::BitString.value_error())?;
        Ok(Self {
            info,
            spki,
            attributes,
            algorithm,
            signature,
        })
    }

    /// The signature shows that the sender holds the key.
    fn verify(&self, provider: &CryptoProvider) -> Result<(), RequestProblem> {
        let spki = SubjectPublicKeyInfoRef::from_der(self.spki).map_err(|_| RequestProblem::Key)?;
        let key = spki
            .subject_public_key
            .as_bytes()
            .ok_or(RequestProblem::Key)?;
        // `pki_types` compares the contents of the sequences.
        let content = |identifier: &AlgorithmIdentifierRef<'_>| {
            let der = identifier.to_der().unwrap_or_default();
            whole(&der, Tag::Sequence)
                .map(<[u8]>::to_vec)
                .unwrap_or_default()
        };
        let (of_key, of_signature) = (content(&spki.algorithm), content(&self.algorithm));
        let mut fitting = provider
            .certificate_algorithms
            .iter()
            .filter(|algorithm| {
                algorithm.public_key_alg_id().as_ref() == of_key
                    && algorithm.signature_alg_id().as_ref() == of_signature
            })
            .peekable();
        if fitting.peek().is_none() {
            return Err(RequestProblem::Algorithm);
        }
        let verified = fitting.any(|algorithm| {
            algorithm
                .verify_signature(key, self.info, self.signature)
                .is_ok()
        });
        match verified {
            true => Ok(()),
            false => Err(RequestProblem::Signature),
        }
    }

    /// The one URI name in the requested extensions, if there is one.
    fn uri_name(&self) -> Result<Option<String>, RequestProblem> {
        let malformed = |_| RequestProblem::Malformed;
        let mut attributes = SliceReader::new(self.attributes).map_err(malformed)?;
        let mut requested: Option<Extensions> = None;
        while !attributes.is_finished() {
            let attribute = attributes.tlv_bytes().map_err(malformed)?;
            let body = whole(attribute, Tag::Sequence).map_err(malformed)?;
            let mut attribute = SliceReader::new(body).map_err(malformed)?;
            let oid = ObjectIdentifier::decode(&mut attribute).map_err(malformed)?;
            let values = attribute.tlv_bytes().map_err(malformed)?;
            let values = whole(values, Tag::Set).map_err(malformed)?;
            attribute.finish().map_err(malformed)?;
            if oid != EXTENSION_REQUEST {
                continue;
            }
            let extensions = Extensions::from_der(values).map_err(malformed)?;
            if requested.replace(extensions).is_some() {
                return Err(RequestProblem::SeveralUriNames);
            }
        }
        let mut uris = Vec::new();
        let mut lists = 0_usize;
        for extension in requested.iter().flatten() {
            if extension.extn_id != SUBJECT_ALT_NAME {
                continue;
            }
            lists = lists.saturating_add(1);
            let names =
                SubjectAltName::from_der(extension.extn_value.as_bytes()).map_err(malformed)?;
            uris.extend(names.0.into_iter().filter_map(|name| match name {
                GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
                _ => None,
            }));
        }
        if lists > 1 || uris.len() > 1 {
            return Err(RequestProblem::SeveralUriNames);
        }
        Ok(uris.pop())
    }
}

/// The content of the one element that `der` has to be.
pub(super) fn whole(der: &[u8], tag: Tag) -> der::Result<&[u8]> {
    let element = AnyRef::from_der(der)?;
    if der::Tagged::tag(&element) != tag {
        return Err(tag.unexpected_error(None).into());
    }
    Ok(element.value())
}

const ATTRIBUTES: Tag = Tag::ContextSpecific {
    constructed: true,
    number: TagNumber(0),
};
const EXTENSION_REQUEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.14");
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
