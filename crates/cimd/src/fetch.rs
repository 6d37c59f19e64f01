//! A fetch without I/O: the request to send, the addresses to connect to, the response to accept.

use std::net::SocketAddr;

use http::{HeaderMap, Request, StatusCode, header};

use crate::{
    Error, Freshness, HttpsUrl, UrlProblem,
    guard::{AddressPolicy, PortPolicy},
    logo,
    policy::{DEFAULT_MAX_BODY, HARD_MAX_BODY},
};

/// Where documents may come from and how large they may be.
#[derive(Debug, Clone)]
pub struct FetchPolicy {
    addresses: AddressPolicy,
    ports: PortPolicy,
    max_body: usize,
    max_logo: usize,
}

impl Default for FetchPolicy {
    fn default() -> Self {
        Self {
            addresses: AddressPolicy::new(),
            ports: PortPolicy::new(),
            max_body: DEFAULT_MAX_BODY,
            max_logo: DEFAULT_MAX_LOGO,
        }
    }
}

impl FetchPolicy {
    /// Global addresses, port 443 and ports from 1024 on, 5120 bytes, 64 KiB for a logo.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the address policy.
    #[must_use]
    pub fn addresses(mut self, addresses: AddressPolicy) -> Self {
        self.addresses = addresses;
        self
    }

    /// Sets the port policy.
    #[must_use]
    pub fn ports(mut self, ports: PortPolicy) -> Self {
        self.ports = ports;
        self
    }

    /// Sets the body limit in bytes, at most [`HARD_MAX_BODY`].
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.max_body = bytes.min(HARD_MAX_BODY);
        self
    }

    /// Sets the limit for a logo in bytes, at most 1 MiB.
    #[must_use]
    pub fn max_logo(mut self, bytes: usize) -> Self {
        self.max_logo = bytes.min(HARD_MAX_LOGO);
        self
    }
}

const DEFAULT_MAX_LOGO: usize = 64 * 1024;
const HARD_MAX_LOGO: usize = 1024 * 1024;

/// One permitted fetch of a document, or of a URL inside one.
///
/// Resolve [`host`](Self::host) once, pass all addresses to [`check_addresses`](Self::check_addresses), connect to one of
/// them with TLS for the host name, send [`request`](Self::request), and give the head of the response to
/// [`accept`](Self::accept). Follow no redirect.
#[derive(Debug, Clone)]
pub struct FetchPlan<'a> {
    url: &'a HttpsUrl,
    policy: &'a FetchPolicy,
    wanted: Wanted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Json,
    Image,
}

/// What the head of a response says about a document that was known before.
#[derive(Debug)]
#[non_exhaustive]
pub enum Answer {
    /// `304 Not Modified`: the known document holds on.
    NotModified,
    /// A document comes.
    Body(BodyReader),
}

impl<'a> FetchPlan<'a> {
    /// Plans the fetch of `url`.
    ///
    /// # Errors
    ///
    /// [`Error::PortRefused`].
    pub fn new(url: &'a HttpsUrl, policy: &'a FetchPolicy) -> Result<Self, Error> {
        policy.ports.check(url.port())?;
        let wanted = Wanted::Json;
        Ok(Self {
            url,
            policy,
            wanted,
        })
    }

    /// Plans the fetch of a logo: the same guard, but image types and a limit of their own.
    ///
    /// # Errors
    ///
    /// [`Error::PortRefused`].
    pub fn for_logo(url: &'a HttpsUrl, policy: &'a FetchPolicy) -> Result<Self, Error> {
        let plan = Self::new(url, policy)?;
        let wanted = Wanted::Image;
        Ok(Self { wanted, ..plan })
    }

