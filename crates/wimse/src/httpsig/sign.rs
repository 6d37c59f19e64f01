//! Signing messages with the key of a WIT.

use std::fmt;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, request, response};
use jose_x509::jws::UnverifiedJws;
use jose_x509::{Algorithm, AsyncSigner, CryptoProvider, Signer, json};
use pki_types::UnixTime;
use sfv::KeyRef;

use super::base::signature_base;
use super::component::{Message, RequestView, authority, required};
use super::fields::tagged;
use super::verify::VerifiedRequest;
use super::{
    CONTENT_DIGEST, Profile, SIGNATURE, SIGNATURE_INPUT, SignatureError, TAG, WIMSE_AUD,
    WIMSE_REQ_NONCE, WIMSE_SIGN_RESPONSE, content_digest, digest,
};
use crate::audience::{has_user_info, without_query};
use crate::error::Error;
use crate::wit::WORKLOAD_IDENTITY_TOKEN;

/// Signs requests and responses of one workload: a WIT and its private key.
#[derive(Debug)]
pub struct MessageSigner<S> {
    wit: HeaderValue,
    wit_expires: u64,
    signer: S,
    provider: CryptoProvider,
    profile: Profile,
    label: String,
    lifetime: u64,
    audience: Option<String>,
    require_signed_response: bool,
    insecure: bool,
}

const MAX_LIFETIME: u64 = 300;

impl<S: Signer> MessageSigner<S> {
    /// A signer whose signatures live for 60 seconds. `provider` hashes the content and makes the nonces.
    ///
    /// # Errors
    ///
    /// [`SignatureError::OwnWit`] when `wit` has no `exp`, or no `cnf.jwk` with the algorithm of `signer`.
    pub fn new(wit: &str, signer: S, provider: CryptoProvider) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        Self::with_algorithm(wit, signer, algorithm, provider)
    }

    /// Signs a request: sets `Workload-Identity-Token`, for content `Content-Digest`, and the signature fields;
    /// all of them replace what stood there. Every other field has to be in place before.
    ///
    /// # Errors
    ///
    /// [`SignatureError::InsecureTarget`], [`Error::TargetUserInfo`], [`Error::InvalidOption`] for a target without
    /// authority when no audience is set, [`SignatureError::OwnWit`] when the WIT has expired, and what is wrong with a
    /// field that has to be covered.
    pub fn sign_request(
        &self,
        parts: &mut request::Parts,
        content: &[u8],
        now: UnixTime,
    ) -> Result<SentRequest, Error> {
        let (sent, unsigned) = self.begin_request(parts, content, now)?;
        let signature = self.signer.sign(unsigned.base.as_bytes());
        self.finish(&mut parts.headers, &unsigned, signature)?;
        Ok(sent.with_headers(&parts.headers))
    }

    pub(super) fn sign_response(
        &self,
        parts: &mut response::Parts,
        content: &[u8],
        request: &VerifiedRequest,
        now: UnixTime,
    ) -> Result<(), Error> {
        let unsigned = self.begin_response(parts, content, request, now)?;
        let signature = self.signer.sign(unsigned.base.as_bytes());
        self.finish(&mut parts.headers, &unsigned, signature)
    }
}

impl<S: AsyncSigner> MessageSigner<S> {
    /// As [`new`](MessageSigner::new), for a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`new`](MessageSigner::new).
    pub fn new_async(wit: &str, signer: S, provider: CryptoProvider) -> Result<Self, Error> {
        let algorithm = signer.algorithm();
        Self::with_algorithm(wit, signer, algorithm, provider)
    }

    /// As [`sign_request`](MessageSigner::sign_request). If it fails or is dropped the request is not to be sent: its
    /// older signature is gone.
    ///
    /// # Errors
    ///
    /// As [`sign_request`](MessageSigner::sign_request).
    pub async fn sign_request_async(
        &self,
        parts: &mut request::Parts,
        content: &[u8],
        now: UnixTime,
    ) -> Result<SentRequest, Error> {
        let (sent, unsigned) = self.begin_request(parts, content, now)?;
        let signature = self.signer.sign(unsigned.base.as_bytes()).await;
        self.finish(&mut parts.headers, &unsigned, signature)?;
        Ok(sent.with_headers(&parts.headers))
    }

    pub(super) async fn sign_response_async(
        &self,
        parts: &mut response::Parts,
        content: &[u8],
        request: &VerifiedRequest,
        now: UnixTime,
    ) -> Result<(), Error> {
        let unsigned = self.begin_response(parts, content, request, now)?;
        let signature = self.signer.sign(unsigned.base.as_bytes()).await;
        self.finish(&mut parts.headers, &unsigned, signature)
    }
}

/// What is signed, and the value of `Signature-Input` without its label.
struct Unsigned {
    base: String,
    input: String,
}

