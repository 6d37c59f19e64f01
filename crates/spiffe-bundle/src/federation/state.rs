//! The federation of one trust domain with others: what is asked for when, and what becomes of the answers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jose_x509::CryptoProvider;
use jose_x509::x509::TrustAnchors;
use pki_types::UnixTime;
use spiffe_id::{TrustDomain, TrustDomainRef};

use super::attempt::{Accepted, Attempt, Status};
use super::endpoint::Relationship;
use super::event::{Alert, Event, EventKind, SEQUENCE_JUMP};
use super::fetch::{FetchPlan, REQUEST_TIMEOUT};
use super::refresh::{RefreshPolicy, later};
use super::trust::{self, Known};
use crate::error::Error;
use crate::{Bundle, Installed, SharedBundleSet, X509BundleSource};

/// The relationships of one trust domain with others, each in one direction, and when each is polled.
///
/// It does no I/O. The caller asks what is [`due`](Self::due), [begins](Self::begin) a fetch, sends its requests, and
/// hands in the result ([`accept`](Self::accept)). What is accepted goes first into the caller's store, so that
/// a restart finds it, and then to the verifiers ([`distribute`](Self::distribute)), who read the shared
/// [`SharedBundleSet`]. Every relationship writes the bundle of its own trust domain and no other.
///
/// ```
/// use std::{sync::Arc, time::Duration};
/// use jose_x509::provider::ring;
/// use pki_types::UnixTime;
/// use spiffe_bundle::federation::{FetchStep, Federation, Relationship};
/// use spiffe_bundle::{JwtBundleSource, SharedBundleSet};
/// use spiffe_id::TrustDomain;
///
/// let bundles = Arc::new(SharedBundleSet::default());
/// let home = TrustDomain::parse("example.org")?;
/// let partner = TrustDomain::parse("partner.example")?;
/// let mut federation = Federation::new(ring::provider(), home, Arc::clone(&bundles));
///
/// let now = UnixTime::since_unix_epoch(Duration::from_secs(1_800_000_000));
/// let endpoint = Relationship::https_web(partner.clone(), "https://partner.example/bundle.json")?;
/// federation.establish([endpoint], now)?;
///
/// for trust_domain in federation.due(now) {
///     let plan = federation.begin(&trust_domain, now)?;
///     let attempt = plan.attempt();
///     // Send `plan.request()?` to `plan.server()`, and hand in what comes back.
///     let (status, headers) = (http::StatusCode::OK, http::HeaderMap::new());
///     let step = plan.response(&ring::provider(), status, &headers, br#"{"keys":[]}"#)?;
///     let FetchStep::Fetched(bundle) = step else { continue };
///     let accepted = federation.accept(attempt, Ok(*bundle), now, 0x5eed);
///     // Store `accepted.bundle()`, then:
///     let event = federation.distribute(accepted);
///     assert_eq!(event.trust_domain, trust_domain);
/// }
/// assert!(bundles.jwt_authorities((&partner).into()).is_some());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Federation {
    provider: CryptoProvider,
    home: TrustDomain,
    bundles: Arc<SharedBundleSet>,
    endpoints: Arc<EndpointBundles>,
    policy: RefreshPolicy,
    external: BTreeSet<TrustDomain>,
    /// When the bundles were fetched that were restored before their relationships began.
    restored: BTreeMap<TrustDomain, UnixTime>,
    states: BTreeMap<TrustDomain, State>,
}

/// What authenticates the servers of `https_spiffe` endpoints: the bundles in force, and those that were dropped because
/// they could not be refreshed for too long ([`RefreshPolicy::max_stale`]), or an endpoint whose server belongs to the
/// trust domain itself could never be asked again. For nothing but [`FetchPlan`]s.
#[derive(Debug)]
pub struct EndpointBundles {
    in_force: Arc<SharedBundleSet>,
    dropped: SharedBundleSet,
}

impl EndpointBundles {
    fn knows(&self, trust_domain: TrustDomainRef<'_>) -> bool {
        self.x509_authorities(trust_domain).is_some()
    }
}

impl X509BundleSource for EndpointBundles {
    fn x509_authorities(&self, trust_domain: TrustDomainRef<'_>) -> Option<Arc<TrustAnchors>> {
        let in_force = self.in_force.x509_authorities(trust_domain);
        in_force.or_else(|| self.dropped.x509_authorities(trust_domain))
    }
}

