//! When a key may sign, and when it may go (SPIFFE Federation section 4.1).

use std::time::Duration;

use jose_x509::CryptoProvider;
use jose_x509::jwk::Jwk;
use pki_types::{CertificateDer, UnixTime};

use crate::error::Error;
use crate::{Bundle, BundleBuilder, DEFAULT_REFRESH_HINT};

/// The keys of an issuer through their lives: published before they sign, and kept until nothing that they signed is
/// valid any more.
///
/// ```
/// use std::time::Duration;
/// use jose_x509::{Algorithm, SigningKey, provider::ring};
/// use pki_types::UnixTime;
/// use spiffe_bundle::{Authority, Bundle, Rotation};
/// use spiffe_id::TrustDomain;
///
/// let at = |seconds| UnixTime::since_unix_epoch(Duration::from_secs(seconds));
/// let provider = ring::provider();
/// let mut rotation = Rotation::new(&provider, TrustDomain::parse("example.org")?)?;
/// let key = SigningKey::generate(&provider, Algorithm::Es256)?.with_thumbprint_kid();
/// let id = rotation.add(Authority::Jwt(key.public_jwk()));
///
/// rotation.publish(id, at(1000))?;
/// // Serve `rotation.bundle()`. With a refresh hint of 300 seconds, everybody has it 1200 seconds later.
/// assert_eq!(rotation.sign(id, at(1100), at(9000)).unwrap_err().code(), "key_not_active");
/// rotation.sign(id, at(2200), at(2500))?;
///
/// rotation.retire(id)?;
/// rotation.purge(at(2500))?;
/// assert_eq!(rotation.bundle().jwt_keys().keys().len(), 1);
/// rotation.purge(at(2501))?;
/// assert!(rotation.bundle().is_empty());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Rotation {
    provider: CryptoProvider,
    bundle: Bundle,
    lead: u32,
    keys: Vec<Entry>,
    next: u64,
}

/// What signs SVIDs: a certificate of a CA, or a public key.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authority {
    /// The certificate of a CA that signs X509-SVIDs.
    X509(CertificateDer<'static>),
    /// A key that signs JWT-SVIDs; `kid` has to be set.
    Jwt(Jwk),
    /// A key that signs WIT-SVIDs; `kid` has to be set.
    Wit(Jwk),
}

/// Which key of a [`Rotation`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthorityId(u64);

#[derive(Clone, Debug)]
struct Entry {
    id: AuthorityId,
    authority: Authority,
    state: State,
    /// When the last SVID that it signed expires.
    needed_until: Option<UnixTime>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Prepared,
    Active { from: UnixTime },
    Internal,
    Retired { published: bool },
}

impl Rotation {
    /// A rotation without keys, which begins with an empty bundle of sequence 1.
    ///
    /// # Errors
    ///
    /// Those of [`BundleBuilder::build`].
    pub fn new(
        provider: &CryptoProvider,
        trust_domain: spiffe_id::TrustDomain,
    ) -> Result<Self, Error> {
        let bundle = BundleBuilder::new(provider, trust_domain).build()?;
        Ok(Self {
            provider: *provider,
            bundle,
            lead: 4,
            keys: Vec::new(),
            next: 0,
        })
    }

    /// Sets how many refresh intervals a key is published before it signs: from 3 to 5, as the standard advises, and
    /// 4 otherwise. Numbers beyond are taken as the nearest of these.
    #[must_use]
    pub fn with_lead(mut self, intervals: u32) -> Self {
        self.lead = intervals.clamp(3, 5);
        self
    }

    /// Sets the refresh hint.
    ///
    /// # Errors
    ///
    /// [`Error::RefreshHint`].
    pub fn with_refresh_hint(mut self, hint: Duration) -> Result<Self, Error> {
        self.bundle = self
            .bundle
            .successor(&self.provider)
            .with_refresh_hint(hint)
            .build()?;
        Ok(self)
    }

    /// The bundle to serve.
    #[must_use]
    pub const fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    /// Takes a key up. It is not published and signs nothing.
    pub fn add(&mut self, authority: Authority) -> AuthorityId {
        let id = AuthorityId(self.next);
        self.next = self.next.saturating_add(1);
        self.keys.push(Entry {
            id,
            authority,
            state: State::Prepared,
            needed_until: None,
        });
        id
    }

