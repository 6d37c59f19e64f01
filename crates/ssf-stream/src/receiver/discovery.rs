//! Finding a transmitter's metadata (section 7.2).

use http::header::ACCEPT;
use http::{HeaderValue, Method, Request, Response, StatusCode};

use crate::error::{Error, is_media_type};
use crate::metadata::{TransmitterMetadata, well_known, well_known_url};

const WHAT: &str = "transmitter metadata";

/// The request for the metadata of an issuer, which comes from configuration or another source that the receiver trusts. Send it without
/// following redirects.
///
/// # Errors
///
/// [`Error::Endpoint`] when the issuer is not a plain https URL.
pub fn request(issuer: &str) -> Result<Request<Vec<u8>>, Error> {
    get(&well_known_url(issuer)?)
}

/// The request for the metadata of a transmitter from before SSF, at `risc-configuration`. Only for one that is known to be such, and
/// only after [`request`] was answered with 404.
///
/// # Errors
///
/// As [`request`].
pub fn legacy_request(issuer: &str) -> Result<Request<Vec<u8>>, Error> {
    get(&well_known(issuer, "risc-configuration")?)
}

fn get(url: &str) -> Result<Request<Vec<u8>>, Error> {
    let mut request = Request::new(Vec::new());
    *request.method_mut() = Method::GET;
    *request.uri_mut() = url
        .parse()
        .map_err(|_| Error::Endpoint { what: "the issuer" })?;
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(ACCEPT, json);
    Ok(request)
}

/// Reads the answer.
///
/// # Errors
///
/// [`Error::Status`] for another status than 200, [`Error::ContentType`], and what
/// [`TransmitterMetadata::parse`] refuses, the metadata of another issuer above all.
pub fn parse_response(
    response: &Response<Vec<u8>>,
    issuer: &str,
) -> Result<TransmitterMetadata, Error> {
    if response.status() != StatusCode::OK {
        return Err(Error::Status {
            what: WHAT,
            status: response.status().as_u16(),
        });
    }
    if !is_media_type(response.headers(), "application/json") {
        return Err(Error::ContentType { what: WHAT });
    }
    TransmitterMetadata::parse(response.body(), issuer)
}
