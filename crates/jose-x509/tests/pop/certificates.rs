//! Certificates for the tests.

use jose_x509::x509::TrustAnchors;
use pki_types::CertificateDer;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, SanType,
};

/// Year 2027, in which the tests take place.
fn params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2028, 1, 1);
    params
}

pub(crate) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(crate) fn new() -> Self {
        let mut params = params();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params
            .distinguished_name
            .push(DnType::CommonName, "Client CA");
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn anchors(&self) -> TrustAnchors {
        TrustAnchors::new([CertificateDer::from(self.0.der().to_vec())])
    }

    /// A client's certificate with these names.
    pub(crate) fn client(&self, common_name: &str, names: Vec<SanType>) -> CertificateDer<'static> {
        let key = KeyPair::generate().unwrap();
        let leaf = client_params(common_name, names);
        leaf.signed_by(&key, &self.0).unwrap().der().to_vec().into()
    }
}

fn client_params(common_name: &str, names: Vec<SanType>) -> CertificateParams {
    let mut leaf = params();
    leaf.distinguished_name = rcgen::DistinguishedName::new();
    leaf.distinguished_name.push(DnType::OrganizationName, "b");
    leaf.distinguished_name
        .push(DnType::CommonName, common_name);
    leaf.subject_alt_names = names;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    leaf
}

pub(crate) fn uri(text: &str) -> SanType {
    SanType::URI(text.try_into().unwrap())
}

/// A self-signed certificate for this key.
pub(crate) fn self_signed(common_name: &str, key: &KeyPair) -> CertificateDer<'static> {
    let leaf = client_params(common_name, vec![uri("urn:client")]);
    leaf.self_signed(key).unwrap().der().to_vec().into()
}