#[derive(Debug)]
struct State {
    /// Another one, though an equal one, whenever what is under way shall not count any more.
    relationship: Arc<Relationship>,
    due: UnixTime,
    /// When the fetch began that is under way.
    begun: Option<UnixTime>,
    failures: u32,
    /// When the bundle was last known to be current.
    fresh: UnixTime,
    last_error: Option<&'static str>,
    /// The operator set the bundle, and the next one that is fetched replaces it whatever its number.
    set_by_operator: bool,
}

/// What the state and a batch of new relationships know together.
struct Candidates<'f> {
    federation: &'f Federation,
    added: &'f BTreeMap<TrustDomain, Arc<Relationship>>,
}

impl Known for Candidates<'_> {
    fn relationship(&self, trust_domain: TrustDomainRef<'_>) -> Option<&Relationship> {
        let name = trust_domain.as_str();
        let old = || Some(&self.federation.states.get(name)?.relationship);
        self.added.get(name).or_else(old).map(|one| &**one)
    }

    fn has_bundle(&self, trust_domain: TrustDomainRef<'_>) -> bool {
        let name = trust_domain.as_str();
        self.federation.home == trust_domain
            || self.federation.external.contains(name)
            || self.federation.endpoints.knows(trust_domain)
            || self
                .added
                .get(name)
                .is_some_and(|one| one.bootstrap.is_some())
    }
}

