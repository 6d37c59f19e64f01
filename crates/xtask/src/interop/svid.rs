//! SVIDs and bundles: tokens of JOSE libraries and certificates of OpenSSL as SVIDs, and ours under the rules of others.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use jose_x509::provider::ring;
use jose_x509::x509::pem;
use jose_x509::{Algorithm, CryptoProvider, Jwk, Signer as _, SigningKey};
use openssl::pkey::PKey;
use openssl::rsa::Rsa;
use openssl::x509::X509;
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};
use spiffe_bundle::Bundle;
use spiffe_id::{SpiffeId, TrustDomain};
use svid::jwt::{JwtSvidIssuer, JwtSvidVerifier};
use svid::wit::WitSvidVerifier;
use svid::x509::{CertificateAuthority, PeerRole, VerifyOptions, X509Svid, verify};

use super::Context;
use super::peers::{Peer, succeed};
use super::report::{Direction, Report, Tally};
use super::tokens::{answers, flip, text, unsupported, verdict};

pub(super) const PROVIDER: CryptoProvider = ring::provider();
const AUDIENCE: &str = "https://interop.example/api";
const WORKLOAD: &str = "spiffe://interop.example/workload";
const HOUR: Duration = Duration::from_secs(3600);

/// What a bundle may hold for JWT-SVIDs, in one algorithm a kind of key and of signature.
const TOKENS: [Algorithm; 4] = [
    Algorithm::Es256,
    Algorithm::Es384,
    Algorithm::Rs256,
    Algorithm::Ps256,
];

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    for peer in &context.peers {
        tokens_of(peer, report)?;
    }
    for peer in context
        .peers
        .iter()
        .filter(|peer| peer.name == "jose (npm)")
    {
        report.exchange("JWT-SVID", peer.name, Direction::Ours, |tally| {
            our_tokens(peer, tally)
        });
    }
    if let Some(peer) = &context.spiffe {
        report.exchange("JWT-SVID", peer.name, Direction::Ours, |tally| {
            our_tokens(peer, tally)
        });
        report.exchange("X509-SVID", peer.name, Direction::Ours, |tally| {
            our_certificates(peer, tally)
        });
        our_bundle(peer, report)?;
    }
    if context.openssl {
        let folder = context.work.join("svid");
        fs::create_dir_all(&folder)?;
        report.exchange("X509-SVID", "openssl", Direction::Theirs, |tally| {
            certificates_of_openssl(&folder, tally)
        });
        report.exchange("X509-SVID", "openssl", Direction::Ours, |tally| {
            verified_by_openssl(&folder, tally)
        });
    }
    Ok(())
}

pub(super) fn now() -> Result<UnixTime> {
    // OpenSSL begins a certificate's validity at this very second.
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(UnixTime::since_unix_epoch(
        now.saturating_add(Duration::from_secs(2)),
    ))
}

fn home() -> Result<TrustDomain> {
    Ok(TrustDomain::parse("interop.example")?)
}

/// JWT-SVIDs and WIT-SVIDs that a JOSE library has signed, under a bundle with its key.
fn tokens_of(peer: &Peer, report: &mut Report) -> Result<()> {
    let exp = now()?.as_secs() + 300;
    let job = |alg: &Algorithm, typ: &str, claims: Value| {
        let header = json!({"kid": "theirs", "typ": typ});
        json!({"alg": alg.name(), "header": header, "payload": claims.to_string()})
    };
    let holder = SigningKey::generate(&PROVIDER, Algorithm::Es256)?;
    let jwt = json!({"sub": WORKLOAD, "aud": AUDIENCE, "exp": exp});
    let wit = json!({"sub": WORKLOAD, "exp": exp, "cnf": {"jwk": holder.public_jwk().to_value()}});
    let mut jobs: Vec<Value> = TOKENS
        .iter()
        .map(|alg| job(alg, "JWT", jwt.clone()))
        .collect();
    jobs.extend(
        TOKENS
            .iter()
            .take(2)
            .map(|alg| job(alg, "wit+jwt", wit.clone())),
    );
    let made = peer.make(&json!({"jws": jobs}))?;
    let made = answers(&made, "jws", jobs.len())?;
    let subjects = TOKENS
        .iter()
        .map(|alg| (*alg, "JWT-SVID"))
        .chain(TOKENS.iter().take(2).map(|alg| (*alg, "WIT-SVID")));
    for ((alg, kind), made) in subjects.zip(made) {
        let subject = format!("{kind} {alg}");
        if let Some(why) = unsupported(made) {
            report.not_there(&subject, peer.name, why);
            continue;
        }
        report.exchange(&subject, peer.name, Direction::Theirs, |tally| {
            judge_token(kind, alg, made, tally)
        });
    }
    Ok(())
}

