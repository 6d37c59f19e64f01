//! Certificate paths: root, intermediate and leaf, all made by the peer.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use jose_x509::provider::ring;
use jose_x509::x509::{
    Certificate, GeneralName, PathOptions, Purpose, TrustAnchors, pem, verify_path,
};
use pki_types::{CertificateDer, UnixTime};
use serde_json::{Value, json};

use super::Context;
use super::peers::succeed;
use super::report::{Direction, Report, Tally};
use super::tokens::{answers, unsupported};

const URI: &str = "spiffe://interop.example/workload";

/// The algorithms with which certificates are signed.
const ALGORITHMS: [&str; 4] = ["ES256", "ES384", "EdDSA", "RS256"];

type Chain = [CertificateDer<'static>; 3];

pub(crate) fn run(context: &Context, report: &mut Report) -> Result<()> {
    for peer in context
        .peers
        .iter()
        .filter(|peer| peer.name == "cryptography")
    {
        let jobs = ALGORITHMS.map(|alg| json!({"alg": alg, "uri": URI}));
        let made = peer.make(&json!({"x509": jobs}))?;
        for (alg, made) in ALGORITHMS.iter().zip(answers(&made, "x509", jobs.len())?) {
            let subject = format!("X.509 path {alg}");
            if let Some(why) = unsupported(made) {
                report.not_there(&subject, peer.name, why);
                continue;
            }
            report.exchange(&subject, peer.name, Direction::Theirs, |tally| {
                check(&from_answer(made)?, tally)
            });
        }
    }
    if context.openssl {
        for alg in ALGORITHMS {
            let subject = format!("X.509 path {alg}");
            let folder = context.work.join(format!("x509-{alg}"));
            fs::create_dir_all(&folder)?;
            report.exchange(&subject, "openssl", Direction::Theirs, |tally| {
                check(&from_openssl(&folder, alg)?, tally)
            });
        }
    }
    Ok(())
}

fn from_answer(made: &Value) -> Result<Chain> {
    let chain = made.get("chain").and_then(Value::as_array);
    let Some([root, intermediate, leaf]) = chain.map(Vec::as_slice) else {
        bail!("the peer made no chain: {made}");
    };
    let one = |text: &Value| certificate(text.as_str().unwrap_or_default());
    Ok([one(root)?, one(intermediate)?, one(leaf)?])
}

fn certificate(text: &str) -> Result<CertificateDer<'static>> {
    let mut list = pem::certificates(text.as_bytes(), 1)?;
    list.pop().context("no certificate")
}

/// The same three certificates by the `openssl` command.
fn from_openssl(folder: &Path, alg: &str) -> Result<Chain> {
    let kind = match alg {
        "ES256" => "EC -pkeyopt ec_paramgen_curve:P-256",
        "ES384" => "EC -pkeyopt ec_paramgen_curve:P-384",
        "EdDSA" => "ED25519",
        _ => "RSA -pkeyopt rsa_keygen_bits:2048",
    };
    let openssl = |arguments: &str| {
        let arguments = arguments.split_whitespace();
        succeed(Command::new("openssl").args(arguments).current_dir(folder))
    };
    let ca = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
    let leaf = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n";
    let leaf = format!("{leaf}subjectAltName=URI:{URI}\n");
    let digest = if alg == "ES384" { "-sha384" } else { "-sha256" };
    let mut issuer = None;
    for (name, extensions) in [("root", ca), ("intermediate", ca), ("leaf", &leaf)] {
        fs::write(folder.join(format!("{name}.ext")), extensions)?;
        openssl(&format!("genpkey -algorithm {kind} -out {name}.key"))?;
        openssl(&format!(
            "req -new -key {name}.key -subj /CN={name} -out {name}.csr"
        ))?;
        let signer = match issuer {
            None => "-signkey root.key".to_owned(),
            Some(issuer) => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
        };
        let request = format!("x509 -req -in {name}.csr -days 1 {digest} -extfile {name}.ext");
        openssl(&format!("{request} {signer} -out {name}.pem"))?;
        issuer = Some(name);
    }
    let read = |name: &str| certificate(&fs::read_to_string(folder.join(format!("{name}.pem")))?);
    Ok([read("root")?, read("intermediate")?, read("leaf")?])
}

fn check([root, intermediate, leaf]: &Chain, tally: &mut Tally) -> Result<()> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    // OpenSSL begins a certificate's validity at this very second.
    let now = now.saturating_add(Duration::from_secs(2));
    let verify = |leaf: &CertificateDer<'_>,
                  intermediates: &[CertificateDer<'_>],
                  root: &CertificateDer<'static>,
                  now: Duration|
     -> Result<bool> {
        let anchors = TrustAnchors::new([root.clone()]);
        let path = verify_path(
            leaf,
            intermediates,
            &anchors,
            &PathOptions::new(Purpose::Unspecified),
            ring::provider().certificate_algorithms,
            UnixTime::since_unix_epoch(now),
        )?;
        let mut names = path.leaf().alternative_names();
        Ok(names.any(|name| matches!(name, GeneralName::Uri(uri) if uri == URI)))
    };
    let between = core::slice::from_ref(intermediate);
    tally.accepts("path", verify(leaf, between, root, now), &true)?;
    for certificate in [root, intermediate, leaf] {
        Certificate::parse(certificate)?;
    }

    let day = Duration::from_secs(24 * 60 * 60);
    let missing = verify(leaf, &[], root, now);
    tally.refuses("without the intermediate", &missing)?;
    let wrong = verify(leaf, between, leaf, now);
    tally.refuses("under another anchor", &wrong)?;
    tally.refuses(
        "the intermediate as leaf",
        &verify(intermediate, &[], root, now),
    )?;
    let late = verify(leaf, between, root, now.saturating_add(2 * day));
    tally.refuses("after its end", &late)?;
    let early = verify(leaf, between, root, now.saturating_sub(2 * day));
    tally.refuses("before its begin", &early)?;
    for (what, offset) in [
        ("changed signature", 8),
        ("changed contents", leaf.len() / 2),
    ] {
        let mut der = leaf.to_vec();
        let index = der.len().saturating_sub(offset);
        if let Some(byte) = der.get_mut(index) {
            *byte ^= 1;
        }
        let changed = verify(&CertificateDer::from(der), between, root, now);
        tally.refuses(what, &changed)?;
    }
    Ok(())
}
