//! Who is at the other end of an established connection.

use pki_types::CertificateDer;
use rustls::CommonState;
use spiffe_id::SpiffeId;
use svid::x509::spiffe_id_of;

use crate::error::Error;

/// The SPIFFE ID of the peer of a connection whose handshake a [`SvidVerifier`](crate::SvidVerifier) judged.
///
/// Connections of rustls coerce: `peer_identity(&connection)`, and with tokio-rustls
/// `peer_identity(stream.get_ref().1)`. A connection of any other verifier says nothing here: its certificate
/// may be of an authority that has no right to the trust domain.
///
/// It is as good as the handshake. For one that is long ago ask
/// [`SvidVerifier::recheck`](crate::SvidVerifier::recheck).
///
/// # Errors
///
/// [`Error::Handshaking`] before the end of the handshake; [`Error::NoPeer`] for an anonymous client;
/// [`Error::Svid`] for a certificate that no [`SvidVerifier`](crate::SvidVerifier) accepts.
pub fn peer_identity(connection: &CommonState) -> Result<SpiffeId, Error> {
    Ok(spiffe_id_of(peer_leaf(connection)?)?)
}

fn peer_leaf(connection: &CommonState) -> Result<&CertificateDer<'static>, Error> {
    peer_chain(connection)?.first().ok_or(Error::NoPeer)
}

pub(crate) fn peer_chain(connection: &CommonState) -> Result<&[CertificateDer<'static>], Error> {
    if connection.is_handshaking() {
        return Err(Error::Handshaking);
    }
    connection.peer_certificates().ok_or(Error::NoPeer)
}
