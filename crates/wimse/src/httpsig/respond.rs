//! Whether and how a server signs its responses.

use std::fmt;

use http::response;
use jose_x509::{AsyncSigner, Signer};
use pki_types::UnixTime;

use super::SignatureError;
use super::sign::MessageSigner;
use super::verify::VerifiedRequest;
use crate::error::Error;

/// The content of a response at the time it is signed.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Content<'a> {
    /// All of it.
    Whole(&'a [u8]),
    /// It is produced while it is sent, so there is no digest of it.
    Streamed,
}

/// How much it is, and not what.
impl fmt::Debug for Content<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(content) => write!(f, "Whole({} bytes)", content.len()),
            Self::Streamed => f.write_str("Streamed"),
        }
    }
}

/// A signer, and what it signs.
type Able<'a, S> = (&'a MessageSigner<S>, &'a [u8]);

/// Signs the responses of a server to verified requests.
#[derive(Debug)]
pub struct ResponseSigner<S> {
    signer: Option<MessageSigner<S>>,
    required: bool,
    max_content: usize,
}

const MAX_CONTENT: usize = 1024 * 1024;

impl<S> ResponseSigner<S> {
    /// Signs every response that it can sign; content up to 1 MiB.
    #[must_use]
    pub fn new(signer: MessageSigner<S>) -> Self {
        Self {
            signer: Some(signer),
            required: false,
            max_content: MAX_CONTENT,
        }
    }

    /// For a server without a WIT of its own: refuses where a signature is demanded.
    #[must_use]
    pub fn unable() -> Self {
        Self {
            signer: None,
            required: false,
            max_content: MAX_CONTENT,
        }
    }

    /// Lets no response go out unsigned, whatever the client demands.
    #[must_use]
    pub fn with_required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Signs content up to this many bytes.
    #[must_use]
    pub fn with_max_content(mut self, bytes: usize) -> Self {
        self.max_content = bytes;
        self
    }

    /// The signer and the content, or nothing where the response may go out unsigned.
    fn able<'a>(
        &'a self,
        content: Content<'a>,
        request: &VerifiedRequest,
    ) -> Result<Option<Able<'a, S>>, Error> {
        let able = match (&self.signer, content) {
            (None, _) => Err(SignatureError::NoSigner),
            (Some(_), Content::Streamed) => Err(SignatureError::Streaming),
            (Some(_), Content::Whole(content)) if content.len() > self.max_content => {
                Err(SignatureError::ContentTooLarge {
                    limit: self.max_content,
                })
            }
            (Some(signer), Content::Whole(content)) => Ok((signer, content)),
        };
        match able {
            Ok(able) => Ok(Some(able)),
            Err(error) if self.required || request.demands_signed_response() => Err(error.into()),
            Err(_) => Ok(None),
        }
    }
}

impl<S: Signer> ResponseSigner<S> {
    /// Signs the response to `request`, and says whether it did. The fields of the response have to be in place.
    ///
    /// Call it before anything is sent: where a signature is required and impossible, an error has to
    /// go out in the place of this response, with [`Error::status_without_challenge`].
    ///
    /// # Errors
    ///
    /// Where a signature is required: [`SignatureError::NoSigner`], [`SignatureError::Streaming`],
    /// [`SignatureError::ContentTooLarge`]. Always what goes wrong in signing.
    pub fn sign(
        &self,
        parts: &mut response::Parts,
        content: Content<'_>,
        request: &VerifiedRequest,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let Some((signer, content)) = self.able(content, request)? else {
            return Ok(false);
        };
        signer.sign_response(parts, content, request, now)?;
        Ok(true)
    }
}

impl<S: AsyncSigner> ResponseSigner<S> {
    /// As [`sign`](ResponseSigner::sign), with a key behind a network.
    ///
    /// # Errors
    ///
    /// As [`sign`](ResponseSigner::sign).
    pub async fn sign_async(
        &self,
        parts: &mut response::Parts,
        content: Content<'_>,
        request: &VerifiedRequest,
        now: UnixTime,
    ) -> Result<bool, Error> {
        let Some((signer, content)) = self.able(content, request)? else {
            return Ok(false);
        };
        signer
            .sign_response_async(parts, content, request, now)
            .await?;
        Ok(true)
    }
}