fn judge_token(kind: &str, alg: Algorithm, made: &Value, tally: &mut Tally) -> Result<()> {
    let token = text(made, "token")?;
    let jwk = made.get("jwk").context("no jwk")?.to_string();
    let jwk = Jwk::from_slice(jwk.as_bytes())?
        .with_algorithm(alg)?
        .with_kid("theirs");
    let wits = WitSvidVerifier::new("https://interop.example")?;
    let now = now()?;
    let judge = |token: &str, bundle: &Bundle, audience: &str| -> Result<String> {
        Ok(if kind == "WIT-SVID" {
            let wit = wits.verify_wit(token, bundle, now)?;
            wit.unproven_spiffe_id().to_string()
        } else {
            let verifier = JwtSvidVerifier::new(audience)?;
            verifier.verify(token, bundle, now)?.spiffe_id().to_string()
        })
    };
    // The bundle as others get it: as a document.
    let published = |trust_domain: TrustDomain| -> Result<Bundle> {
        let builder = Bundle::builder(&PROVIDER, trust_domain.clone());
        let builder = if kind == "WIT-SVID" {
            builder.with_wit_authority(&jwk)
        } else {
            builder.with_jwt_authority(&jwk)
        };
        let document = builder.build()?.to_json();
        Ok(Bundle::parse(&PROVIDER, trust_domain, document.as_bytes())?)
    };
    let bundle = published(home()?)?;
    let good = judge(token, &bundle, AUDIENCE);
    tally.accepts("token", good, &WORKLOAD.to_owned())?;
    for (what, segment) in [("changed payload", 1), ("changed signature", 2)] {
        let changed = flip(token, segment)?;
        tally.refuses(what, &judge(&changed, &bundle, AUDIENCE))?;
    }
    let foreign = published(TrustDomain::parse("other.example")?)?;
    tally.refuses(
        "another trust domain's key",
        &judge(token, &foreign, AUDIENCE),
    )?;
    if kind == "JWT-SVID" {
        let elsewhere = judge(token, &bundle, "https://other.example");
        tally.refuses("another audience", &elsewhere)?;
        let as_wit = wits.verify_wit(token, &bundle, now);
        tally.refuses("as WIT-SVID", &as_wit)?;
    }
    Ok(())
}

fn key(alg: Algorithm) -> Result<SigningKey> {
    let key = if alg.name().starts_with("ES") {
        SigningKey::generate(&PROVIDER, alg)?
    } else {
        let key = PKey::from_rsa(Rsa::generate(2048)?)?;
        SigningKey::from_pkcs8_der(&PROVIDER, alg, &key.private_key_to_pkcs8()?)?
    };
    Ok(key.with_thumbprint_kid())
}

/// Our JWT-SVIDs, and the same tampered with, under our bundle.
fn our_tokens(peer: &Peer, tally: &mut Tally) -> Result<()> {
    let (now, minutes) = (now()?, Duration::from_secs(300));
    let keys = TOKENS.into_iter().map(key).collect::<Result<Vec<_>>>()?;
    let stranger = key(Algorithm::Es256)?;
    let workload = SpiffeId::parse(WORKLOAD)?;
    let issue = |key: &SigningKey, audience: &str, now: UnixTime| -> Result<String> {
        let issuer = JwtSvidIssuer::new(key.clone(), home()?)?;
        Ok(issuer.issue(&workload, audience, minutes, now)?)
    };
    let builder = Bundle::builder(&PROVIDER, home()?);
    let bundle = keys
        .iter()
        .fold(builder, |builder, key| {
            builder.with_jwt_authority(&key.public_jwk())
        })
        .build()?;
    let bundle: Value = serde_json::from_str(&bundle.to_json())?;
    let long_ago = UnixTime::since_unix_epoch(Duration::from_secs(now.as_secs() - 86_400));
    let mut jobs = Vec::new();
    for key in &keys {
        let token = issue(key, AUDIENCE, now)?;
        let tokens = [
            flip(&token, 1)?,
            flip(&token, 2)?,
            issue(key, "https://other.example", now)?,
            issue(key, AUDIENCE, long_ago)?,
            issue(&stranger, AUDIENCE, now)?,
        ];
        let tokens: Vec<String> = std::iter::once(token).chain(tokens).collect();
        jobs.push(json!({
            "trust_domain": "interop.example", "audience": AUDIENCE, "bundle": bundle, "tokens": tokens,
        }));
    }
    let verdicts = peer.check(&json!({"jwt_svid": jobs}))?;
    for (key, verdicts) in keys.iter().zip(answers(&verdicts, "jwt_svid", jobs.len())?) {
        let verdicts = verdicts.as_array().context("no verdicts")?;
        let (good, bad) = verdicts.split_first().context("no verdict")?;
        let good = verdict(good).map_err(anyhow::Error::msg);
        let name = key.algorithm().name();
        tally.accepts(name, good, &WORKLOAD.to_owned())?;
        for (index, bad) in bad.iter().enumerate() {
            tally.refuses(&format!("{name}, bad token {}", index + 1), &verdict(bad))?;
        }
    }
    Ok(())
}

