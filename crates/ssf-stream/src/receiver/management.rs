//! The client of the management API (section 8.1), as requests to send and responses to read.

use std::fmt;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use jose_x509::json;
use serde_json::{Map, Value};
use ssf_set::Problem;

use crate::error::{Error, https};
use crate::metadata::TransmitterMetadata;
use crate::stream::{
    ConfigurationRequest, StreamConfiguration, StreamStatusDocument, SubjectRequest,
    VerificationRequest,
};

const CONFIGURATION: &str = "stream configuration";
const STATUS: &str = "stream status";
/// The most streams in a list.
const MAX_STREAMS: usize = 256;

/// The `spec_urn` of OAuth 2.0.
pub(crate) const OAUTH: &str = "urn:ietf:rfc:6749";
/// The `spec_urn` of mutual TLS.
pub(crate) const MUTUAL_TLS: &str = "urn:ietf:rfc:8705";

/// How the receiver authenticates itself.
#[derive(Clone)]
#[non_exhaustive]
pub enum Credentials {
    /// An OAuth access token.
    Bearer(HeaderValue),
    /// A client certificate, which the TLS layer presents.
    MutualTls,
    /// Trust of another kind.
    None,
}

impl Credentials {
    /// An OAuth access token; `None` if it is not one token of printable characters.
    #[must_use]
    pub fn bearer(token: &str) -> Option<Self> {
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return None;
        }
        let mut value = HeaderValue::try_from(format!("Bearer {token}")).ok()?;
        value.set_sensitive(true);
        Some(Self::Bearer(value))
    }

    /// The value of the `Authorization` field, for polls too.
    #[must_use]
    pub fn authorization(&self) -> Option<&HeaderValue> {
        match self {
            Self::Bearer(value) => Some(value),
            Self::MutualTls | Self::None => None,
        }
    }

    fn fits(&self, urns: &[String]) -> bool {
        let has = |urn| urns.iter().any(|own| own == urn);
        match self {
            Self::Bearer(_) => has(OAUTH) || has(MUTUAL_TLS),
            Self::MutualTls => has(MUTUAL_TLS),
            Self::None => false,
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bearer(_) => "Bearer(..)",
            Self::MutualTls => "MutualTls",
            Self::None => "None",
        })
    }
}

/// What became of a creation.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "there is one at a time, and it is taken apart at once"
)]
pub enum Created {
    /// A new stream. Its `events_delivered` is what the receiver can count on.
    New(StreamConfiguration),
    /// There is one already, and there cannot be several (409): list the streams, and update that one.
    Exists,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Updated<T> {
    /// This holds now.
    Done(T),
    /// It is accepted and not done (202). The same request may be sent again later, not at once.
    Pending,
}

/// A receiver's view of one transmitter's management API.
#[derive(Clone, Debug)]
pub struct Management {
    metadata: TransmitterMetadata,
    credentials: Credentials,
    audience: Option<Vec<String>>,
}

impl Management {
    /// The API of the transmitter with these metadata.
    ///
    /// # Errors
    ///
    /// [`Error::NoCommonScheme`] when the transmitter names its authorization schemes, and the credentials are of none.
    pub fn new(metadata: TransmitterMetadata, credentials: Credentials) -> Result<Self, Error> {
        let schemes = &metadata.authorization_schemes;
        if !schemes.is_empty() && !credentials.fits(schemes) {
            return Err(Error::NoCommonScheme);
        }
        Ok(Self {
            metadata,
            credentials,
            audience: None,
        })
    }

    /// Expects just this `aud` of every stream.
    #[must_use]
    pub fn with_audience<A: Into<String>>(mut self, audience: impl IntoIterator<Item = A>) -> Self {
        self.audience = Some(audience.into_iter().map(Into::into).collect());
        self
    }

    /// Exchanges the credentials, as after an access token has expired.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Self {
        self.credentials = credentials;
        self
    }

    /// The metadata.
    #[must_use]
    pub fn metadata(&self) -> &TransmitterMetadata {
        &self.metadata
    }

    /// The credentials.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The request that creates a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`] when the transmitter has no such endpoint, as for each of these requests.
    pub fn create(&self, wanted: &ConfigurationRequest) -> Result<Request<Vec<u8>>, Error> {
        let mut wanted = wanted.clone();
        wanted.stream_id = None;
        self.configuration(Method::POST, None, Some(wanted.to_json()))
    }

