//! What is wrong with an installation, one line a fault, with its remedy.
//!
//! Each part reads values that the API server, Envoy's admin port or a gateway
//! answered, and asks nobody itself, so that every fault is a row of a test.
//! What the policy would say of the lane's state is asked of the policy.

pub mod envoy;
pub mod gateway;
pub mod policies;
pub mod scaled_object;
pub mod state;
pub mod tokens;
pub mod webhooks;

use serde_json::Value;
use std::fmt;

/// Something that is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub what: String,
    pub remedy: &'static str,
}

impl Fault {
    pub fn new(what: impl Into<String>, remedy: &'static str) -> Self {
        Self { what: what.into(), remedy }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}. {}", self.what, self.remedy)
    }
}

/// A lane of the policy's settings.
#[derive(Clone, Debug)]
pub struct Lane {
    pub name: String,
    pub namespace: String,
    /// Id and account of each gateway.
    pub gateways: Vec<(String, String)>,
    pub targets: Vec<Target>,
}

/// What is scaled, and the ScaledObject that does it.
#[derive(Clone, Debug)]
pub struct Target {
    pub kind: String,
    pub name: String,
    pub scaled_object: Option<String>,
}

/// The lanes of settings that the policy took.
pub fn lanes(settings: &Value) -> Vec<Lane> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let items = |value: &Value, key: &str| value[key].as_array().cloned().unwrap_or_default();
    let lane = |lane: &Value| Lane {
        name: text(lane, "name"),
        namespace: text(lane, "namespace"),
        gateways: items(lane, "gateways")
            .iter()
            .map(|g| (text(g, "id"), text(g, "writer")))
            .collect(),
        targets: items(lane, "targets")
            .iter()
            .map(|t| Target {
                kind: text(t, "kind"),
                name: text(t, "name"),
                scaled_object: t["scaledObject"].as_str().map(str::to_owned),
            })
            .collect(),
    };
    items(settings, "lanes").iter().map(lane).collect()
}
