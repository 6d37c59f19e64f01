//! The document: a type that exists only for metadata that passed every check.

use serde_json::{Map, Value};
use spiffe_id::SpiffeIdPattern;

use crate::{
    AuthMethod, ClientIdUrl, DocumentPolicy, Error, HttpsUrl, RedirectPolicy, json, members,
    redirect,
};

/// A valid Client ID Metadata Document, for the URL it was fetched from.
///
/// It proves control of that URL and nothing else: names, logos, `spiffe_id` and software statements are claims of
/// whoever controls it. Keys behind [`spiffe_bundle_endpoint`](Self::spiffe_bundle_endpoint) may verify credentials for
/// this `client_id` only, and never where a bundle for the trust domain is configured.
#[derive(Debug, Clone)]
pub struct ClientMetadata {
    client_id: ClientIdUrl,
    members: Map<String, Value>,
    methods: &'static [AuthMethod],
    spiffe_id: Option<SpiffeIdPattern>,
    urls: Vec<(&'static str, HttpsUrl)>,
}

impl ClientMetadata {
    /// Reads and checks the document fetched from `url`.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`], [`Error::Json`], [`Error::ClientIdMismatch`], [`Error::Url`] for a URL inside, and the errors
    /// of single members. No error leaves a partial result.
    pub fn parse(url: &ClientIdUrl, body: &[u8], policy: &DocumentPolicy) -> Result<Self, Error> {
        if body.len() > policy.max_body {
            return Err(Error::TooLarge {
                limit: policy.max_body,
            });
        }
        Self::of_members(url, json::object(body)?, policy)
    }

    /// As [`parse`](Self::parse), for a document whose `software_statement` may say something that this server believes.
    ///
    /// `trusted` verifies the statement with the keys of the issuers it knows, and gives its claims. `None`: nobody known
    /// made it, so it says nothing. The claims win over the members of the same name, except `client_id`; JWT's own
    /// claims are left out. A statement is public and can be copied: it says something about software, and nothing about
    /// who sent it.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse), and [`Error::SoftwareStatement`] for one that a known issuer has not made as it is, or
    /// made for another client.
    pub fn parse_with_statement(
        url: &ClientIdUrl,
        body: &[u8],
        policy: &DocumentPolicy,
        trusted: impl FnOnce(&str) -> Option<Result<Map<String, Value>, Error>>,
    ) -> Result<Self, Error> {
        let plain = Self::parse(url, body, policy)?;
        let Some(claims) = plain.string("software_statement").and_then(trusted) else {
            return Ok(plain);
        };
        let claims = claims.map_err(|_| Error::SoftwareStatement)?;
        if claims
            .get("client_id")
            .is_some_and(|client_id| client_id.as_str() != Some(url.as_str()))
        {
            return Err(Error::SoftwareStatement);
        }
        let mut members = plain.members;
        for (name, value) in claims {
            if !["iss", "sub", "aud", "exp", "nbf", "iat", "jti"].contains(&name.as_str()) {
                members.insert(name, value);
            }
        }
        Self::of_members(url, members, policy)
    }

    fn of_members(
        url: &ClientIdUrl,
        members: Map<String, Value>,
        policy: &DocumentPolicy,
    ) -> Result<Self, Error> {
        members::check_types(&members)?;
        members::check_client_id(&members, url)?;
        members::check_secrets(&members)?;
        let urls = members::collect_urls(&members)?;
        if members.contains_key("jwks") && members.contains_key("jwks_uri") {
            return Err(Error::MemberValue {
                member: "jwks",
                reason: "stands beside `jwks_uri`",
            });
        }
        let spiffe_id = members::spiffe_id(&members, policy)?;
        let methods = members::methods(&members, policy)?;
        let metadata = Self {
            client_id: url.clone(),
            members,
            methods,
            spiffe_id,
            urls,
        };
        metadata.check_algorithm(policy)?;
        metadata.check_grants()?;
        metadata.check_redirects(policy)?;
        Ok(metadata)
    }

    /// The `client_id`, which is the URL of the document.
    #[must_use]
    pub const fn client_id(&self) -> &ClientIdUrl {
        &self.client_id
    }