impl<S> MessageSigner<S> {
    fn with_algorithm(
        wit: &str,
        signer: S,
        own_algorithm: Algorithm,
        provider: CryptoProvider,
    ) -> Result<Self, Error> {
        let own = || Error::from(SignatureError::OwnWit);
        let jws = UnverifiedJws::parse(wit).map_err(|_| own())?;
        let claims =
            json::object(jws.unverified_payload(), &json::Limits::CLAIMS).map_err(|_| own())?;
        let algorithm = claims
            .get("cnf")
            .and_then(|cnf| cnf.get("jwk")?.get("alg")?.as_str());
        if algorithm != Some(own_algorithm.name()) {
            return Err(own());
        }
        let wit_expires = claims
            .get("exp")
            .and_then(serde_json::Value::as_u64)
            .ok_or_else(own)?;
        let mut wit = HeaderValue::from_str(wit).map_err(|_| own())?;
        wit.set_sensitive(true);
        Ok(Self {
            wit,
            wit_expires,
            signer,
            provider,
            profile: Profile::default(),
            label: "sig1".to_owned(),
            lifetime: 60,
            audience: None,
            require_signed_response: false,
            insecure: false,
        })
    }

    /// Signs in another profile. The label becomes the one that its draft names.
    #[must_use]
    pub fn with_profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self.label = match profile {
            Profile::V07 => "sig1",
            Profile::V06 => "wimse",
        }
        .to_owned();
        self
    }

    /// Another label for the signature.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when it is not a key of a structured field.
    pub fn with_label(mut self, label: &str) -> Result<Self, Error> {
        KeyRef::from_str(label).map_err(|_| Error::InvalidOption {
            option: "label",
            range: "a key of a structured field: lower-case letters, digits, `_-.*`",
        })?;
        label.clone_into(&mut self.label);
        Ok(self)
    }

    /// Another lifetime.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] outside 1 to 300 seconds.
    pub fn with_lifetime(mut self, lifetime: Duration) -> Result<Self, Error> {
        if !(1..=MAX_LIFETIME).contains(&lifetime.as_secs()) {
            return Err(Error::InvalidOption {
                option: "lifetime",
                range: "1 to 300 seconds",
            });
        }
        self.lifetime = lifetime.as_secs();
        Ok(self)
    }

    /// Sends this `wimse-aud` literally, where intermediaries rewrite targets. Otherwise it is the target
    /// without its query.
    ///
    /// # Errors
    ///
    /// [`Error::InvalidOption`] when it is empty or not printable ASCII, [`Error::TargetUserInfo`] when it is a target
    /// with user information.
    pub fn with_audience(mut self, audience: &str) -> Result<Self, Error> {
        if audience.is_empty() || !audience.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            return Err(Error::InvalidOption {
                option: "audience",
                range: "printable ASCII",
            });
        }
        if has_user_info(audience) {
            return Err(Error::TargetUserInfo);
        }
        self.audience = Some(audience.to_owned());
        Ok(self)
    }

    /// Demands signed responses (`wimse-sign-response`).
    #[must_use]
    pub fn with_required_response_signature(mut self) -> Self {
        self.require_signed_response = true;
        self
    }

    /// Signs requests to `http` targets too, where something else than TLS of this client secures the channel.
    #[must_use]
    pub fn with_channel_secured_elsewhere(mut self) -> Self {
        self.insecure = true;
        self
    }

    fn begin_request(
        &self,
        parts: &mut request::Parts,
        content: &[u8],
        now: UnixTime,
    ) -> Result<(SentRequest, Unsigned), Error> {
        if !self.insecure
            && parts
                .uri
                .scheme_str()
                .is_some_and(|scheme| scheme != "https")
        {
            return Err(SignatureError::InsecureTarget.into());
        }
        // With an audience of its own as well, because other components are made of the target.
        let authority_of_target = parts.uri.authority().map(http::uri::Authority::as_str);
        if authority_of_target.is_some_and(|authority| authority.contains('@')) {
            return Err(Error::TargetUserInfo);
        }
        let audience = match (&self.audience, parts.uri.scheme()) {
            (Some(audience), _) => audience.clone(),
            (None, Some(_)) => without_query(&parts.uri.to_string()).to_owned(),
            (None, None) => {
                return Err(Error::InvalidOption {
                    option: "audience",
                    range: "set, or a target with scheme and authority",
                });
            }
        };
        self.prepare(&mut parts.headers, content, now)?;
        let nonce = self.nonce()?;
        let mut params = self.params(&nonce, now);
        push_string(&mut params, WIMSE_AUD, &audience)?;
        if self.require_signed_response {
            params.push(';');
            params.push_str(WIMSE_SIGN_RESPONSE);
        }
        let view = RequestView {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        let authority = authority(&view).unwrap_or_default();
        let unsigned = unsigned(self.profile, &Message::Request(view), &params)?;
        let sent = SentRequest {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: HeaderMap::new(),
            authority,
            nonce,
            sign_response: self.require_signed_response,
        };
        Ok((sent, unsigned))
    }

    fn begin_response(
        &self,
        parts: &mut response::Parts,
        content: &[u8],
        request: &VerifiedRequest,
        now: UnixTime,
    ) -> Result<Unsigned, Error> {
        self.prepare(&mut parts.headers, content, now)?;
        let mut params = self.params(&self.nonce()?, now);
        push_string(&mut params, WIMSE_REQ_NONCE, request.nonce())?;
        let message = Message::Response {
            status: parts.status,
            headers: &parts.headers,
            request: request.view(),
        };
        // The client reads the profile that it wrote.
        unsigned(request.profile(), &message, &params)
    }

    /// Sets the fields that are going to be covered.
    fn prepare(&self, headers: &mut HeaderMap, content: &[u8], now: UnixTime) -> Result<(), Error> {
        if now.as_secs() >= self.wit_expires {
            return Err(SignatureError::OwnWit.into());
        }
        headers.remove(SIGNATURE_INPUT);
        headers.remove(SIGNATURE);
        headers.insert(
            HeaderName::from_static(WORKLOAD_IDENTITY_TOKEN),
            self.wit.clone(),
        );
        if content.is_empty() {
            digest::check(&self.provider, headers, content)?;
        } else {
            let digest = content_digest(&self.provider, content);
            let digest = HeaderValue::from_str(&digest).map_err(|_| Error::FieldValue)?;
            headers.insert(HeaderName::from_static(CONTENT_DIGEST), digest);
        }
        Ok(())
    }

    fn nonce(&self) -> Result<String, Error> {
        let nonce = self.provider.random_id();
        nonce.map_err(|source| SignatureError::Signing(source).into())
    }

    fn params(&self, nonce: &str, now: UnixTime) -> String {
        let created = now.as_secs();
        let expires = created.saturating_add(self.lifetime);
        format!(";created={created};expires={expires};nonce=\"{nonce}\";tag=\"{TAG}\"")
    }

    fn finish(
        &self,
        headers: &mut HeaderMap,
        unsigned: &Unsigned,
        signature: Result<impl AsRef<[u8]>, jose_x509::Error>,
    ) -> Result<(), Error> {
        let signature = signature.map_err(SignatureError::Signing)?;
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Error::FieldValue);
        let label = KeyRef::from_str(&self.label).map_err(|_| Error::FieldValue)?;
        let mut dictionary = sfv::DictSerializer::new();
        _ = dictionary.bare_item(label, signature.as_ref());
        let input = value(&format!("{}={}", self.label, unsigned.input))?;
        let signature = value(&dictionary.finish().unwrap_or_default())?;
        headers.insert(HeaderName::from_static(SIGNATURE_INPUT), input);
        headers.insert(HeaderName::from_static(SIGNATURE), signature);
        Ok(())
    }
}

