//! The scenario file.

use anyhow::{Context, Result};
use gate::slice::Slice;
use gate::time::Timestamp;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    pub name: String,
    /// One line for the report.
    pub about: String,
    /// Wall clock at the start.
    pub start: Timestamp,
    pub gateway: Gateway,
    pub policy: Policy,
    /// Objects that the cluster holds at the start.
    #[serde(default)]
    pub objects: Vec<Value>,
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    #[serde(default = "two")]
    pub workers: usize,
    /// `access-logger` or `http-filter`.
    #[serde(default)]
    pub probe: Probe,
    /// Plugin configuration without `role`, `slice` and `tokens`.
    pub configuration: Value,
    /// Tokens in the clear; the filter gets their digests.
    pub tokens: Vec<Token>,
}

fn two() -> usize {
    2
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Probe {
    #[default]
    AccessLogger,
    HttpFilter,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: String,
    pub role: String,
    pub token: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    pub settings: Value,
}

/// Something that happens, or is looked at, at one time.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Time since the start: `90s`, `12m`, `1h`.
    #[serde(deserialize_with = "seconds")]
    pub at: u64,
    /// A heading in the report.
    #[serde(default)]
    pub step: Option<String>,
    /// What the line says; made up from the action where it is absent.
    #[serde(default)]
    pub say: Option<String>,
    #[serde(flatten)]
    pub action: Action,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Prints parts of a manifest of this project.
    Show(Show),
    /// Traffic from here on, by slice; replaces what was.
    Traffic(BTreeMap<Slice, Traffic>),
    /// Node facts that the launchd job puts every 30 seconds from here on; `null` stops it.
    Facts(Option<Value>),
    /// A request to a management endpoint.
    Request(Request),
    /// An edit that goes through the policy, and to the cluster if it is accepted.
    Edit(Edit),
    /// What the gateway's own ConfigMap must say.
    Published(Expectations),
    /// The last digest that the notifier took.
    Notified(Notified),
    /// The proxy process ends and starts anew.
    Restart(bool),
    /// The wall clock is set by this many seconds.
    Jump(i64),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notified {
    #[serde(default)]
    pub digest: Expectations,
    #[serde(default)]
    pub contains: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Show {
    pub file: String,
    /// Dotted paths that are printed, and what they must be.
    pub fields: BTreeMap<String, Value>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Traffic {
    pub per_minute: u32,
    /// Errors per thousand requests.
    #[serde(default)]
    pub errors_per_mille: u32,
    pub latency_ms: u64,
    /// Latency of every fiftieth request.
    #[serde(default)]
    pub slow_ms: Option<u64>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Name of the token; absent for none.
    #[serde(default, rename = "as")]
    pub token: Option<String>,
    #[serde(default)]
    pub body: Option<Value>,
    pub expect: RequestExpectation,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestExpectation {
    pub status: u16,
    #[serde(default)]
    pub document: Expectations,
    #[serde(default)]
    pub contains: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// `ScaledObject/builds/openclaw-worker`.
    pub object: String,
    /// Dotted paths to their new values; `null` removes.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// A whole object instead: CREATE where there is none.
    #[serde(default)]
    pub create: Option<Value>,
    #[serde(default)]
    pub delete: bool,
    pub expect: EditExpectation,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EditExpectation {
    pub accepted: bool,
    /// The rule that names the rejection.
    #[serde(default)]
    pub rule: Option<String>,
    /// Parts of the message or of a warning.
    #[serde(default)]
    pub contains: Vec<String>,
}

/// Dotted paths to what must stand there; `null` for what must be absent.
pub type Expectations = BTreeMap<String, Value>;

fn seconds<'de, D: serde::Deserializer<'de>>(d: D) -> Result<u64, D::Error> {
    gate::parse::text(d, |text| {
        let wrong =
            || format!("`{text}` is not a time since the start such as `90s`, `12m` or `1h`");
        let (number, unit) =
            text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
        let factor = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3600,
            _ => return Err(wrong()),
        };
        number.parse::<u64>().map(|n| n * factor).map_err(|_| wrong())
    })
}

impl Scenario {
    /// # Errors
    /// The file cannot be read, or the place in it that is wrong.
    pub fn load(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        serde_yaml_ng::from_str(&text).with_context(|| path.display().to_string())
    }
}