    /// The name to resolve and to verify the certificate for.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.url.host()
    }

    /// The port to connect to.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.url.port()
    }

    /// Checks every address the name resolved to.
    ///
    /// # Errors
    ///
    /// As [`AddressPolicy::check_all`].
    pub fn check_addresses(&self, addresses: &[SocketAddr]) -> Result<(), Error> {
        self.policy.addresses.check_all(addresses)
    }

    /// The request, with the raw path as target and with no header that could carry a credential.
    ///
    /// # Errors
    ///
    /// [`Error::Url`] if the `http` types cannot express the URL.
    pub fn request(&self) -> Result<Request<()>, Error> {
        Request::get(self.url.path_and_query())
            .header(header::HOST, self.url.authority())
            .header(
                header::ACCEPT,
                match self.wanted {
                    Wanted::Json => "application/json",
                    Wanted::Image => logo::ACCEPTED,
                },
            )
            .header(header::ACCEPT_ENCODING, "identity")
            .body(())
            .map_err(|_| Error::Url {
                place: "client_id",
                problem: UrlProblem::Ambiguous,
            })
    }

    /// The request for a document that is known from before, with the question whether it changed.
    ///
    /// # Errors
    ///
    /// As [`request`](Self::request).
    pub fn request_again(&self, known: &Freshness) -> Result<Request<()>, Error> {
        let mut request = self.request()?;
        request.headers_mut().extend(known.validators());
        Ok(request)
    }

    /// As [`accept`](Self::accept), where the request had validators: then 304 is an answer, too.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn accept_again(
        &self,
        known: &Freshness,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Answer, Error> {
        let asked = known.validators().next().is_some();
        if asked && status == StatusCode::NOT_MODIFIED {
            return Ok(Answer::NotModified);
        }
        self.accept(status, headers).map(Answer::Body)
    }

    /// Judges status and headers, and gives the reader for the body.
    ///
    /// # Errors
    ///
    /// [`Error::Status`] for everything but 200, [`Error::ContentType`], [`Error::ContentEncoding`], and
    /// [`Error::TooLarge`] where `Content-Length` says so already.
    pub fn accept(&self, status: StatusCode, headers: &HeaderMap) -> Result<BodyReader, Error> {
        if status != StatusCode::OK {
            return Err(Error::Status {
                status: status.as_u16(),
            });
        }
        let mut types = headers.get_all(header::CONTENT_TYPE).iter();
        let (Some(media_type), None) = (types.next(), types.next()) else {
            return Err(Error::ContentType);
        };
        let (is_wanted, limit): (fn(&str) -> bool, _) = match self.wanted {
            Wanted::Json => (is_json, self.policy.max_body),
            Wanted::Image => (logo::is_accepted, self.policy.max_logo),
        };
        if !media_type.to_str().is_ok_and(is_wanted) {
            return Err(Error::ContentType);
        }
        if headers
            .get_all(header::CONTENT_ENCODING)
            .iter()
            .any(|value| value != "identity")
        {
            return Err(Error::ContentEncoding);
        }
        let announced = headers
            .get(header::CONTENT_LENGTH)
            .and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if announced
            .is_some_and(|length| usize::try_from(length).map_or(true, |length| length > limit))
        {
            return Err(Error::TooLarge { limit });
        }
        Ok(BodyReader {
            body: Vec::new(),
            limit,
        })
    }

    /// Judges a whole response at once.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept) and [`BodyReader::push`].
    pub fn parse_response(
        &self,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let mut reader = self.accept(status, headers)?;
        reader.push(body)?;
        Ok(reader.finish())
    }
}

/// Collects a body up to the limit.
#[derive(Debug)]
pub struct BodyReader {
    body: Vec<u8>,
    limit: usize,
}

impl BodyReader {
    /// Adds what arrived. After an error stop reading and close the connection.
    ///
    /// # Errors
    ///
    /// [`Error::TooLarge`].
    pub fn push(&mut self, chunk: &[u8]) -> Result<(), Error> {
        if chunk.len() > self.limit.saturating_sub(self.body.len()) {
            return Err(Error::TooLarge { limit: self.limit });
        }
        self.body.extend_from_slice(chunk);
        Ok(())
    }

    /// The whole body.
    #[must_use]
    pub fn finish(self) -> Vec<u8> {
        self.body
    }
}

/// `application/json` or `application/<something>+json`, with or without parameters.
fn is_json(media_type: &str) -> bool {
    let essence = media_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.strip_prefix("application/").is_some_and(|subtype| {
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&byte);
        subtype.bytes().all(token)
            && (subtype == "json"
                || subtype
                    .strip_suffix("+json")
                    .is_some_and(|name| !name.is_empty()))
    })
}