    /// Reads the answer to a creation.
    ///
    /// # Errors
    ///
    /// [`Error::Status`], [`Error::IssuerMismatch`], [`Error::AudienceMismatch`], and what
    /// [`StreamConfiguration::parse`] refuses. The stream must not be used then.
    pub fn created(&self, response: &Response<Vec<u8>>) -> Result<Created, Error> {
        match response.status() {
            StatusCode::CREATED => {
                let configuration = StreamConfiguration::parse(response.body())?;
                self.check(configuration).map(Created::New)
            }
            StatusCode::CONFLICT => Ok(Created::Exists),
            status => Err(unexpected(CONFIGURATION, status)),
        }
    }

    /// The request for the configuration of a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn read(&self, stream_id: &str) -> Result<Request<Vec<u8>>, Error> {
        self.configuration(Method::GET, Some(stream_id), None)
    }

    /// Reads the configuration of a stream.
    ///
    /// # Errors
    ///
    /// As [`created`](Self::created), and [`Error::StreamMismatch`].
    pub fn configured(
        &self,
        stream_id: &str,
        response: &Response<Vec<u8>>,
    ) -> Result<StreamConfiguration, Error> {
        if response.status() != StatusCode::OK {
            return Err(unexpected(CONFIGURATION, response.status()));
        }
        let configuration = self.check(StreamConfiguration::parse(response.body())?)?;
        if configuration.stream_id != stream_id {
            return Err(Error::StreamMismatch {
                what: CONFIGURATION,
            });
        }
        Ok(configuration)
    }

    /// The request for all streams of this receiver.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn list(&self) -> Result<Request<Vec<u8>>, Error> {
        self.configuration(Method::GET, None, None)
    }

    /// Reads the list of streams. One that is wrong leaves the others as they are.
    ///
    /// # Errors
    ///
    /// [`Error::Status`], [`Error::Json`], [`Error::Member`] with more than 256 streams.
    pub fn listed(
        &self,
        response: &Response<Vec<u8>>,
    ) -> Result<Vec<Result<StreamConfiguration, Error>>, Error> {
        if response.status() != StatusCode::OK {
            return Err(unexpected(CONFIGURATION, response.status()));
        }
        let streams: Vec<Map<String, Value>> =
            json::from_slice(response.body(), &json::Limits::DOCUMENT).map_err(|source| {
                Error::Json {
                    what: CONFIGURATION,
                    source,
                }
            })?;
        if streams.len() > MAX_STREAMS {
            return Err(Error::Member {
                what: CONFIGURATION,
                member: "(list)",
                problem: Problem::TooLong,
            });
        }
        let read = |object| StreamConfiguration::from_object(object).and_then(|it| self.check(it));
        Ok(streams.into_iter().map(read).collect())
    }

    /// The request that updates a stream (PATCH): what is absent stays.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn update(
        &self,
        stream_id: &str,
        wanted: &ConfigurationRequest,
    ) -> Result<Request<Vec<u8>>, Error> {
        self.changed(Method::PATCH, stream_id, wanted)
    }

    /// The request that replaces what the receiver supplies (PUT): what is absent is deleted. Begin with
    /// [`ConfigurationRequest::replacing`].
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn replace(
        &self,
        stream_id: &str,
        wanted: &ConfigurationRequest,
    ) -> Result<Request<Vec<u8>>, Error> {
        self.changed(Method::PUT, stream_id, wanted)
    }

    /// Reads the answer to an update or a replacement.
    ///
    /// # Errors
    ///
    /// As [`configured`](Self::configured).
    pub fn updated(
        &self,
        stream_id: &str,
        response: &Response<Vec<u8>>,
    ) -> Result<Updated<StreamConfiguration>, Error> {
        if response.status() == StatusCode::ACCEPTED {
            return Ok(Updated::Pending);
        }
        self.configured(stream_id, response).map(Updated::Done)
    }

    /// The request that deletes a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn delete(&self, stream_id: &str) -> Result<Request<Vec<u8>>, Error> {
        self.configuration(Method::DELETE, Some(stream_id), None)
    }

    /// The request for the status of a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn read_status(&self, stream_id: &str) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(&self.metadata.status_endpoint, "the status of streams")?;
        self.request(Method::GET, url, Some(stream_id), None)
    }

    /// The request that changes the status of a stream.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn set_status(&self, wanted: &StreamStatusDocument) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(&self.metadata.status_endpoint, "the status of streams")?;
        self.request(Method::POST, url, None, Some(wanted.to_json()))
    }

    /// Reads a status, as the answer to a question or to a change.
    ///
    /// # Errors
    ///
    /// [`Error::Status`], [`Error::StreamMismatch`], and what [`StreamStatusDocument::parse`] refuses.
    pub fn status(
        &self,
        stream_id: &str,
        response: &Response<Vec<u8>>,
    ) -> Result<Updated<StreamStatusDocument>, Error> {
        match response.status() {
            StatusCode::OK => {
                let status = StreamStatusDocument::parse(response.body())?;
                if status.stream_id != stream_id {
                    return Err(Error::StreamMismatch { what: STATUS });
                }
                Ok(Updated::Done(status))
            }
            StatusCode::ACCEPTED => Ok(Updated::Pending),
            status => Err(unexpected(STATUS, status)),
        }
    }

    /// The request that adds a subject. Success is no promise of events.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn add_subject(&self, subject: &SubjectRequest) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(&self.metadata.add_subject_endpoint, "adding subjects")?;
        self.request(Method::POST, url, None, Some(subject.to_json()))
    }

    /// The request that removes a subject. Events about it may still come for a time, and are no error.
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn remove_subject(&self, subject: &SubjectRequest) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(&self.metadata.remove_subject_endpoint, "removing subjects")?;
        let mut subject = subject.clone();
        subject.verified = None;
        self.request(Method::POST, url, None, Some(subject.to_json()))
    }

    /// The request for a verification event. Make it with [`Verifications::begin`](super::Verifications::begin).
    ///
    /// # Errors
    ///
    /// [`Error::NotOffered`].
    pub fn verify(&self, request: &VerificationRequest) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(&self.metadata.verification_endpoint, "verification")?;
        self.request(Method::POST, url, None, Some(request.to_json()))
    }

    /// Reads the answer to what has no content: any status of success means that it was accepted, and no more.
    ///
    /// # Errors
    ///
    /// [`Error::Status`].
    pub fn accepted(&self, response: &Response<Vec<u8>>) -> Result<(), Error> {
        if response.status().is_success() {
            Ok(())
        } else {
            Err(unexpected("management response", response.status()))
        }
    }

    fn check(&self, configuration: StreamConfiguration) -> Result<StreamConfiguration, Error> {
        if configuration.iss != self.metadata.issuer {
            return Err(Error::IssuerMismatch {
                what: CONFIGURATION,
            });
        }
        let sorted = |names: &[String]| {
            let mut names = names.to_vec();
            names.sort();
            names
        };
        match &self.audience {
            Some(expected) if sorted(expected) != sorted(&configuration.aud) => {
                Err(Error::AudienceMismatch)
            }
            _ => Ok(configuration),
        }
    }

    fn changed(
        &self,
        method: Method,
        stream_id: &str,
        wanted: &ConfigurationRequest,
    ) -> Result<Request<Vec<u8>>, Error> {
        let mut wanted = wanted.clone();
        wanted.stream_id = Some(stream_id.to_owned());
        self.configuration(method, None, Some(wanted.to_json()))
    }

    fn configuration(
        &self,
        method: Method,
        stream_id: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Vec<u8>>, Error> {
        let url = offered(
            &self.metadata.configuration_endpoint,
            "the management of streams",
        )?;
        self.request(method, url, stream_id, body)
    }

    fn request(
        &self,
        method: Method,
        endpoint: &str,
        stream_id: Option<&str>,
        body: Option<Vec<u8>>,
    ) -> Result<Request<Vec<u8>>, Error> {
        let what = "an endpoint of the transmitter";
        let mut url = https(endpoint, what)?;
        if let Some(stream_id) = stream_id {
            url.query_pairs_mut().append_pair("stream_id", stream_id);
        }
        let mut request = Request::new(Vec::new());
        *request.method_mut() = method;
        *request.uri_mut() = url.as_str().parse().map_err(|_| Error::Endpoint { what })?;
        let json = HeaderValue::from_static("application/json");
        if let Some(body) = body {
            *request.body_mut() = body;
            request.headers_mut().insert(CONTENT_TYPE, json.clone());
        }
        request.headers_mut().insert(ACCEPT, json);
        if let Some(value) = self.credentials.authorization() {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        Ok(request)
    }
}

fn offered<'a>(endpoint: &'a Option<String>, what: &'static str) -> Result<&'a str, Error> {
    endpoint.as_deref().ok_or(Error::NotOffered { what })
}

fn unexpected(what: &'static str, status: StatusCode) -> Error {
    Error::Status {
        what,
        status: status.as_u16(),
    }
}