impl Federation {
    /// The federation of `home`, without relationships. What is in `bundles` already counts as stored.
    #[must_use]
    pub fn new(provider: CryptoProvider, home: TrustDomain, bundles: Arc<SharedBundleSet>) -> Self {
        Self {
            provider,
            home,
            endpoints: Arc::new(EndpointBundles {
                in_force: Arc::clone(&bundles),
                dropped: SharedBundleSet::default(),
            }),
            bundles,
            policy: RefreshPolicy::default(),
            external: BTreeSet::new(),
            restored: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Sets the bounds on the time between two fetches.
    #[must_use]
    pub fn with_policy(mut self, policy: RefreshPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Says that somebody else puts the bundle of `trust_domain` into the set, so that an endpoint whose server is of
    /// that trust domain can be authenticated. `home` needs no saying.
    #[must_use]
    pub fn with_external(mut self, trust_domain: TrustDomain) -> Self {
        self.external.insert(trust_domain);
        self
    }

    /// The provider that prepares the keys.
    #[must_use]
    pub const fn provider(&self) -> &CryptoProvider {
        &self.provider
    }

    /// The bundles that are in force.
    #[must_use]
    pub const fn bundles(&self) -> &Arc<SharedBundleSet> {
        &self.bundles
    }

    /// What authenticates the servers of `https_spiffe` endpoints.
    #[must_use]
    pub const fn endpoint_bundles(&self) -> &Arc<EndpointBundles> {
        &self.endpoints
    }

    /// Puts a bundle in force that was stored after it was fetched at `fetched`: at start, before its relationship is
    /// established, so that a bootstrap bundle does not take the place of a newer one. One that is older than
    /// [`RefreshPolicy::max_stale`] by now comes back as one that was dropped, and `false` is returned.
    ///
    /// # Errors
    ///
    /// [`Error::Rollback`] when a newer one is in force.
    pub fn restore(
        &mut self,
        bundle: Bundle,
        fetched: UnixTime,
        now: UnixTime,
    ) -> Result<bool, Error> {
        if self.policy.is_stale(fetched, now) {
            self.endpoints.dropped.install(bundle)?;
            return Ok(false);
        }
        let trust_domain = bundle.trust_domain().to_trust_domain();
        let installed = self.bundles.install(bundle)?;
        match self.states.get_mut(&trust_domain) {
            // Somebody put the same one in force since.
            Some(_) if installed == Installed::Unchanged => {}
            Some(state) => state.fresh = fetched,
            None => {
                self.restored.insert(trust_domain, fetched);
            }
        }
        Ok(true)
    }

    /// Begins relationships, all of them or none. Each is due at once.
    ///
    /// # Errors
    ///
    /// [`Error::HomeTrustDomain`]; [`Error::DuplicateRelationship`]; [`Error::NoEndpointBundle`] when an endpoint's
    /// server could not be authenticated, because nobody provides the bundle of its trust domain; and
    /// [`Error::EndpointTrustCycle`] when relationships wait for each other.
    pub fn establish(
        &mut self,
        relationships: impl IntoIterator<Item = Relationship>,
        now: UnixTime,
    ) -> Result<Vec<Event>, Error> {
        let mut added = BTreeMap::new();
        for relationship in relationships {
            let trust_domain = relationship.trust_domain.clone();
            if trust_domain == self.home {
                return Err(Error::HomeTrustDomain);
            }
            let known = self.states.contains_key(&trust_domain);
            if known || added.contains_key(&trust_domain) {
                return Err(Error::DuplicateRelationship);
            }
            added.insert(trust_domain, Arc::new(relationship));
        }
        let candidates = Candidates {
            federation: self,
            added: &added,
        };
        let depths = added
            .values()
            .map(|relationship| trust::depth(&candidates, relationship))
            .collect::<Result<Vec<usize>, Error>>()?;
        let before: Vec<_> = self.depths().collect();
        let mut events = Vec::new();
        for ((trust_domain, relationship), depth) in added.into_iter().zip(depths) {
            let stored = self.endpoints.knows((&trust_domain).into());
            let bootstrap = relationship.bootstrap.as_ref().filter(|_| !stored);
            if let Some(bundle) = bootstrap {
                self.bundles.install(bundle.clone())?;
            }
            let bootstrapped = bootstrap.is_some();
            let state = State {
                relationship: Arc::clone(&relationship),
                due: now,
                begun: None,
                failures: 0,
                fresh: (self.restored.remove(&trust_domain)).map_or(now, |at| at.min(now)),
                last_error: None,
                set_by_operator: false,
            };
            self.states.insert(trust_domain.clone(), state);
            events.push(Event {
                at: now,
                trust_domain,
                kind: EventKind::Established {
                    relationship,
                    bootstrapped,
                },
                alerts: chained(1, depth),
            });
        }
        for (trust_domain, from) in before {
            let state = self.states.get(&trust_domain);
            let to = state.map_or(from, |state| self.depth(&state.relationship));
            if from != to {
                events.push(Event {
                    at: now,
                    trust_domain,
                    kind: EventKind::DepthChanged { from, to },
                    alerts: chained(from, to),
                });
            }
        }
        Ok(events)
    }

    fn depths(&self) -> impl Iterator<Item = (TrustDomain, usize)> {
        let depth = |state: &State| self.depth(&state.relationship);
        self.states
            .iter()
            .map(move |(trust_domain, state)| (trust_domain.clone(), depth(state)))
    }

    /// An endpoint whose server cannot be authenticated any more depends on nobody.
    fn depth(&self, relationship: &Relationship) -> usize {
        let known = Candidates {
            federation: self,
            added: &BTreeMap::new(),
        };
        trust::depth(&known, relationship).unwrap_or(1)
    }

    /// Ends a relationship: no more requests, and every SVID of the trust domain is refused from now on.
    ///
    /// # Errors
    ///
    /// [`Error::NoRelationship`].
    pub fn terminate<'t>(
        &mut self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
        now: UnixTime,
    ) -> Result<Event, Error> {
        let trust_domain = trust_domain.into().to_trust_domain();
        if self.states.remove(&trust_domain).is_none() {
            return Err(Error::NoRelationship);
        }
        self.remove_bundle(&trust_domain);
        Ok(Event {
            at: now,
            trust_domain,
            kind: EventKind::Terminated,
            alerts: Vec::new(),
        })
    }

    /// Puts a bundle in force that the operator got by other means. The next one that is fetched replaces it, whatever
    /// the sequence numbers: this is also the way out when an endpoint once announced a number that was too high. A fetch
    /// that is under way does not replace it.
    ///
    /// # Errors
    ///
    /// [`Error::NoRelationship`].
    pub fn set_bundle(&mut self, bundle: Bundle, now: UnixTime) -> Result<Event, Error> {
        let trust_domain = bundle.trust_domain().to_trust_domain();
        let state = self.states.get_mut(&trust_domain);
        let state = state.ok_or(Error::NoRelationship)?;
        state.set_by_operator = true;
        state.fresh = now;
        state.begun = None;
        state.relationship = Arc::new(Relationship::clone(&state.relationship));
        let sequence = bundle.sequence();
        let installed = self.force_install(Arc::new(bundle));
        Ok(Event {
            at: now,
            trust_domain,
            kind: EventKind::Set {
                sequence,
                installed,
            },
            alerts: Vec::new(),
        })
    }

    /// The trust domains whose endpoints are to be asked now, and are not being asked.
    #[must_use]
    pub fn due(&self, now: UnixTime) -> Vec<TrustDomain> {
        let due = |state: &State| state.due <= now && !state.is_under_way(now);
        let due = self.states.iter().filter(|(_, state)| due(state));
        due.map(|(trust_domain, _)| trust_domain.clone()).collect()
    }

    /// When the next endpoint is to be asked.
    #[must_use]
    pub fn next_due(&self) -> Option<UnixTime> {
        self.states.values().map(|state| state.due).min()
    }

    /// Begins a fetch. It is not due again before its result is handed in, or else after the interval and
    /// [`REQUEST_TIMEOUT`].
    ///
    /// # Errors
    ///
    /// [`Error::NoRelationship`]; [`Error::NoEndpointBundle`] while the bundle of the endpoint's own trust domain is
    /// not there, which is a failure of the fetch like any other.
    pub fn begin<'t>(
        &mut self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
        now: UnixTime,
    ) -> Result<FetchPlan, Error> {
        let trust_domain = trust_domain.into();
        let set = self.bundles.snapshot();
        let state = self.states.get_mut(trust_domain.as_str());
        let state = state.ok_or(Error::NoRelationship)?;
        let installed = set.get(trust_domain).map(|bundle| &**bundle);
        let endpoint = state.relationship.endpoint_trust_domain();
        if endpoint.is_some_and(|endpoint| !self.endpoints.knows(endpoint)) {
            state.failed(&Error::NoEndpointBundle);
            state.due = self
                .policy
                .next_with_jitter(installed, state.failures, now, 0);
            return Err(Error::NoEndpointBundle);
        }
        state.due = self.policy.next(installed, now);
        state.begun = Some(now);
        Ok(FetchPlan::new(Arc::clone(&state.relationship)))
    }

    /// What there is to tell of a fetch that [`begin`](Self::begin) refused.
    #[must_use]
    pub fn not_begun<'t>(
        &self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
        error: Error,
        now: UnixTime,
    ) -> Option<Event> {
        let trust_domain = trust_domain.into();
        let state = self.states.get(trust_domain.as_str())?;
        Some(Event {
            at: now,
            trust_domain: trust_domain.to_trust_domain(),
            kind: EventKind::Fetched {
                url: state.relationship.url.clone(),
                redirects: 0,
                profile: state.relationship.profile.clone(),
                result: Err(error),
                next: state.due,
            },
            alerts: Vec::new(),
        })
    }

