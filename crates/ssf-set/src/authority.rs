//! For whom an issuer may speak.

use crate::event::Event;
use crate::risc::RiscType;
use crate::subject::{ComplexSubject, Subject, SubjectIdentifier};

/// The subjects about which a receiver believes one issuer, for
/// [`SetVerifier::with_authority`](crate::SetVerifier::with_authority): a signature proves who speaks and not whether it is
/// about its own users.
///
/// Nothing is covered until it is named. A complex subject is covered when one of its members is covered, or its
/// `tenant` is, and no member that names a domain, an issuer, a trust domain or a tenant names a foreign one.
///
/// ```
/// use ssf_set::{Authority, SubjectIdentifier};
///
/// let authority = Authority::none().email_domain("example.com").issuer("https://idp.example.com");
/// assert!(authority.covers(&SubjectIdentifier::email("a@Example.com")?.into()));
/// assert!(!authority.covers(&SubjectIdentifier::email("a@mail.example.com")?.into()));
/// # Ok::<(), ssf_set::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authority {
    email_domains: Vec<String>,
    issuers: Vec<String>,
    uri_prefixes: Vec<String>,
    tenants: Vec<String>,
    opaque: bool,
    phone_numbers: bool,
}

/// What an authority says of an identifier.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Says {
    Own,
    Foreign,
    Nothing,
}

impl Authority {
    /// Over nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Over `email` and `account` identifiers of this domain, compared without case; not of domains below it.
    #[must_use]
    pub fn email_domain(mut self, domain: &str) -> Self {
        self.email_domains.push(domain.to_ascii_lowercase());
        self
    }

    /// Over `iss_sub`, `jwt_id` and `saml_assertion_id` identifiers of this issuer, compared exactly.
    #[must_use]
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuers.push(issuer.into());
        self
    }

    /// Over `uri` and `did` identifiers that are `prefix` or go on behind it with a `/`: for workloads a trust domain such
    /// as `spiffe://prod.example.org`.
    #[must_use]
    pub fn uri(mut self, prefix: &str) -> Self {
        self.uri_prefixes
            .push(prefix.trim_end_matches('/').to_owned());
        self
    }

    /// Over complex subjects whose `tenant` is this `opaque` identifier.
    #[must_use]
    pub fn tenant(mut self, id: impl Into<String>) -> Self {
        self.tenants.push(id.into());
        self
    }

    /// Over `opaque` identifiers, which only mean something between this issuer and this receiver.
    #[must_use]
    pub fn opaque(mut self) -> Self {
        self.opaque = true;
        self
    }

    /// Over `phone_number` identifiers: for carriers.
    #[must_use]
    pub fn phone_numbers(mut self) -> Self {
        self.phone_numbers = true;
        self
    }

    /// Whether the issuer may speak about this subject.
    #[must_use]
    pub fn covers(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Simple(simple) => self.says(simple) == Says::Own,
            Subject::Complex(complex) => self.covers_complex(complex),
        }
    }

    /// Whether the issuer may say that an identifier changed or passed to somebody else (RISC 1.0 section 2.5): it has to
    /// be the authority for the identifier itself. Of all other events it suffices that it covers the subject.
    #[must_use]
    pub fn allows(&self, event: &Event, subject: &Subject) -> bool {
        let Event::Risc(event) = event else {
            return self.covers(subject);
        };
        let is_about_identifier = matches!(
            event.kind,
            RiscType::IdentifierChanged | RiscType::IdentifierRecycled
        );
        match subject {
            Subject::Complex(_) if is_about_identifier => false,
            _ => self.covers(subject),
        }
    }

    fn covers_complex(&self, complex: &ComplexSubject) -> bool {
        let mut own = false;
        for (member, identifier) in complex.members() {
            let says = match (member, identifier) {
                ("tenant", SubjectIdentifier::Opaque { id }) => {
                    Says::of(self.tenants.iter().any(|tenant| tenant == id))
                }
                // Beside another member an opaque identifier says nothing of whose it is.
                (_, SubjectIdentifier::Opaque { .. }) if !self.opaque => Says::Nothing,
                _ => self.says(identifier),
            };
            match says {
                Says::Foreign => return false,
                Says::Own => own = true,
                Says::Nothing => {}
            }
        }
        own
    }

    fn says(&self, identifier: &SubjectIdentifier) -> Says {
        match identifier {
            SubjectIdentifier::Email { email } => self.domain(email),
            SubjectIdentifier::Account { uri } => self.domain(uri),
            SubjectIdentifier::IssSub { iss, .. } | SubjectIdentifier::JwtId { iss, .. } => {
                Says::of(self.issuers.contains(iss))
            }
            SubjectIdentifier::SamlAssertionId { issuer, .. } => {
                Says::of(self.issuers.contains(issuer))
            }
            SubjectIdentifier::Uri { uri } | SubjectIdentifier::Did { url: uri } => {
                Says::of(self.uri_prefixes.iter().any(|prefix| {
                    uri.strip_prefix(prefix.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                }))
            }
            SubjectIdentifier::Opaque { .. } => Says::of(self.opaque),
            SubjectIdentifier::PhoneNumber { .. } => Says::of(self.phone_numbers),
            // All of them are one subject, so it takes an issuer that may speak about each.
            SubjectIdentifier::Aliases { identifiers } => {
                Says::of(identifiers.iter().all(|one| self.says(one) == Says::Own))
            }
            SubjectIdentifier::IpAddresses { .. } | SubjectIdentifier::Other { .. } => {
                Says::Nothing
            }
        }
    }

    fn domain(&self, address: &str) -> Says {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        Says::of(
            self.email_domains
                .iter()
                .any(|own| own.eq_ignore_ascii_case(domain)),
        )
    }
}

impl Says {
    const fn of(own: bool) -> Self {
        if own { Self::Own } else { Self::Foreign }
    }
}
