//! Puts certificates together octet by octet, so that each test can break exactly one rule.

use core::time::Duration;

use pki_types::{CertificateDer, UnixTime};
use rcgen::{KeyPair, PublicKeyData, SigningKey};

pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const SEQUENCE: u8 = 0x30;

pub(crate) const ECDSA_SHA256: &[u8] = &[
    0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02,
];

/// 2026-06-01 00:00:00 UTC, within the validity of what this module makes.
pub(crate) const NOW: u64 = 1_780_272_000;

pub(crate) fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

pub(crate) fn now() -> UnixTime {
    at(NOW)
}

pub(crate) fn key() -> KeyPair {
    KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).unwrap()
}

/// One element in DER.
pub(crate) fn tlv(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=0x7f => out.push(length.try_into().unwrap()),
        length @ 0x80..=0xff => out.extend([0x81, length.try_into().unwrap()]),
        length => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend(content);
    out
}

pub(crate) fn seq(parts: &[&[u8]]) -> Vec<u8> {
    tlv(SEQUENCE, &parts.concat())
}

/// A name of one commonName.
pub(crate) fn name(common_name: &str) -> Vec<u8> {
    attribute(&[0x55, 0x04, 0x03], 0x0c, common_name.as_bytes())
}

/// A name of one attribute.
pub(crate) fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
    seq(&[&tlv(0x31, &seq(&[&tlv(0x06, oid), &tlv(tag, value)]))])
}

pub(crate) fn time(text: &str) -> Vec<u8> {
    tlv(if text.len() == 13 { 0x17 } else { 0x18 }, text.as_bytes())
}

/// An extension of the arc 2.5.29.
pub(crate) fn extension(number: u8, critical: bool, value: &[u8]) -> Vec<u8> {
    extension_of(&[0x55, 0x1d, number], critical, value)
}

pub(crate) fn extension_of(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[0x01, 0x01, 0xff] } else { &[] };
    seq(&[&tlv(0x06, oid), critical, &tlv(OCTET_STRING, value)])
}

pub(crate) fn basic_constraints(ca: bool, path_len: Option<u8>) -> Vec<u8> {
    let ca: &[u8] = if ca { &[0x01, 0x01, 0xff] } else { &[] };
    let path_len = path_len
        .map(|length| tlv(0x02, &[length]))
        .unwrap_or_default();
    extension(19, true, &seq(&[ca, &path_len]))
}

pub(crate) fn key_usage(bits: &[u8]) -> Vec<u8> {
    extension(15, true, &tlv(0x03, bits))
}

pub(crate) const KEY_CERT_SIGN: &[u8] = &[0x02, 0x04];
pub(crate) const DIGITAL_SIGNATURE: &[u8] = &[0x07, 0x80];

/// A subjectAltName of names with these context tags.
pub(crate) fn alternative_names(names: &[(u8, &[u8])]) -> Vec<u8> {
    let names: Vec<u8> = names
        .iter()
        .flat_map(|(tag, value)| tlv(*tag, value))
        .collect();
    extension(17, false, &tlv(SEQUENCE, &names))
}

pub(crate) fn uri(text: &str) -> Vec<u8> {
    alternative_names(&[(0x86, text.as_bytes())])
}

pub(crate) fn extended_key_usage(purposes: &[&[u8]]) -> Vec<u8> {
    let purposes: Vec<u8> = purposes.iter().flat_map(|oid| tlv(0x06, oid)).collect();
    extension(37, false, &tlv(SEQUENCE, &purposes))
}

/// nameConstraints of permitted and excluded bases with these context tags.
pub(crate) fn name_constraints(permitted: &[(u8, &[u8])], excluded: &[(u8, &[u8])]) -> Vec<u8> {
    let list = |tag, bases: &[(u8, &[u8])]| {
        let bases: Vec<u8> = bases
            .iter()
            .flat_map(|(tag, base)| seq(&[&tlv(*tag, base)]))
            .collect();
        if bases.is_empty() {
            Vec::new()
        } else {
            tlv(tag, &bases)
        }
    };
    extension(
        30,
        true,
        &seq(&[&list(0xa0, permitted), &list(0xa1, excluded)]),
    )
}

/// The parts of a certificate, each in DER, for a test to replace.
#[derive(Clone)]
pub(crate) struct Parts {
    pub(crate) version: Vec<u8>,
    pub(crate) serial: Vec<u8>,
    pub(crate) inner_algorithm: Vec<u8>,
    pub(crate) outer_algorithm: Vec<u8>,
    pub(crate) issuer: Vec<u8>,
    pub(crate) not_before: Vec<u8>,
    pub(crate) not_after: Vec<u8>,
    pub(crate) subject: Vec<u8>,
    pub(crate) spki: Vec<u8>,
    pub(crate) unique_identifiers: Vec<u8>,
    pub(crate) extensions: Option<Vec<Vec<u8>>>,
    pub(crate) unused_signature_bits: u8,
}

impl Parts {
    /// A sound leaf of the issuer "CA" for `key`.
    pub(crate) fn leaf(key: &KeyPair) -> Self {
        Self {
            version: tlv(0xa0, &[0x02, 0x01, 0x02]),
            serial: tlv(0x02, &[0x01]),
            inner_algorithm: ECDSA_SHA256.to_vec(),
            outer_algorithm: ECDSA_SHA256.to_vec(),
            issuer: name("CA"),
            not_before: time("260101000000Z"),
            not_after: time("270101000000Z"),
            subject: name("leaf"),
            spki: key.subject_public_key_info(),
            unique_identifiers: Vec::new(),
            extensions: Some(vec![
                uri("spiffe://td.example/w"),
                key_usage(DIGITAL_SIGNATURE),
            ]),
            unused_signature_bits: 0,
        }
    }

    /// A sound CA certificate for `key`.
    pub(crate) fn ca(subject: &str, issuer: &str, key: &KeyPair) -> Self {
        Self {
            issuer: name(issuer),
            subject: name(subject),
            extensions: Some(vec![
                basic_constraints(true, None),
                key_usage(KEY_CERT_SIGN),
            ]),
            ..Self::leaf(key)
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    /// Adds an extension.
    pub(crate) fn and(self, extension: Vec<u8>) -> Self {
        self.with(|parts| parts.extensions.get_or_insert_default().push(extension))
    }

    pub(crate) fn extensions(self, extensions: Vec<Vec<u8>>) -> Self {
        self.with(|parts| parts.extensions = Some(extensions))
    }

    pub(crate) fn sign(&self, issuer: &KeyPair) -> CertificateDer<'static> {
        let extensions = self
            .extensions
            .as_ref()
            .map(|list| tlv(0xa3, &tlv(SEQUENCE, &list.concat())));
        let tbs = seq(&[
            &self.version,
            &self.serial,
            &self.inner_algorithm,
            &self.issuer,
            &seq(&[&self.not_before, &self.not_after]),
            &self.subject,
            &self.spki,
            &self.unique_identifiers,
            &extensions.unwrap_or_default(),
        ]);
        let mut signature = vec![self.unused_signature_bits];
        signature.extend(issuer.sign(&tbs).unwrap());
        // Unused bits are zero in DER; what is in them is another mistake than that there are any.
        if let Some(last) = signature.last_mut() {
            *last &= 0xff << self.unused_signature_bits;
        }
        seq(&[&tbs, &self.outer_algorithm, &tlv(0x03, &signature)]).into()
    }
}
