//! The crate builds without `std`, as for a target that has none.
//!
//! A program without `std` brings its own panic handler. Where anything below it links `std`, there are two of them,
//! which the compiler refuses on every target: so the host's compiler is judge enough.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// A library for a target without `std`, which uses what the crate has with and without `alloc`.
const PROBE: &str = r#"
#![no_std]
#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }
const ID: library::SpiffeIdRef<'static> = library::SpiffeIdRef::from_static("spiffe://td/a");
pub fn same(text: &str) -> bool { library::SpiffeIdRef::parse(text) == Ok(ID) }
"#;

const PROBE_ALLOC: &str = r#"
pub fn owned(text: &str) -> bool {
    let pattern = library::SpiffeIdPattern::parse("spiffe://td/a/*");
    matches!((library::SpiffeId::parse(text), pattern), (Ok(id), Ok(pattern)) if pattern.matches(&id))
}
"#;

/// What must not be there: the same library, and it links `std`.
const LINKS_STD: &str = r#"
#[derive(PartialEq)] pub struct SpiffeIdRef<'a>(&'a str);
impl<'a> SpiffeIdRef<'a> {
    pub const fn from_static(text: &'a str) -> Self { Self(text) }
    pub fn parse(text: &'a str) -> Result<Self, ()> { std::println!(); Ok(Self(text)) }
}
"#;

struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let name = format!("no-std-{}", std::process::id());
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// Checks a source file as the library `name`, with what was checked before as `library`.
    fn check(&self, source: &Path, name: &str, library: Option<&str>, options: &[&str]) -> Output {
        let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let mut command = Command::new(rustc);
        command
            .arg(source)
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "lib",
                "--emit",
                "metadata",
            ])
            .args([
                "--crate-name",
                name,
                "-C",
                "panic=abort",
                "--cap-lints",
                "allow",
            ])
            .args(options)
            .arg("--out-dir")
            .arg(&self.0);
        if let Some(library) = library {
            let mut path = OsStr::new("library=").to_owned();
            path.push(self.0.join(format!("lib{library}.rmeta")));
            command.arg("--extern").arg(path);
        }
        command.output().expect("a compiler made this test")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn refusal(output: &Output) -> Option<String> {
    (!output.status.success()).then(|| String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn builds_without_std() {
    let folder = Folder::new();
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
    let core = folder.write("core_probe.rs", PROBE);
    let alloc = folder.write("alloc_probe.rs", &format!("{PROBE}{PROBE_ALLOC}"));

    let bare = folder.check(&source, "bare", None, &[]);
    assert_eq!(refusal(&bare), None);
    assert_eq!(
        refusal(&folder.check(&core, "core_probe", Some("bare"), &[])),
        None
    );

    let feature = ["--cfg", "feature=\"alloc\""];
    let owning = folder.check(&source, "owning", None, &feature);
    assert_eq!(refusal(&owning), None);
    assert_eq!(
        refusal(&folder.check(&alloc, "alloc_probe", Some("owning"), &[])),
        None
    );

    // The judge is awake: what links `std` is refused.
    let source = folder.write("links_std.rs", LINKS_STD);
    assert_eq!(
        refusal(&folder.check(&source, "links_std", None, &[])),
        None
    );
    let refused = refusal(&folder.check(&core, "core_probe", Some("links_std"), &[]));
    assert!(refused.is_some_and(|text| text.contains("panic_impl")));
}

/// Nothing is compiled that the crate does not bring itself.
#[test]
fn has_no_dependencies() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml"));
    let manifest = manifest.unwrap();
    let dependencies = manifest.split("\n[dependencies]\n").nth(1).unwrap();
    let dependencies = dependencies.split("\n[").next().unwrap();
    let named: Vec<_> = dependencies
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named[0].starts_with("serde = ") && named[0].contains("optional = true"));
    assert!(named[0].contains("default-features = false"));
}