    /// Checks the result of a fetch, and says what is to be stored. `random` is any uniform number, for the jitter.
    pub fn accept(
        &self,
        attempt: Attempt,
        result: Result<Bundle, Error>,
        now: UnixTime,
        random: u64,
    ) -> Accepted {
        let result = self.check(&attempt, result).map(Arc::new);
        Accepted {
            attempt,
            at: now,
            random,
            result,
        }
    }

    fn check(&self, attempt: &Attempt, result: Result<Bundle, Error>) -> Result<Bundle, Error> {
        let relationship = &attempt.relationship;
        let state = self.states.get(&relationship.trust_domain);
        let state = state.ok_or(Error::NoRelationship)?;
        if !Arc::ptr_eq(&state.relationship, relationship) {
            return Err(Error::Overtaken);
        }
        let bundle = result?;
        if bundle.trust_domain() != relationship.trust_domain() {
            return Err(Error::ForeignBundle);
        }
        if !state.set_by_operator {
            self.bundles.snapshot().check_sequence(&bundle)?;
            // What verifiers have lost is still what no older one may follow.
            self.endpoints.dropped.snapshot().check_sequence(&bundle)?;
        }
        Ok(bundle)
    }

    /// Puts what was accepted in force, and says when the endpoint is asked again. On an error the bundle stays as
    /// it is.
    pub fn distribute(&mut self, accepted: Accepted) -> Event {
        let Accepted {
            attempt,
            at,
            random,
            result,
        } = accepted;
        let trust_domain = attempt.relationship.trust_domain.clone();
        let old = self.bundles.snapshot().get(&trust_domain).cloned();
        let mut alerts = Vec::new();
        // Once more: something else may have been put in force since.
        let result = result
            .and_then(|bundle| {
                self.check(&attempt, Ok(Bundle::clone(&bundle)))
                    .map(|_| bundle)
            })
            .map(|bundle| {
                let sequence = bundle.sequence();
                let installed = self.force_install(Arc::clone(&bundle));
                alerts.extend(changes(old.as_deref(), &bundle, installed));
                (sequence, installed)
            });
        if let Err(Error::Rollback { installed, offered }) = result {
            alerts.push(Alert::Rollback { installed, offered });
        }
        let set = self.bundles.snapshot();
        let next = match self.states.get_mut(&trust_domain) {
            Some(state) if Arc::ptr_eq(&state.relationship, &attempt.relationship) => {
                state.begun = None;
                match &result {
                    Ok(_) => {
                        state.failures = 0;
                        state.last_error = None;
                        state.fresh = at;
                        state.set_by_operator = false;
                    }
                    Err(error) => state.failed(error),
                }
                let bundle = set.get(&trust_domain).map(|bundle| &**bundle);
                state.due = self
                    .policy
                    .next_with_jitter(bundle, state.failures, at, random);
                state.due
            }
            Some(state) => state.due,
            None => at,
        };
        Event {
            at,
            trust_domain,
            kind: EventKind::Fetched {
                url: attempt.url,
                redirects: attempt.redirects,
                profile: attempt.relationship.profile.clone(),
                result,
                next,
            },
            alerts,
        }
    }

