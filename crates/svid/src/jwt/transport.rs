//! How a JWT-SVID is sent (section 5): in `Authorization`, under the scheme `Bearer`.

use std::net::IpAddr;

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue, Uri};
use jose_x509::binding::{Authorization, Scheme};

use super::parse::UnverifiedJwtSvid;
use crate::error::Error;

/// The metadata key of gRPC, whose metadata are fields of HTTP/2 (section 5.3). The functions of this module
/// serve them, too.
pub const GRPC_METADATA_KEY: &str = "authorization";

/// The value of `Authorization` for a token, marked as sensitive. The caller answers for a channel that
/// keeps it secret on every hop: see [`attach`].
///
/// # Errors
///
/// Those of [`UnverifiedJwtSvid::parse`]: a WIT-SVID, above all, is no bearer token.
pub fn authorization(token: &str) -> Result<HeaderValue, Error> {
    UnverifiedJwtSvid::parse(token)?;
    let mut value =
        HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| Error::BearerCredential)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Puts a token into the one `Authorization` field of a request to `target`.
///
/// # Errors
///
/// [`Error::InsecureTarget`] unless `target` is `https`, or `http` on this machine itself; and as
/// [`authorization`].
pub fn attach(headers: &mut HeaderMap, token: &str, target: &Uri) -> Result<(), Error> {
    check_target(target)?;
    headers.insert(AUTHORIZATION, authorization(token)?);
    Ok(())
}

/// The token of a request, not verified. One in the query or in the body is not looked for.
///
/// # Errors
///
/// [`Error::BearerCredential`] unless there is exactly one `Authorization` field, with the scheme `Bearer`
/// and one token. Answer with [`Error::challenge`].
pub fn bearer_token(headers: &HeaderMap) -> Result<&str, Error> {
    let fields = headers.get_all(AUTHORIZATION).into_iter();
    match Authorization::read(fields.map(HeaderValue::as_bytes)) {
        Ok(found) if found.scheme() == Scheme::Bearer => Ok(found.token()),
        _ => Err(Error::BearerCredential),
    }
}

/// Whether what is sent there stays secret: under TLS, or without leaving the machine.
pub(crate) fn check_target(target: &Uri) -> Result<(), Error> {
    let host = target.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let local = host == "localhost"
        || host
            .parse()
            .is_ok_and(|address: IpAddr| address.is_loopback());
    match target.scheme_str() {
        Some("https") if !host.is_empty() => Ok(()),
        Some("http") if local => Ok(()),
        _ => Err(Error::InsecureTarget),
    }
}
