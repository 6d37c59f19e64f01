//! The two messages.

use std::collections::BTreeMap;
use std::fmt;

use jose_x509::json;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::{Map, Value, json};
use ssf_set::{Problem, SetErrorCode};

use crate::error::Error;
use crate::push::description;

/// The most identifiers in `ack`, in `setErrs` and in `sets`.
pub const MAX_IDS: usize = 256;
const MAX_ID: usize = 256;
const MAX_DESCRIPTION: usize = 1024;
const REQUEST: &str = "poll request";
const RESPONSE: &str = "poll response";

/// What a receiver reports of a SET that it refuses.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SetErrorReport {
    /// `err`.
    pub code: SetErrorCode,
    /// `description`: untrusted text, at most 1024 characters.
    pub description: String,
}

impl SetErrorReport {
    /// A report with the fixed text of its code.
    #[must_use]
    pub fn new(code: SetErrorCode) -> Self {
        let description = description(&code).to_owned();
        Self { code, description }
    }
}

/// A poll request. The default is a first, waiting poll without limit: the empty object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollRequest {
    /// The most SETs to return. `None` is no limit, and zero asks for none.
    pub max_events: Option<u64>,
    /// Whether to answer at once when there is no SET.
    pub return_immediately: bool,
    /// `jti` of the SETs that the receiver has.
    pub ack: Vec<String>,
    /// Reports by `jti`.
    pub set_errs: BTreeMap<String, SetErrorReport>,
}

impl PollRequest {
    /// A request that acknowledges, reports, and asks for nothing.
    #[must_use]
    pub fn acknowledge(ack: Vec<String>, set_errs: BTreeMap<String, SetErrorReport>) -> Self {
        Self {
            max_events: Some(0),
            return_immediately: true,
            ack,
            set_errs,
        }
    }

    /// Limits the SETs to return.
    #[must_use]
    pub fn with_max_events(mut self, max_events: u64) -> Self {
        self.max_events = Some(max_events);
        self
    }

    /// Asks for an answer at once.
    #[must_use]
    pub fn with_return_immediately(mut self) -> Self {
        self.return_immediately = true;
        self
    }

    /// Reads a request. Unknown members are ignored.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`]: to be answered with 400.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let object = json::object(body, &json::Limits::DOCUMENT.with_bytes(256 * 1024)).map_err(
            |source| Error::Json {
                what: REQUEST,
                source,
            },
        )?;
        let max_events = match object.get("maxEvents") {
            None => None,
            Some(value) => match value.as_u64() {
                Some(number) => Some(number),
                None => return Err(wrong("maxEvents", Problem::Type)),
            },
        };
        let return_immediately = match object.get("returnImmediately") {
            None => false,
            Some(Value::Bool(yes)) => *yes,
            Some(_) => return Err(wrong("returnImmediately", Problem::Type)),
        };
        let mut ack = Vec::new();
        match object.get("ack") {
            None => {}
            Some(Value::Array(ids)) if ids.len() > MAX_IDS => {
                return Err(wrong("ack", Problem::TooLong));
            }
            Some(Value::Array(ids)) => {
                for id in ids {
                    let id = id.as_str().ok_or(wrong("ack", Problem::Type))?;
                    check_id(id, "ack")?;
                    ack.push(id.to_owned());
                }
            }
            Some(_) => return Err(wrong("ack", Problem::Type)),
        }
        let mut set_errs = BTreeMap::new();
        match object.get("setErrs") {
            None => {}
            Some(Value::Object(reports)) => {
                for (id, report) in reports {
                    check_id(id, "setErrs")?;
                    let text = |name| report.get(name).and_then(Value::as_str);
                    let (Some(code), Some(description)) = (text("err"), text("description")) else {
                        return Err(wrong("setErrs", Problem::Form));
                    };
                    if code.is_empty() || code.len() > MAX_ID {
                        return Err(wrong("setErrs", Problem::Form));
                    }
                    set_errs.insert(
                        id.clone(),
                        SetErrorReport {
                            code: SetErrorCode::from_name(code),
                            description: description.chars().take(MAX_DESCRIPTION).collect(),
                        },
                    );
                }
            }
            Some(_) => return Err(wrong("setErrs", Problem::Type)),
        }
        Ok(Self {
            max_events,
            return_immediately,
            ack,
            set_errs,
        })
    }

    /// The JSON text. What has its default is left out.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut object = Map::new();
        if let Some(max_events) = self.max_events {
            object.insert("maxEvents".to_owned(), max_events.into());
        }
        if self.return_immediately {
            object.insert("returnImmediately".to_owned(), true.into());
        }
        if !self.ack.is_empty() {
            object.insert("ack".to_owned(), self.ack.clone().into());
        }
        if !self.set_errs.is_empty() {
            let reports = self.set_errs.iter().map(|(id, report)| {
                let report =
                    json!({"err": report.code.as_str(), "description": report.description});
                (id.clone(), report)
            });
            object.insert("setErrs".to_owned(), Value::Object(reports.collect()));
        }
        Value::Object(object).to_string().into_bytes()
    }
}

fn check_id(id: &str, member: &'static str) -> Result<(), Error> {
    if id.is_empty() {
        Err(wrong(member, Problem::Empty))
    } else if id.len() > MAX_ID {
        Err(wrong(member, Problem::TooLong))
    } else {
        Ok(())
    }
}

const fn wrong(member: &'static str, problem: Problem) -> Error {
    Error::Member {
        what: REQUEST,
        member,
        problem,
    }
}

/// A poll response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PollResponse {
    /// `jti` and compact SET, in the order of the text, which is the transmitter's.
    pub unverified_sets: Vec<(String, String)>,
    /// Whether more can be fetched at once.
    pub more_available: bool,
}

#[derive(Deserialize)]
struct Wire {
    sets: Sets,
    #[serde(default, rename = "moreAvailable")]
    more_available: bool,
}

struct Sets(Vec<(String, String)>);

impl<'de> Deserialize<'de> for Sets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Sets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of compact tokens")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Sets, A::Error> {
                let mut sets = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    sets.push(entry);
                }
                Ok(Sets(sets))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

impl PollResponse {
    /// A response with these SETs.
    #[must_use]
    pub fn new(sets: Vec<(String, String)>, more_available: bool) -> Self {
        Self {
            unverified_sets: sets,
            more_available,
        }
    }

    /// Reads a response of at most 1 MiB and 256 SETs. `moreAvailable` without a SET counts for
    /// nothing, so that it cannot keep a receiver polling.
    ///
    /// # Errors
    ///
    /// [`Error::Json`], [`Error::Member`].
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        let wire: Wire =
            json::from_slice(body, &json::Limits::DOCUMENT).map_err(|source| Error::Json {
                what: RESPONSE,
                source,
            })?;
        let sets = wire.sets.0;
        if sets
            .iter()
            .any(|(id, _)| id.is_empty() || id.len() > MAX_ID)
        {
            return Err(Error::Member {
                what: RESPONSE,
                member: "sets",
                problem: Problem::Form,
            });
        }
        Ok(Self {
            more_available: wire.more_available && !sets.is_empty(),
            unverified_sets: sets,
        })
    }

    /// The JSON text, with the SETs in their order.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut text = String::from("{\"sets\":{");
        for (index, (id, compact)) in self.unverified_sets.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            text.push_str(&Value::from(id.as_str()).to_string());
            text.push(':');
            text.push_str(&Value::from(compact.as_str()).to_string());
        }
        text.push('}');
        if self.more_available {
            text.push_str(",\"moreAvailable\":true");
        }
        text.push('}');
        text.into_bytes()
    }
}