    /// Drops the bundles that are older than [`RefreshPolicy::max_stale`], unless they are being fetched. An older one does
    /// not get in force later, either, and [`endpoint_bundles`](Self::endpoint_bundles) still has them.
    pub fn expire(&mut self, now: UnixTime) -> Vec<Event> {
        let set = self.bundles.snapshot();
        let stale: Vec<TrustDomain> = self
            .states
            .iter()
            .filter(|(trust_domain, state)| {
                self.policy.is_stale(state.fresh, now)
                    && !state.is_under_way(now)
                    && set.get(*trust_domain).is_some()
            })
            .map(|(trust_domain, _)| trust_domain.clone())
            .collect();
        let expired = stale.into_iter().map(|trust_domain| {
            if let Some(bundle) = set.get(&trust_domain) {
                self.endpoints.dropped.force_install(Arc::clone(bundle));
            }
            self.bundles.remove(&trust_domain);
            Event {
                at: now,
                trust_domain,
                kind: EventKind::Expired,
                alerts: Vec::new(),
            }
        });
        expired.collect()
    }

    /// How the relationships fare, ordered by trust domain.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let set = self.bundles.snapshot();
        let of = |(trust_domain, state): (&TrustDomain, &State)| {
            let bundle = set.get(trust_domain);
            Status {
                relationship: Arc::clone(&state.relationship),
                sequence: bundle.and_then(|bundle| bundle.sequence()),
                has_bundle: bundle.is_some(),
                depth: self.depth(&state.relationship),
                next: state.due,
                failures: state.failures,
                last_error: state.last_error,
            }
        };
        self.states.iter().map(of).collect()
    }

    /// The bundle of a relationship that is in force, and when it was fetched.
    #[must_use]
    pub fn in_force<'t>(
        &self,
        trust_domain: impl Into<TrustDomainRef<'t>>,
    ) -> Option<(Arc<Bundle>, UnixTime)> {
        let trust_domain = trust_domain.into();
        let state = self.states.get(trust_domain.as_str())?;
        let bundle = self.bundles.snapshot().get(trust_domain).cloned()?;
        Some((bundle, state.fresh))
    }

    fn force_install(&self, bundle: Arc<Bundle>) -> Installed {
        let trust_domain = bundle.trust_domain().to_trust_domain();
        let installed = self.bundles.force_install(bundle);
        self.endpoints.dropped.remove(&trust_domain);
        installed
    }

    fn remove_bundle(&self, trust_domain: &TrustDomain) {
        self.bundles.remove(trust_domain);
        self.endpoints.dropped.remove(trust_domain);
    }
}

fn chained(from: usize, to: usize) -> Vec<Alert> {
    let alert = (to > from).then_some(Alert::ChainedTrust { depth: to });
    alert.into_iter().collect()
}

impl State {
    /// Whether the answer to a fetch may still come.
    fn is_under_way(&self, now: UnixTime) -> bool {
        self.begun
            .is_some_and(|begun| now <= later(begun, REQUEST_TIMEOUT))
    }

    fn failed(&mut self, error: &Error) {
        self.failures = self.failures.saturating_add(1);
        self.last_error = Some(error.code());
    }
}

fn changes(old: Option<&Bundle>, new: &Bundle, installed: Installed) -> Vec<Alert> {
    let mut alerts = Vec::new();
    match installed {
        Installed::Emptied => alerts.push(Alert::Emptied),
        Installed::ReplacedSameSequence => alerts.push(Alert::SequenceReused),
        _ => {}
    }
    if let Some(old) = old {
        if !old.is_empty() && !new.is_empty() && !old.shares_a_key_with(new) {
            alerts.push(Alert::AllKeysReplaced);
        }
        if let (Some(from), Some(to)) = (old.sequence(), new.sequence()) {
            if to
                .checked_sub(from)
                .is_some_and(|step| step > SEQUENCE_JUMP)
            {
                alerts.push(Alert::SequenceJump { from, to });
            }
        }
    }
    alerts
}