    /// Puts a key into the bundle. It may sign when the lead is over; the time is returned. For a key that is in the
    /// bundle already nothing changes.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAuthority`], also for a retired one; the errors of [`BundleBuilder::build`].
    pub fn publish(&mut self, id: AuthorityId, now: UnixTime) -> Result<UnixTime, Error> {
        let entry = self.entry(id)?;
        let authority = match (&entry.authority, entry.state) {
            (_, State::Active { from }) => return Ok(from),
            (_, State::Retired { .. }) => return Err(Error::UnknownAuthority),
            (authority, State::Prepared | State::Internal) => authority.clone(),
        };
        let next = self.bundle.successor(&self.provider);
        let next = match &authority {
            Authority::X509(certificate) => next.with_x509_authority(certificate),
            Authority::Jwt(key) => next.with_jwt_authority(key),
            Authority::Wit(key) => next.with_wit_authority(key),
        };
        let bundle = next.build()?;
        let hint = bundle.refresh_hint().unwrap_or(DEFAULT_REFRESH_HINT);
        let lead = hint.saturating_mul(self.lead).as_secs();
        let from =
            UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs().saturating_add(lead)));
        self.entry(id)?.state = State::Active { from };
        self.bundle = bundle;
        Ok(from)
    }

    /// Keeps a key out of the bundle for SVIDs that nobody outside has to verify. It may sign at once.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAuthority`], also for a key that is or was published.
    pub fn keep_internal(&mut self, id: AuthorityId) -> Result<(), Error> {
        let entry = self.entry(id)?;
        match entry.state {
            State::Prepared | State::Internal => {
                entry.state = State::Internal;
                Ok(())
            }
            State::Active { .. } | State::Retired { .. } => Err(Error::UnknownAuthority),
        }
    }

    /// Asks whether a key may sign an SVID that `expires` then, and remembers that it does. An issuer asks each time.
    ///
    /// # Errors
    ///
    /// [`Error::KeyNotActive`] before the key is published and its lead is over; [`Error::UnknownAuthority`] for one that is
    /// retired.
    pub fn sign(&mut self, id: AuthorityId, now: UnixTime, expires: UnixTime) -> Result<(), Error> {
        let entry = self.entry(id)?;
        let not_before = match entry.state {
            State::Internal => None,
            State::Active { from } => (now < from).then_some(Some(from.as_secs())),
            State::Prepared => Some(None),
            State::Retired { .. } => return Err(Error::UnknownAuthority),
        };
        if let Some(not_before) = not_before {
            return Err(Error::KeyNotActive { not_before });
        }
        entry.needed_until = entry.needed_until.max(Some(expires));
        Ok(())
    }

    /// Lets a key sign no more. It stays in the bundle until [`purge`](Self::purge) finds that nothing needs it.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAuthority`].
    pub fn retire(&mut self, id: AuthorityId) -> Result<(), Error> {
        let entry = self.entry(id)?;
        let published = match entry.state {
            State::Retired { published } => published,
            state => matches!(state, State::Active { .. }),
        };
        entry.state = State::Retired { published };
        Ok(())
    }

    /// Takes the retired keys out whose last SVID is expired, and gives them.
    ///
    /// # Errors
    ///
    /// Those of [`BundleBuilder::build`].
    pub fn purge(&mut self, now: UnixTime) -> Result<Vec<AuthorityId>, Error> {
        let over = |entry: &Entry| {
            matches!(entry.state, State::Retired { .. })
                && entry.needed_until.is_none_or(|until| until < now)
        };
        self.take_out(over)
    }

    /// Takes a key out at once, which revokes everything that it signed: for a key that somebody else may have.
    ///
    /// # Errors
    ///
    /// [`Error::UnknownAuthority`]; those of [`BundleBuilder::build`].
    pub fn revoke(&mut self, id: AuthorityId) -> Result<(), Error> {
        self.entry(id)?;
        self.take_out(|entry| entry.id == id).map(drop)
    }

    fn take_out(&mut self, gone: impl Fn(&Entry) -> bool) -> Result<Vec<AuthorityId>, Error> {
        let mut next = self.bundle.successor(&self.provider);
        let mut ids = Vec::new();
        for entry in self.keys.iter().filter(|entry| gone(entry)) {
            ids.push(entry.id);
            let published = matches!(
                entry.state,
                State::Active { .. } | State::Retired { published: true }
            );
            next = match &entry.authority {
                _ if !published => next,
                Authority::X509(certificate) => next.without_x509_authority(certificate),
                Authority::Jwt(key) | Authority::Wit(key) => {
                    next.without_kid(key.kid().unwrap_or_default())
                }
            };
        }
        self.bundle = next.build()?;
        self.keys.retain(|entry| !ids.contains(&entry.id));
        Ok(ids)
    }

    fn entry(&mut self, id: AuthorityId) -> Result<&mut Entry, Error> {
        let entry = self.keys.iter_mut().find(|entry| entry.id == id);
        entry.ok_or(Error::UnknownAuthority)
    }
}
