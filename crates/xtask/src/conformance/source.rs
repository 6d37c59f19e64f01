//! Reads the source of one test target: which tests run, what they say they cover, and which vector
//! files they load.
//!
//! The walk starts at the target's root file and follows `mod` declarations, so a file that no target
//! declares counts for nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::parse::{Parse, ParseStream};
use syn::{
    Attribute, Expr, ExprLit, ImplItem, Item, Lit, Meta, Stmt, Token, TraitItem, Visibility,
};

use super::cfg::Cfg;

/// Gives the text of a file, or `None` if there is none.
pub(crate) type ReadFile<'a> = &'a dyn Fn(&Path) -> Option<String>;

/// Whether the function that makes a claim is a test that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// The test runner runs it.
    Runs,
    /// Its `cfg` (or that of a module around it) is off in this build.
    SwitchedOff,
    /// It is a test with `#[ignore]`.
    Ignored,
    /// It is not a test at all.
    NotATest,
}

/// One function's `Covers:` lines.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) ids: Vec<String>,
    pub(crate) file: PathBuf,
    pub(crate) line: usize,
    pub(crate) function: String,
    pub(crate) status: Status,
}

/// What one target's source says.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) claims: Vec<Claim>,
    /// Files that belong to the target, those switched off included.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Paths from `test-vectors/` on that occur in a running test, or in what it uses.
    pub(crate) vectors: BTreeSet<String>,
}

/// Walks the target that starts at `root_file`; `built` is false if it is switched off as a whole.
pub(crate) fn scan(root_file: &Path, cfg: &Cfg, built: bool, read: ReadFile<'_>) -> Result<Scan> {
    let mut walk = Walk {
        cfg,
        read,
        scan: Scan::default(),
        items: BTreeMap::new(),
        roots: Vec::new(),
    };
    let directory = root_file.parent().unwrap_or(Path::new("")).to_owned();
    walk.file(root_file, &directory, built)?;
    walk.scan.vectors = walk.reachable_vectors();
    Ok(walk.scan)
}

/// The ids of the `Covers:` lines among some doc comments.
pub(crate) fn covered_ids(docs: &str) -> Vec<String> {
    docs.lines()
        .filter_map(|line| line.trim().strip_prefix("Covers:"))
        .flat_map(|list| list.split(','))
        .map(|id| id.trim().to_owned())
        .filter(|id| !id.is_empty())
        .collect()
}

/// Identifiers and vector paths that an item mentions.
#[derive(Clone, Debug, Default)]
struct Mentions {
    names: BTreeSet<String>,
    vectors: BTreeSet<String>,
}

struct Walk<'a> {
    cfg: &'a Cfg,
    read: ReadFile<'a>,
    scan: Scan,
    /// Items that a test may use, by name. Names are not resolved: one that occurs twice means both.
    items: BTreeMap<String, Mentions>,
    /// The running tests.
    roots: Vec<Mentions>,
}

/// Where the walk stands.
struct Place<'p> {
    file: &'p Path,
    /// Where `mod name;` looks for `name.rs`.
    children: PathBuf,
    /// Where `#[path = ".."]` is relative to.
    paths: PathBuf,
    active: bool,
}