pub(super) fn certificate_pem(der: &CertificateDer<'_>) -> Result<String> {
    Ok(String::from_utf8(X509::from_der(der)?.to_pem()?)?)
}

pub(super) fn key_pem(key: &SigningKey) -> Result<String> {
    let key = PKey::private_key_from_pkcs8(key.expose_pkcs8_der())?;
    Ok(String::from_utf8(key.private_key_to_pem_pkcs8()?)?)
}

/// A root, and the X509-SVID of a workload by it.
fn our_svid(alg: Algorithm) -> Result<(CertificateAuthority, SigningKey, X509Svid)> {
    let (root, own, now) = (key(alg)?, key(alg)?, now()?);
    let ca = CertificateAuthority::self_signed(&home()?, root.clone(), 24 * HOUR, now)?;
    let workload = SpiffeId::parse(WORKLOAD)?;
    let leaf = ca.issue_leaf(&workload, own.public_key(), &[], HOUR, now)?;
    Ok((ca, root, X509Svid::new(vec![leaf], own)?))
}

/// Kinds of key in certificates.
const CERTIFICATES: [Algorithm; 3] = [Algorithm::Es256, Algorithm::Es384, Algorithm::Rs256];

fn our_certificates(peer: &Peer, tally: &mut Tally) -> Result<()> {
    let mut jobs = Vec::new();
    for alg in CERTIFICATES {
        let (ca, root, svid) = our_svid(alg)?;
        let leaf = certificate_pem(svid.chain().first().context("no leaf")?)?;
        let root_pem = certificate_pem(ca.certificate())?;
        let own = key_pem(svid.key())?;
        let tokens = [
            json!([leaf, own]).to_string(),
            // A CA is no SVID, a chain begins with the leaf, and rubbish is rubbish.
            json!([root_pem, key_pem(&root)?]).to_string(),
            json!([format!("{root_pem}{leaf}"), own]).to_string(),
            json!(["", own]).to_string(),
        ];
        jobs.push(json!({ "tokens": tokens }));
    }
    let verdicts = peer.check(&json!({"x509_svid": jobs}))?;
    for verdicts in answers(&verdicts, "x509_svid", jobs.len())? {
        let verdicts = verdicts.as_array().context("no verdicts")?;
        let (good, bad) = verdicts.split_first().context("no verdict")?;
        let good = verdict(good).map_err(anyhow::Error::msg);
        tally.accepts("X509-SVID", good, &WORKLOAD.to_owned())?;
        for (index, bad) in bad.iter().enumerate() {
            tally.refuses(&format!("bad chain {}", index + 1), &verdict(bad))?;
        }
    }
    Ok(())
}

