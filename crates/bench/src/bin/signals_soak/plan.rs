//! What the processes of a run have in common, in files of the run's folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result};
use jose_x509::provider::ring;
use jose_x509::{Algorithm, SigningKey};
use pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, UnixTime};
use serde::{Deserialize, Serialize};

use crate::net;

pub(crate) const ISSUER: &str = "https://transmitter.example.com";
const HOSTS: [&str; 2] = ["transmitter.example.com", "receiver.example.com"];
/// How long a poll waits.
pub(crate) const LONG_POLL: Duration = Duration::from_secs(2);

/// The run, as all its processes know it.
#[derive(Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The port of the transmitter.
    pub(crate) port: u16,
    /// The port of each receiver that is pushed to; those that poll come after them.
    pub(crate) ports: Vec<u16>,
    pollers: usize,
    /// The key that signs SETs.
    signing: Vec<u8>,
    /// The certificate of all, which names itself, and its key.
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Plan {
    /// A new run with this many receivers that are pushed to, and that poll.
    pub(crate) fn new(receivers: usize, pollers: usize) -> Result<Self> {
        // All at once, so that they differ.
        let listeners: Vec<_> = (0..=receivers)
            .map(|_| std::net::TcpListener::bind(net::loopback(0)))
            .collect::<Result<_, _>>()?;
        let mut ports = listeners
            .iter()
            .map(|listener| Ok(listener.local_addr()?.port()))
            .collect::<Result<Vec<u16>>>()?;
        let key = rcgen::KeyPair::generate()?;
        let certificate = rcgen::CertificateParams::new(HOSTS.map(str::to_owned))?;
        Ok(Self {
            port: ports.pop().context("no port")?,
            ports,
            pollers,
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

    /// How many receivers there are.
    pub(crate) fn receivers(&self) -> usize {
        self.ports.len() + self.pollers
    }

    /// Where events are pushed to a receiver, unless it polls.
    pub(crate) fn endpoint(&self, index: usize) -> Option<String> {
        let port = self.ports.get(index)?;
        Some(format!("https://receiver.example.com:{port}/events"))
    }
}

/// What a receiver shows to the transmitter.
pub(crate) fn token(index: usize) -> String {
    format!("receiver-{index}")
}

pub(crate) fn audience(index: usize) -> String {
    format!("https://soak-{index}.example.com")
}

fn path(dir: &Path) -> PathBuf {
    dir.join("plan.json")
}

/// Where a receiver keeps what it has.
pub(crate) fn inbox(dir: &Path, index: usize) -> PathBuf {
    dir.join(format!("receiver-{index}.redb"))
}

/// Where the transmitter keeps its streams.
pub(crate) fn streams(dir: &Path) -> PathBuf {
    dir.join("streams.redb")
}

pub(crate) fn clock() -> UnixTime {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    UnixTime::since_unix_epoch(now.unwrap_or(Duration::ZERO))
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