impl Walk<'_> {
    fn file(&mut self, file: &Path, children: &Path, active: bool) -> Result<()> {
        if !self.scan.files.insert(file.to_owned()) {
            return Ok(());
        }
        let text = (self.read)(file).ok_or_else(|| anyhow!("cannot read {}", file.display()))?;
        let parsed =
            syn::parse_file(&text).with_context(|| format!("cannot parse {}", file.display()))?;
        let place = Place {
            file,
            children: children.to_owned(),
            paths: file.parent().unwrap_or(Path::new("")).to_owned(),
            active: active && self.cfg.active(&parsed.attrs).is_some(),
        };
        self.items(parsed.items, &place)
    }

    fn items(&mut self, items: Vec<Item>, place: &Place<'_>) -> Result<()> {
        for item in items {
            self.item(item, place)?;
        }
        Ok(())
    }

    fn item(&mut self, item: Item, place: &Place<'_>) -> Result<()> {
        match item {
            Item::Fn(item) => {
                let body = statements(&item.block.stmts);
                self.function(&item.attrs, &item.sig.ident, body, place);
            }
            Item::Mod(item) => self.module(item, place)?,
            Item::Impl(item) => {
                for member in item.items {
                    match member {
                        ImplItem::Fn(method) => {
                            let body = statements(&method.block.stmts);
                            self.function(&method.attrs, &method.sig.ident, body, place);
                        }
                        ImplItem::Const(constant) => {
                            self.helper(
                                &constant.attrs,
                                &constant.ident,
                                tokens(&constant.expr),
                                place,
                            );
                        }
                        _ => {}
                    }
                }
            }
            Item::Trait(item) => {
                for member in item.items {
                    if let TraitItem::Fn(method) = member {
                        let body = method.default.map(|block| statements(&block.stmts));
                        let body = body.unwrap_or_default();
                        self.function(&method.attrs, &method.sig.ident, body, place);
                    }
                }
            }
            Item::Const(item) => self.helper(&item.attrs, &item.ident, tokens(&item.expr), place),
            Item::Static(item) => self.helper(&item.attrs, &item.ident, tokens(&item.expr), place),
            Item::Macro(item) => {
                let name = item.mac.path.segments.last().map(|s| s.ident.to_string());
                if let Some(ident) = &item.ident {
                    self.helper(&item.attrs, ident, item.mac.tokens, place);
                } else if name.as_deref() == Some("proptest") {
                    let active = place.active && self.cfg.active(&item.attrs).is_some();
                    let inner = Place {
                        active,
                        children: place.children.clone(),
                        paths: place.paths.clone(),
                        ..*place
                    };
                    let body: PropertyTests = syn::parse2(item.mac.tokens).with_context(|| {
                        format!("cannot parse proptest! in {}", place.file.display())
                    })?;
                    for test in body.0 {
                        self.function(&test.attributes, &test.name, test.body, &inner);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn module(&mut self, item: syn::ItemMod, place: &Place<'_>) -> Result<()> {
        let metas = self.cfg.active(&item.attrs);
        let active = place.active && metas.is_some();
        let name = item.ident.to_string();
        let name = name.trim_start_matches("r#");
        if let Some((_, items)) = item.content {
            let inner = Place {
                file: place.file,
                children: place.children.join(name),
                paths: place.children.join(name),
                active,
            };
            return self.items(items, &inner);
        }
        let explicit = metas
            .iter()
            .flatten()
            .find_map(|meta| string_value(meta, "path"));
        let (file, children) = match explicit {
            Some(path) => {
                let file = place.paths.join(path);
                let children = file.parent().unwrap_or(Path::new("")).to_owned();
                (file, children)
            }
            None => {
                let flat = place.children.join(format!("{name}.rs"));
                let nested = place.children.join(name).join("mod.rs");
                let file = if (self.read)(&flat).is_some() {
                    flat
                } else {
                    nested
                };
                (file, place.children.join(name))
            }
        };
        if !active && (self.read)(&file).is_none() {
            return Ok(());
        }
        self.file(&file, &children, active)
    }

    fn function(
        &mut self,
        attributes: &[Attribute],
        name: &syn::Ident,
        body: TokenStream,
        place: &Place<'_>,
    ) {
        let metas = self.cfg.active(attributes);
        let docs: Vec<String> = attributes
            .iter()
            .filter_map(|attribute| string_value(&attribute.meta, "doc"))
            .collect();
        let status = match &metas {
            Some(metas) if place.active => {
                if !metas.iter().any(is_test) {
                    Status::NotATest
                } else if metas.iter().any(|meta| meta.path().is_ident("ignore")) {
                    Status::Ignored
                } else {
                    Status::Runs
                }
            }
            _ => Status::SwitchedOff,
        };
        let ids = covered_ids(&docs.join("\n"));
        if !ids.is_empty() {
            self.scan.claims.push(Claim {
                ids,
                file: place.file.to_owned(),
                line: name.span().start().line,
                function: name.to_string(),
                status,
            });
        }
        match status {
            Status::Runs => self.roots.push(mentions(body)),
            Status::NotATest => self.add_helper(name, body),
            Status::SwitchedOff | Status::Ignored => {}
        }
    }

    fn helper(
        &mut self,
        attributes: &[Attribute],
        name: &syn::Ident,
        body: TokenStream,
        place: &Place<'_>,
    ) {
        if place.active && self.cfg.active(attributes).is_some() {
            self.add_helper(name, body);
        }
    }

    fn add_helper(&mut self, name: &syn::Ident, body: TokenStream) {
        let found = mentions(body);
        let entry = self.items.entry(name.to_string()).or_default();
        entry.names.extend(found.names);
        entry.vectors.extend(found.vectors);
    }

    /// Follows names from the running tests through the items they mention.
    fn reachable_vectors(&self) -> BTreeSet<String> {
        let mut vectors = BTreeSet::new();
        let mut seen = BTreeSet::new();
        let mut next: Vec<&Mentions> = self.roots.iter().collect();
        while let Some(mentions) = next.pop() {
            vectors.extend(mentions.vectors.iter().cloned());
            for name in &mentions.names {
                if seen.insert(name) {
                    next.extend(self.items.get(name));
                }
            }
        }
        vectors
    }
}

fn is_test(meta: &Meta) -> bool {
    let last = meta.path().segments.last();
    last.is_some_and(|segment| segment.ident == "test")
}

/// The string of `name = "string"`.
fn string_value(meta: &Meta, name: &str) -> Option<String> {
    match meta {
        Meta::NameValue(value) if value.path.is_ident(name) => match &value.value {
            Expr::Lit(ExprLit {
                lit: Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

fn statements(statements: &[Stmt]) -> TokenStream {
    statements.iter().map(tokens).collect()
}

fn tokens<T: ToTokens>(item: &T) -> TokenStream {
    item.to_token_stream()
}

fn mentions(tokens: TokenStream) -> Mentions {
    let mut found = Mentions::default();
    let mut groups = vec![tokens];
    while let Some(group) = groups.pop() {
        for token in group {
            match token {
                TokenTree::Group(inner) => groups.push(inner.stream()),
                TokenTree::Ident(name) => {
                    found.names.insert(name.to_string());
                }
                TokenTree::Literal(literal) => {
                    if let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string()) {
                        found.vectors.extend(vector_path(&text.value()));
                    }
                }
                TokenTree::Punct(_) => {}
            }
        }
    }
    found
}

/// The part of a path from `test-vectors/` on, if it names a JSON file there.
fn vector_path(path: &str) -> Option<String> {
    let start = path.find("test-vectors/")?;
    let path = path.get(start..)?;
    path.ends_with(".json").then(|| path.to_owned())
}

/// The functions inside `proptest! { .. }`.
struct PropertyTests(Vec<PropertyTest>);

struct PropertyTest {
    attributes: Vec<Attribute>,
    name: syn::Ident,
    body: TokenStream,
}

impl Parse for PropertyTests {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Attribute::parse_inner(input)?;
        let mut tests = Vec::new();
        while !input.is_empty() {
            let attributes = Attribute::parse_outer(input)?;
            input.parse::<Visibility>()?;
            input.parse::<Option<Token![async]>>()?;
            input.parse::<Token![fn]>()?;
            let name = input.parse()?;
            // Parameters and return type: `in` makes the parameters no Rust pattern, so they stay tokens.
            while !input.peek(syn::token::Brace) && !input.is_empty() {
                input.parse::<TokenTree>()?;
            }
            let body = input.parse::<proc_macro2::Group>()?.stream();
            tests.push(PropertyTest {
                attributes,
                name,
                body,
            });
        }
        Ok(Self(tests))
    }
}