/// Our bundle in the parts that the Python library has: keys for tokens as a key set, certificates as PEM. Of the whole
/// document it says what is wrong with it.
fn our_bundle(peer: &Peer, report: &mut Report) -> Result<()> {
    let (ca, _, _) = our_svid(Algorithm::Es256)?;
    let mut keys = TOKENS.into_iter().map(key).collect::<Result<Vec<_>>>()?;
    keys.sort_by(|a, b| a.kid().cmp(&b.kid()));
    let builder = keys
        .iter()
        .fold(Bundle::builder(&PROVIDER, home()?), |builder, key| {
            builder.with_jwt_authority(&key.public_jwk())
        });
    let whole = builder
        .clone()
        .with_x509_authority(ca.certificate())
        .build()?
        .to_json();
    let root = certificate_pem(ca.certificate())?;
    let jwt = json!({"trust_domain": "interop.example", "tokens": [builder.build()?.to_json(), "nonsense", whole]});
    let x509 = json!({"trust_domain": "interop.example", "tokens": [root, "nonsense"]});
    let answer = peer.check(&json!({"jwt_bundle": [jwt], "x509_bundle": [x509]}))?;
    let list = |name: &str| -> Result<Vec<Value>> {
        let answer = answers(&answer, name, 1)?.first().context("no answer")?;
        Ok(answer.as_array().context("no verdicts")?.clone())
    };
    let mut expected = String::new();
    for key in &keys {
        let spki = PKey::public_key_from_der(&key.public_key().to_spki_der()?)?;
        let spki = String::from_utf8(spki.public_key_to_pem()?)?;
        expected.push_str(&format!("{} {spki}", key.kid().unwrap_or_default()));
    }
    let (jwt, x509) = (list("jwt_bundle")?, list("x509_bundle")?);
    if let [_, _, whole] = jwt.as_slice() {
        if let Err(why) = verdict(whole) {
            report.not_there("bundle, whole", peer.name, &why);
        }
    }
    report.exchange("bundle", peer.name, Direction::Ours, |tally| {
        for (answers, expected) in [(&jwt, &expected), (&x509, &root)] {
            let good = verdict(answers.first().context("no verdict")?);
            tally.accepts("bundle", good.map_err(anyhow::Error::msg), expected)?;
            tally.refuses("nonsense", &verdict(answers.get(1).context("no verdict")?))?;
        }
        Ok(())
    });
    Ok(())
}

/// A certificate authority of the `openssl` command, in a folder.
pub(super) struct OpensslCa {
    folder: PathBuf,
    name: String,
}

impl OpensslCa {
    pub(super) fn new(folder: &Path, trust_domain: &str, kind: &str) -> Result<Self> {
        let ca = Self {
            folder: folder.to_owned(),
            name: format!("{trust_domain}-root"),
        };
        let extensions = format!(
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
             subjectAltName=URI:spiffe://{trust_domain}\nsubjectKeyIdentifier=hash\n"
        );
        ca.issue(
            &ca.name,
            kind,
            &extensions,
            &format!("-signkey {}.key", ca.name),
        )?;
        Ok(ca)
    }

    /// A workload's certificate and key in PEM, in files of this name.
    pub(super) fn leaf(&self, name: &str, uri: &str, kind: &str, usage: &str) -> Result<()> {
        let extensions = format!(
            "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n\
             extendedKeyUsage={usage}\nsubjectAltName=URI:{uri}\nauthorityKeyIdentifier=keyid\n"
        );
        let ca = &self.name;
        self.issue(
            name,
            kind,
            &extensions,
            &format!("-CA {ca}.pem -CAkey {ca}.key -CAcreateserial"),
        )
    }

    pub(super) fn certificate(&self, name: &str) -> Result<CertificateDer<'static>> {
        let text = fs::read(self.folder.join(format!("{name}.pem")))?;
        let mut list = pem::certificates(&text, 1)?;
        list.pop().context("no certificate")
    }

    pub(super) fn root(&self) -> Result<CertificateDer<'static>> {
        self.certificate(&self.name)
    }

    fn issue(&self, name: &str, kind: &str, extensions: &str, signer: &str) -> Result<()> {
        let openssl = |arguments: &str| {
            let arguments = arguments.split_whitespace();
            succeed(
                Command::new("openssl")
                    .args(arguments)
                    .current_dir(&self.folder),
            )
        };
        fs::write(self.folder.join(format!("{name}.ext")), extensions)?;
        openssl(&format!("genpkey -algorithm {kind} -out {name}.key"))?;
        openssl(&format!(
            "req -new -key {name}.key -subj /CN={name} -out {name}.csr"
        ))?;
        openssl(&format!(
            "x509 -req -in {name}.csr -days 1 -sha256 -extfile {name}.ext {signer} -out {name}.pem"
        ))
    }
}

pub(super) const P256: &str = "EC -pkeyopt ec_paramgen_curve:P-256";

pub(super) fn x509_bundle(trust_domain: &str, root: &CertificateDer<'_>) -> Result<Bundle> {
    let builder = Bundle::builder(&PROVIDER, TrustDomain::parse(trust_domain)?);
    Ok(builder.with_x509_authority(root).build()?)
}

