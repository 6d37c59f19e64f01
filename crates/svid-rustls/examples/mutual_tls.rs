//! A server and a client on loopback that know each other by SPIFFE ID: `cargo run --example mutual_tls`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jose_x509::{Algorithm, SigningKey, provider::ring};
use pki_types::UnixTime;
use spiffe_bundle::{Bundle, SharedBundleSet};
use spiffe_id::{SpiffeId, SpiffeIdPattern, TrustDomain};
use svid::x509::{CertificateAuthority, X509Svid};
use svid_rustls::{
    Sessions, SvidResolver, SvidVerifier, TlsClient, TlsOptions, TlsServer, peer_identity,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (keys, hour) = (ring::provider(), Duration::from_secs(3600));
    let now = UnixTime::now();
    let home = TrustDomain::parse("example.org")?;
    let key = || SigningKey::generate(&keys, Algorithm::Es256);
    let ca = CertificateAuthority::self_signed(&home, key()?, 24 * hour, now)?;
    let svid = |id: &SpiffeId| -> Result<X509Svid, Box<dyn Error>> {
        let key = key()?;
        let leaf = ca.issue_leaf(id, key.public_key(), &[], hour, now)?;
        Ok(X509Svid::new(vec![leaf], key)?)
    };
    let bundles = Arc::new(SharedBundleSet::default());
    let bundle = Bundle::builder(&keys, home).with_x509_authority(ca.certificate());
    bundles.install(bundle.build()?)?;

    let ledger = SpiffeId::parse("spiffe://example.org/tools/ledger")?;
    let agent = SpiffeId::parse("spiffe://example.org/agents/one")?;
    let agents = SpiffeIdPattern::parse("spiffe://example.org/agents/*")?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let options = TlsOptions::default().with_sessions(Sessions::Cached(256));
    let server = TlsServer::new(
        Arc::clone(&provider),
        Arc::new(SvidResolver::new(Arc::clone(&provider), &svid(&ledger)?)?),
        Arc::new(
            SvidVerifier::new(&provider, bundles.clone(), agents)
                .on_refusal(|refusal| eprintln!("refused {:?}: {}", refusal.peer, refusal.error)),
        ),
        options.clone(),
    )?;
    let own = Arc::new(SvidResolver::new(Arc::clone(&provider), &svid(&agent)?)?);
    let client = TlsClient::new(
        Arc::clone(&provider),
        Arc::clone(&own),
        Arc::new(SvidVerifier::new(&provider, bundles, ledger)),
        options,
    )?;

    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let serve = async {
        for _ in 0..3 {
            let (tcp, _) = listener.accept().await?;
            // The configuration of this moment, not one from the start.
            let mut stream = TlsAcceptor::from(server.config()).accept(tcp).await?;
            let peer = peer_identity(stream.get_ref().1)?;
            stream.write_all(format!("hello {peer}").as_bytes()).await?;
            stream.shutdown().await?;
        }
        Ok::<_, Box<dyn Error>>(())
    };
    let call = async {
        for round in 0..3 {
            if round == 2 {
                own.rotate(&svid(&agent)?)?;
            }
            let tcp = TcpStream::connect(address).await?;
            let connector = TlsConnector::from(client.config());
            let mut stream = connector.connect("localhost".try_into()?, tcp).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            let connection = stream.get_ref().1;
            let (kind, peer) = (connection.handshake_kind(), peer_identity(connection)?);
            println!("{peer} says: {answer} ({kind:?})");
        }
        Ok::<_, Box<dyn Error>>(())
    };
    tokio::try_join!(serve, call)?;
    Ok(())
}