fn unsigned(profile: Profile, message: &Message<'_>, params: &str) -> Result<Unsigned, Error> {
    let components = required(profile, message);
    let mut input = String::from("(");
    for component in &components {
        if input.len() > 1 {
            input.push(' ');
        }
        component.write(&mut input);
    }
    input.push(')');
    input.push_str(params);
    let base = signature_base(&components, &input, message)?;
    Ok(Unsigned { base, input })
}

/// Appends a parameter that is a String (RFC 8941 section 4.1.6).
fn push_string(out: &mut String, name: &'static str, value: &str) -> Result<(), SignatureError> {
    if !value.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(SignatureError::Parameter { parameter: name });
    }
    out.push(';');
    out.push_str(name);
    out.push_str("=\"");
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
    Ok(())
}

/// What a client keeps of a request to check the response to it.
#[derive(Clone)]
pub struct SentRequest {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    authority: String,
    nonce: String,
    sign_response: bool,
}

impl SentRequest {
    /// From a request that was signed already, wherever that happened. Nothing is verified: it is one's own.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] when it does not carry exactly one signature of the profile.
    pub fn of_signed(parts: &request::Parts) -> Result<Self, SignatureError> {
        let tagged = tagged(&parts.headers)?;
        let view = RequestView {
            method: &parts.method,
            uri: &parts.uri,
            headers: &parts.headers,
        };
        Ok(Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            headers: parts.headers.clone(),
            authority: authority(&view).unwrap_or_default(),
            nonce: tagged.params.nonce,
            sign_response: tagged.params.sign_response,
        })
    }

    /// The nonce that a signed response has to repeat.
    #[must_use]
    pub fn nonce(&self) -> &str {
        &self.nonce
    }

    /// Whether the request demands a signed response.
    #[must_use]
    pub fn demands_signature(&self) -> bool {
        self.sign_response
    }

    /// The host that was called, with its port if that is not the default one.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    fn with_headers(mut self, headers: &HeaderMap) -> Self {
        headers.clone_into(&mut self.headers);
        self
    }

    pub(super) fn view(&self) -> RequestView<'_> {
        RequestView {
            method: &self.method,
            uri: &self.uri,
            headers: &self.headers,
        }
    }
}

/// Without fields and query, in which tokens are.
impl fmt::Debug for SentRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SentRequest")
            .field("method", &self.method)
            .field("authority", &self.authority)
            .field("demands_signature", &self.sign_response)
            .finish_non_exhaustive()
    }
}