fn certificates_of_openssl(folder: &Path, tally: &mut Tally) -> Result<()> {
    let both = "serverAuth,clientAuth";
    for kind in [
        P256,
        "EC -pkeyopt ec_paramgen_curve:P-384",
        "ED25519",
        "RSA -pkeyopt rsa_keygen_bits:2048",
    ] {
        let ca = OpensslCa::new(folder, "interop.example", kind)?;
        let bundle = x509_bundle("interop.example", &ca.root()?)?;
        let judge = |name: &str, role: PeerRole, bundle: &Bundle| -> Result<String> {
            let chain = [ca.certificate(name)?];
            let options = VerifyOptions::new(role);
            let algorithms = PROVIDER.certificate_algorithms;
            let identity = verify(&chain, bundle, &options, algorithms, now()?)?;
            Ok(identity.unproven_spiffe_id().to_string())
        };
        ca.leaf("good", WORKLOAD, kind, both)?;
        for role in [PeerRole::Client, PeerRole::Server] {
            let good = judge("good", role, &bundle);
            tally.accepts("X509-SVID", good, &WORKLOAD.to_owned())?;
        }
        let key = fs::read_to_string(folder.join("good.key"))?;
        let chain = fs::read_to_string(folder.join("good.pem"))?;
        let held =
            X509Svid::from_pem(&PROVIDER, &chain, &key).map(|svid| svid.spiffe_id().to_string());
        tally.accepts("with its key", held, &WORKLOAD.to_owned())?;
        tally.refuses(
            "a root as leaf",
            &judge("interop.example-root", PeerRole::Client, &bundle),
        )?;
        let other = x509_bundle("other.example", &ca.root()?)?;
        tally.refuses(
            "another trust domain's bundle",
            &judge("good", PeerRole::Client, &other),
        )?;
        ca.leaf("client", WORKLOAD, kind, "clientAuth")?;
        tally.refuses(
            "a client as server",
            &judge("client", PeerRole::Server, &bundle),
        )?;
        for (at, uris) in [
            format!("{WORKLOAD},URI:{WORKLOAD}2"),
            "spiffe://interop.example".to_owned(),
            "spiffe://other.example/workload".to_owned(),
            "https://interop.example/workload".to_owned(),
        ]
        .iter()
        .enumerate()
        {
            ca.leaf("bad", uris, kind, both)?;
            tally.refuses(
                &format!("wrong names {at}"),
                &judge("bad", PeerRole::Client, &bundle),
            )?;
        }
    }
    Ok(())
}

fn verified_by_openssl(folder: &Path, tally: &mut Tally) -> Result<()> {
    for alg in [CERTIFICATES.as_slice(), &[Algorithm::Ed25519]].concat() {
        let (ca, _, svid) = match alg {
            Algorithm::Ed25519 => {
                let (root, own) = (
                    SigningKey::generate(&PROVIDER, alg)?,
                    SigningKey::generate(&PROVIDER, alg)?,
                );
                let ca =
                    CertificateAuthority::self_signed(&home()?, root.clone(), 24 * HOUR, now()?)?;
                let workload = SpiffeId::parse(WORKLOAD)?;
                let leaf = ca.issue_leaf(&workload, own.public_key(), &[], HOUR, now()?)?;
                (ca, root, X509Svid::new(vec![leaf], own)?)
            }
            _ => our_svid(alg)?,
        };
        let (stranger, _, _) = our_svid(Algorithm::Es256)?;
        let leaf = svid.chain().first().context("no leaf")?;
        fs::write(folder.join("root.pem"), certificate_pem(ca.certificate())?)?;
        fs::write(
            folder.join("stranger.pem"),
            certificate_pem(stranger.certificate())?,
        )?;
        fs::write(folder.join("leaf.pem"), certificate_pem(leaf)?)?;
        let openssl = |roots: &str, purpose: &str, leaf: &str| {
            let mut command = Command::new("openssl");
            command
                .args([
                    "verify",
                    "-x509_strict",
                    "-CAfile",
                    roots,
                    "-purpose",
                    purpose,
                    leaf,
                ])
                .current_dir(folder);
            succeed(&mut command)
        };
        for purpose in ["sslclient", "sslserver"] {
            tally.accepts(purpose, openssl("root.pem", purpose, "leaf.pem"), &())?;
            tally.refuses(
                "another root",
                &openssl("stranger.pem", purpose, "leaf.pem"),
            )?;
        }
        tally.refuses("for mail", &openssl("root.pem", "smimesign", "leaf.pem"))?;
        let mut forged = leaf.to_vec();
        *forged.last_mut().context("empty")? ^= 1;
        let forged = certificate_pem(&CertificateDer::from(forged));
        if let Ok(forged) = forged {
            fs::write(folder.join("forged.pem"), forged)?;
            tally.refuses("forged", &openssl("root.pem", "sslclient", "forged.pem"))?;
        }
    }
    Ok(())
}
