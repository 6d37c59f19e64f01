//! The engine's version: older ones ignored name constraints of URIs (RUSTSEC-2026-0098).

/// `major.minor.patch` as far as it is written, absent parts as zero.
fn version(text: &str) -> [u32; 3] {
    let mut parts = text.split('.').map(|part| part.parse().unwrap());
    std::array::from_fn(|_| parts.next().unwrap_or(0))
}

/// The quoted value behind `key` in `text`.
fn quoted<'t>(text: &'t str, key: &str) -> &'t str {
    let (_, rest) = text.split_once(key).unwrap();
    rest.split('"').nth(1).unwrap()
}

/// Covers: X509-webpki.versions-1
#[test]
fn the_engine_is_new_enough_by_manifest_lock_and_policy() {
    const OLDEST: [u32; 3] = [0, 103, 12];
    let manifest = include_str!("../../../../Cargo.toml");
    let package = r#"webpki = { package = "rustls-webpki","#;
    let (_, line) = manifest.split_once(package).unwrap();
    assert!(version(quoted(line, "version =")) >= OLDEST);
    // What `cargo deny` bans is banned for other users of the engine in the graph as well.
    let policy = include_str!("../../../../deny.toml");
    assert!(policy.contains(r#"{ crate = "rustls-webpki@<0.103.12" }"#));
    let lock = include_str!("../../../../Cargo.lock");
    let locked: Vec<_> = lock
        .split("[[package]]")
        .filter(|package| package.contains("name = \"rustls-webpki\""))
        .map(|package| version(quoted(package, "version =")))
        .collect();
    assert!(!locked.is_empty());
    assert!(
        locked.iter().all(|version| *version >= OLDEST),
        "{locked:?}"
    );
}
