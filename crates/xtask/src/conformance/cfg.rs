//! Evaluates `#[cfg(..)]` the way `cargo test --workspace --all-features` would on this machine.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use proc_macro2::TokenStream;
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::{Attribute, Expr, ExprLit, Lit, Meta, Token};

/// The configuration one target is built with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cfg {
    /// Names and `name="value"` pairs that are set, `test` among them.
    set: BTreeSet<String>,
}

impl Cfg {
    /// The host's configuration as `rustc` prints it, with `test` set.
    pub(crate) fn host() -> Result<Self> {
        let output = Command::new("rustc")
            .args(["--print", "cfg"])
            .output()
            .context("cannot run rustc")?;
        let text = String::from_utf8(output.stdout).context("rustc printed no UTF-8")?;
        let mut set: BTreeSet<String> = text.lines().map(str::to_owned).collect();
        set.insert("test".to_owned());
        Ok(Self { set })
    }

    /// The same configuration with these features of a package switched on.
    pub(crate) fn with_features<'a>(&self, features: impl IntoIterator<Item = &'a str>) -> Self {
        let mut cfg = self.clone();
        cfg.set
            .extend(features.into_iter().map(|name| pair("feature", name)));
        cfg
    }

    /// The attributes that remain after `cfg_attr`, or `None` if a `cfg` switches the item off.
    pub(crate) fn active(&self, attributes: &[Attribute]) -> Option<Vec<Meta>> {
        let mut metas: Vec<Meta> = attributes.iter().rev().map(|a| a.meta.clone()).collect();
        let mut active = Vec::new();
        while let Some(meta) = metas.pop() {
            if meta.path().is_ident("cfg") {
                if !list(&meta)
                    .first()
                    .is_some_and(|condition| self.eval(condition))
                {
                    return None;
                }
            } else if meta.path().is_ident("cfg_attr") {
                let mut parts = list(&meta).into_iter();
                if parts.next().is_some_and(|condition| self.eval(&condition)) {
                    metas.extend(parts.rev());
                }
            } else {
                active.push(meta);
            }
        }
        Some(active)
    }

    fn eval(&self, condition: &Meta) -> bool {
        match condition {
            Meta::Path(path) => path
                .get_ident()
                .is_some_and(|name| name == "true" || self.set.contains(&name.to_string())),
            Meta::NameValue(value) => match (&value.path.get_ident(), &value.value) {
                (
                    Some(name),
                    Expr::Lit(ExprLit {
                        lit: Lit::Str(text),
                        ..
                    }),
                ) => self.set.contains(&pair(&name.to_string(), &text.value())),
                _ => false,
            },
            Meta::List(_) => {
                let parts = list(condition);
                if condition.path().is_ident("not") {
                    parts.first().is_some_and(|part| !self.eval(part))
                } else if condition.path().is_ident("all") {
                    parts.iter().all(|part| self.eval(part))
                } else if condition.path().is_ident("any") {
                    parts.iter().any(|part| self.eval(part))
                } else {
                    false
                }
            }
        }
    }
}

fn pair(name: &str, value: &str) -> String {
    format!("{name}=\"{value}\"")
}

/// The comma separated metas inside `name(..)`.
fn list(meta: &Meta) -> Vec<Meta> {
    let tokens = match meta {
        Meta::List(list) => list.tokens.clone(),
        _ => TokenStream::new(),
    };
    Punctuated::<Meta, Token![,]>::parse_terminated
        .parse2(tokens)
        .map(|metas| metas.into_iter().collect())
        .unwrap_or_default()
}