    /// The name the client gives itself. Show [`ClientIdUrl::host`] beside it.
    #[must_use]
    pub fn client_name(&self) -> Option<&str> {
        self.string("client_name")
    }

    /// A display member in a language, such as `client_name#de`; the plain member when there is no such variant.
    #[must_use]
    pub fn localized(&self, member: &str, language: &str) -> Option<&str> {
        self.members
            .iter()
            .find(|(name, _)| {
                name.split_once('#')
                    .is_some_and(|(name, tag)| name == member && tag.eq_ignore_ascii_case(language))
            })
            .and_then(|(_, value)| value.as_str())
            .or_else(|| self.string(member))
    }

    /// The registered redirect URIs. Compare with [`match_redirect_uri`](Self::match_redirect_uri).
    pub fn redirect_uris(&self) -> impl Iterator<Item = &str> {
        self.strings("redirect_uris")
    }

    /// Finds the registered redirect URI that `requested` equals, by simple string comparison; for `http://127.0.0.1` and
    /// `http://[::1]` the port may differ. Redirect to `requested` only after this.
    ///
    /// # Errors
    ///
    /// [`Error::MemberMissing`] when none is registered, [`Error::RedirectUriNotRegistered`] when none matches.
    pub fn match_redirect_uri(&self, requested: &str) -> Result<&str, Error> {
        if self.redirect_uris().next().is_none() {
            return Err(Error::MemberMissing {
                member: "redirect_uris",
            });
        }
        if requested.contains('#') {
            return Err(Error::RedirectUriNotRegistered);
        }
        self.redirect_uris()
            .find(|registered| redirect::matches(registered, requested))
            .ok_or(Error::RedirectUriNotRegistered)
    }

    /// The declared authentication method, if any.
    #[must_use]
    pub fn token_endpoint_auth_method(&self) -> Option<AuthMethod> {
        self.string("token_endpoint_auth_method")
            .and_then(AuthMethod::from_name)
    }

    /// The methods with which this client may authenticate; it must use one of them at every endpoint. Declared: that one.
    /// Not declared: the SPIFFE methods where there is a `spiffe_id`, else `private_key_jwt` where there are keys, else
    /// `none`.
    #[must_use]
    pub const fn accepted_methods(&self) -> &'static [AuthMethod] {
        self.methods
    }

