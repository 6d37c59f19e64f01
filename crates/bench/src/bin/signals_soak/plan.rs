//! What the processes of a run have in common, in files of the run's folder.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, SigningKey};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use serde::{Deserialize, Serialize};
use ssf_set::caep::SessionRevoked;
use ssf_stream::stream::StreamConfiguration;

pub(crate) const ISSUER: &str = "https://transmitter.example.com";
const HOST: &str = "receiver.example.com";

/// The run, as all its processes know it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The port of each receiver.
    pub(crate) ports: Vec<u16>,
    /// The key that signs SETs.
    signing: Vec<u8>,
    /// The receivers' certificate, which names itself, and its key.
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Plan {
    /// A new run with this many receivers.
    pub(crate) fn new(receivers: usize) -> Result<Self> {
        // All at once, so that they differ.
        let listeners: Vec<_> = (0..receivers)
            .map(|_| std::net::TcpListener::bind(loopback(0)))
            .collect::<Result<_, _>>()?;
        let ports = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()));
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(vec![HOST.to_owned()])?;
        Ok(Self {
            ports: ports.collect::<Result<_>>()?,
            signing: rcgen::KeyPair::generate()?.serialize_der(),
            certificate: certificate.self_signed(&key)?.der().to_vec(),
            key: key.serialize_der(),
        })
    }

    pub(crate) fn write(&self, dir: &Path) -> Result<()> {
        fs::write(path(dir), serde_json::to_vec(self)?).context("the folder cannot be written")
    }

    pub(crate) fn read(dir: &Path) -> Result<Self> {
        Ok(serde_json::from_slice(&fs::read(path(dir))?)?)
    }

    pub(crate) fn signing_key(&self) -> Result<SigningKey> {
        let key = SigningKey::from_pkcs8_der(&ring::provider(), Algorithm::Es256, &self.signing)?;
        Ok(key.with_kid("soak"))
    }

    pub(crate) fn certificate(&self) -> CertificateDer<'static> {
        self.certificate.clone().into()
    }

    pub(crate) fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }

    /// The configuration of a receiver's stream.
    pub(crate) fn stream(&self, index: usize) -> Result<StreamConfiguration> {
        let port = self.ports.get(index).context("no such receiver")?;
        let stream = serde_json::json!({
            "stream_id": format!("soak-{index}"),
            "iss": ISSUER,
            "aud": format!("https://soak-{index}.example.com"),
            "events_delivered": [SessionRevoked::URI],
            "delivery": {
                "method": "urn:ietf:rfc:8935",
                "endpoint_url": format!("https://{HOST}:{port}/events"),
            },
        });
        Ok(StreamConfiguration::parse(stream.to_string().as_bytes())?)
    }
}

fn path(dir: &Path) -> PathBuf {
    dir.join("plan.json")
}

/// Where a receiver keeps what it has.
pub(crate) fn inbox(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("receiver-{index}.redb"))
}

pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

pub(crate) fn clock() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::since_unix_epoch(now.unwrap_or(Duration::ZERO))
}

pub(crate) fn tls_provider() -> Arc<tokio_rustls::rustls::crypto::CryptoProvider> {
    Arc::new(tokio_rustls::rustls::crypto::ring::default_provider())
}

/// SplitMix64: enough to choose faults, and the same for the same seed.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }
}