    /// Whether the client has to authenticate.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        !self.methods.contains(&AuthMethod::None)
    }

    /// The declared `token_endpoint_auth_signing_alg`.
    #[must_use]
    pub fn token_endpoint_auth_signing_alg(&self) -> Option<&str> {
        self.string("token_endpoint_auth_signing_alg")
    }

    /// Whether the client may use a grant type. Absent `grant_types` means `authorization_code`; a client that does not
    /// authenticate never gets `client_credentials`.
    #[must_use]
    pub fn allows_grant(&self, grant_type: &str) -> bool {
        if grant_type == "client_credentials" && !self.is_confidential() {
            return false;
        }
        if self.members.contains_key("grant_types") {
            self.strings("grant_types")
                .any(|listed| listed == grant_type)
        } else {
            grant_type == "authorization_code"
        }
    }

    /// Whether every scope of the space-separated `requested` is one the document lists. Without `scope` in the document
    /// the answer is `None`: the server's own policy decides.
    #[must_use]
    pub fn allows_scope(&self, requested: &str) -> Option<bool> {
        let listed: Vec<&str> = self.string("scope")?.split(' ').collect();
        Some(requested.split(' ').all(|scope| listed.contains(&scope)))
    }

    /// The JWK Set inside the document: public keys only.
    #[must_use]
    pub fn jwks(&self) -> Option<&Value> {
        self.members.get("jwks")
    }

    /// Where the JWK Set is. Fetch it through a [`FetchPlan`](crate::FetchPlan) and check it with [`check_public_keys`](crate::check_public_keys).
    #[must_use]
    pub fn jwks_uri(&self) -> Option<&HttpsUrl> {
        self.url("jwks_uri")
    }

    /// Where the logo is. Fetch it through [`FetchPlan::for_logo`](crate::FetchPlan::for_logo), and show none where that
    /// fails.
    #[must_use]
    pub fn logo_uri(&self) -> Option<&HttpsUrl> {
        self.url("logo_uri")
    }

    /// Which SPIFFE IDs are this client.
    #[must_use]
    pub const fn spiffe_id(&self) -> Option<&SpiffeIdPattern> {
        self.spiffe_id.as_ref()
    }

    /// Where the client says the bundle of its trust domain is.
    #[must_use]
    pub fn spiffe_bundle_endpoint(&self) -> Option<&HttpsUrl> {
        self.url("spiffe_bundle_endpoint")
    }

    /// Every URL of the document with the member it stands in. None may be fetched except through a
    /// [`FetchPlan`](crate::FetchPlan).
    pub fn urls(&self) -> impl Iterator<Item = (&'static str, &HttpsUrl)> {
        self.urls.iter().map(|(member, url)| (*member, url))
    }

    /// All members as they came, also unknown ones.
    #[must_use]
    pub const fn members(&self) -> &Map<String, Value> {
        &self.members
    }

    fn url(&self, member: &str) -> Option<&HttpsUrl> {
        self.urls
            .iter()
            .find(|(name, _)| *name == member)
            .map(|(_, url)| url)
    }

    fn string(&self, member: &str) -> Option<&str> {
        self.members.get(member).and_then(Value::as_str)
    }

    fn strings(&self, member: &str) -> impl Iterator<Item = &str> {
        let values = self.members.get(member).and_then(Value::as_array);
        values.into_iter().flatten().filter_map(Value::as_str)
    }

    fn check_algorithm(&self, policy: &DocumentPolicy) -> Result<(), Error> {
        match self.token_endpoint_auth_signing_alg() {
            Some(name)
                if name == "none"
                    || name.starts_with("HS")
                    || !policy.algorithms.iter().any(|known| known == name) =>
            {
                Err(Error::MemberValue {
                    member: "token_endpoint_auth_signing_alg",
                    reason: "not an asymmetric algorithm this server verifies",
                })
            }
            _ => Ok(()),
        }
    }

    fn check_grants(&self) -> Result<(), Error> {
        let value = |member, reason| Err(Error::MemberValue { member, reason });
        if self
            .strings("grant_types")
            .any(|grant| grant == "implicit" || grant == "password")
        {
            return value(
                "grant_types",
                "the implicit and password grants are refused",
            );
        }
        for response_type in self.strings("response_types") {
            if response_type != "code" {
                return value("response_types", "only `code` is supported");
            }
            if !self.allows_grant("authorization_code") {
                return value(
                    "response_types",
                    "`code` needs the grant type `authorization_code`",
                );
            }
        }
        let id_jag = |profile| profile == "urn:ietf:params:oauth:grant-profile:id-jag";
        if self
            .strings("authorization_grant_profiles_supported")
            .any(id_jag)
            && !(self.allows_grant("urn:ietf:params:oauth:grant-type:token-exchange")
                && self.allows_grant("urn:ietf:params:oauth:grant-type:jwt-bearer"))
        {
            return value(
                "authorization_grant_profiles_supported",
                "id-jag needs token-exchange and jwt-bearer",
            );
        }
        if self
            .string("scope")
            .is_some_and(|scope| !scope.split(' ').all(members::is_scope_token))
        {
            return value("scope", "not a list of scopes with one space between");
        }
        Ok(())
    }

    fn check_redirects(&self, policy: &DocumentPolicy) -> Result<(), Error> {
        let redirects = if policy.is_development(self.client_id.as_url()) {
            &RedirectPolicy::Any
        } else {
            &policy.redirects
        };
        for (index, uri) in self.redirect_uris().enumerate() {
            redirect::check(uri, self.client_id.as_url(), redirects)
                .map_err(|reason| Error::RedirectUri { index, reason })?;
        }
        // Only a document that asks for the code grant by name needs one: the published SPIFFE example lists neither.
        let listed = self
            .strings("grant_types")
            .any(|grant| grant == "authorization_code")
            || self.strings("response_types").next().is_some();
        if listed && self.redirect_uris().next().is_none() {
            return Err(Error::MemberMissing {
                member: "redirect_uris",
            });
        }
        Ok(())
    }
}
