//! The policy's settings: parsed strictly, all faults reported at once.
//!
//! A key that is not known is an error that names it and lists the valid ones:
//! a misspelt `stableReplicas` that is silently ignored would be a cap that
//! does not exist.

mod holes;
mod names;

use gate::break_glass::BREAK_GLASS;
use gate::fields::{Faults, Fields, Path};
use gate::lane::{Declared, WhenStale};
use gate::parse::{get, tree, Json};
use gate::rule::Rule;
use gate::slice::Slice;
use gate::target::Target;
use serde_json::{Map, Value};

/// Defaults of the settings.
const MAX_STATE_AGE: Seconds = Seconds(180);
const SKILL_HASH_ANNOTATION: &str = "canary-gate.dev/skill-hash";
const MIN_STABLE: u32 = 1;
const QUEUE_THRESHOLD: u32 = 8;
const COOLDOWN_S: u32 = 120;
const MAINTENANCE_POLLING_S: u32 = 60;
/// Whom Kubernetes' Deployment controller writes as: with its own account, or without
/// (`--use-service-account-credentials`).
const DEPLOYMENT_CONTROLLER: [&str; 2] =
    ["system:serviceaccount:kube-system:deployment-controller", "system:kube-controller-manager"];

#[derive(Clone, Debug)]
pub struct Settings {
    pub lanes: Vec<Lane>,
    /// Annotation on the pod template that holds the skill hash.
    pub skill_hash_annotation: String,
    pub mode: Mode,
    pub rules: Vec<(Rule, Enforcement)>,
    pub limits: Limits,
    pub break_glass: Option<BreakGlass>,
    pub unknown_fields: UnknownFields,
    /// Users that write the ReplicaSets that they own, and are not asked about them: the
    /// Deployment controller must be able to do what a Deployment asks for.
    pub replica_set_writers: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Lane {
    pub name: String,
    pub namespace: String,
    pub targets: Vec<Target>,
    /// Reviewed in Git; where a verdict states one too, the lower wins. Absent
    /// means that nothing may rise while a canary is active.
    pub stable_replicas: Option<u32>,
    pub headroom: u32,
    pub min_replicas: MinReplicas,
    /// Each must be present and fresh.
    pub gateways: Vec<Gateway>,
    pub max_state_age: Seconds,
    pub when_stale: WhenStale,
    pub measurement_urls: Vec<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct MinReplicas {
    pub stable: u32,
    pub canary: u32,
}

#[derive(Clone, Debug)]
pub struct Gateway {
    pub id: String,
    pub az: String,
    /// The only user that may write this gateway's state.
    pub writer: Option<String>,
}

gate::named_enum! {
    #[derive(Default)]
    pub enum Mode {
        #[default]
        Reject = "reject",
        Clamp = "clamp",
    }
}

gate::named_enum! {
    /// What becomes of a change of a field that this version has no row of, while the lane
    /// is frozen.
    #[derive(Default)]
    pub enum UnknownFields {
        #[default]
        Refuse = "refuse",
        Pass = "pass",
    }
}

gate::named_enum! {
    #[derive(Default)]
    pub enum Enforcement {
        #[default]
        Enforce = "enforce",
        Warn = "warn",
        Off = "off",
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Waiting jobs a replica.
    pub queue_threshold: u32,
    /// Seconds.
    pub cooldown_period: u32,
    /// Seconds.
    pub maintenance_polling_interval: u32,
}

#[derive(Clone, Debug)]
pub struct BreakGlass {
    pub groups: Vec<String>,
    pub max_duration: Seconds,
}

/// A duration written `180s`, `3m` or `4h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub u64);

impl Seconds {
    fn parse(text: &str) -> Result<Self, String> {
        let parsed = text.split_at_checked(text.len().saturating_sub(1)).and_then(|(n, unit)| {
            let factor = match unit {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return None,
            };
            n.parse::<u64>().ok()?.checked_mul(factor)
        });
        parsed
            .map(Seconds)
            .ok_or_else(|| format!("`{text}` is not a duration such as `180s`, `3m` or `4h`"))
    }
}

/// Why settings are not usable; the text lists every fault.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("settings: {}", .0.join("; "))]
pub struct SettingsError(Vec<String>);

impl Settings {
    /// Reads and checks settings.
    ///
    /// # Errors
    /// Every fault, each with its path.
    pub fn parse(bytes: &[u8]) -> Result<Self, SettingsError> {
        let value = tree(bytes).map_err(|e| SettingsError(vec![e]))?;
        let settings = Self::of(&value)?;
        let mut faults = Faults::default();
        for (i, lane) in settings.lanes.iter().enumerate() {
            lane.find_twins(i, &mut faults);
        }
        holes::find(&settings, &mut faults);
        faults.or(settings).map_err(SettingsError)
    }

    /// Reads settings that were checked when they were installed: all faults, but neither
    /// holes nor names of a thousand gateways against each other.
    ///
    /// # Errors
    /// Every fault, each with its path.
    pub fn of(value: &Json) -> Result<Self, SettingsError> {
        let mut faults = Faults::default();
        let settings = Self::read(value, &mut faults);
        faults.or(settings).map_err(SettingsError)
    }

    fn read(value: &Json, faults: &mut Faults) -> Self {
        let mut f = Fields::of(value, Path::Top, faults);
        let rules = read_rules(&mut f);
        // With the rule off, nobody has to be named.
        let needs_writers = !rules.iter().any(|(rule, enforcement)| {
            *rule == Rule::StateOwner && *enforcement != Enforcement::Enforce
        });
        let lanes = f.items("lanes", |item, path, faults| {
            Some(Lane::read(item, path, needs_writers, faults))
        });
        let skill_hash_annotation =
            f.text("skillHashAnnotation").unwrap_or_else(|| SKILL_HASH_ANNOTATION.to_owned());
        let mode = f.parsed("mode", Mode::parse).unwrap_or_default();
        let limits = f.map("limits", Limits::read).unwrap_or_default();
        let break_glass = f.map("breakGlass", BreakGlass::read);
        let unknown_fields = f.parsed("unknownFields", UnknownFields::parse).unwrap_or_default();
        let replica_set_writers = match f.texts("replicaSetWriters") {
            named if named.is_empty() => DEPLOYMENT_CONTROLLER.map(str::to_owned).to_vec(),
            named => named,
        };
        f.finish();
        let settings = Self {
            lanes,
            skill_hash_annotation,
            mode,
            rules,
            limits,
            break_glass,
            unknown_fields,
            replica_set_writers,
        };
        settings.find_twins(faults);
        settings
    }

    pub fn enforcement(&self, rule: Rule) -> Enforcement {
        self.rules.iter().find(|r| r.0 == rule).map(|r| r.1).unwrap_or_default()
    }

    /// Names that are there twice.
    fn find_twins(&self, faults: &mut Faults) {
        for (i, lane) in self.lanes.iter().enumerate() {
            let same = |l: &Lane| l.name == lane.name && l.namespace == lane.namespace;
            if self.lanes.iter().take(i).any(same) {
                faults.push(format!("lanes[{i}].name: `{}` is there twice", lane.name));
            }
        }
        let targets =
            || self.lanes.iter().flat_map(|l| l.targets.iter().map(move |t| (&l.namespace, t)));
        for (i, (namespace, target)) in targets().enumerate() {
            let same = |(n, t): (&String, &Target)| {
                n == namespace && t.kind == target.kind && t.name == target.name
            };
            if targets().take(i).any(same) {
                faults.push(format!(
                    "lanes: target {} {namespace}/{} is there twice",
                    target.kind.name(),
                    target.name
                ));
            }
        }
    }
}

fn read_rules(f: &mut Fields) -> Vec<(Rule, Enforcement)> {
    let mut rules = Vec::new();
    let Some(value) = f.get("rules") else { return rules };
    let Some(map) = value.as_object() else {
        f.fault("rules", "is not a map of rules to `enforce`, `warn` or `off`");
        return rules;
    };
    for (key, value) in map.iter() {
        // `off` without quotes is false in YAML 1.1, which kubectl and Helm read.
        let off = (value.as_bool() == Some(false)).then_some("off");
        let enforcement = Enforcement::parse(off.or(value.as_str()).unwrap_or_default());
        match (Rule::parse(key), enforcement) {
            (Ok(rule), Ok(enforcement)) => rules.push((rule, enforcement)),
            (Err(e), _) => f.fault("rules", &e),
            (_, Err(e)) => f.fault(&format!("rules.{key}"), &e),
        }
    }
    rules
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            queue_threshold: QUEUE_THRESHOLD,
            cooldown_period: COOLDOWN_S,
            maintenance_polling_interval: MAINTENANCE_POLLING_S,
        }
    }
}

impl Limits {
    fn read(f: &mut Fields) -> Self {
        let default = Self::default();
        Self {
            queue_threshold: f.number("queueThreshold").unwrap_or(default.queue_threshold),
            cooldown_period: f.number("cooldownPeriod").unwrap_or(default.cooldown_period),
            maintenance_polling_interval: f
                .number("maintenancePollingInterval")
                .unwrap_or(default.maintenance_polling_interval),
        }
    }
}

impl BreakGlass {
    fn read(f: &mut Fields) -> Self {
        let groups = f.texts("groups");
        let max_duration = f.parsed("maxDuration", Seconds::parse).unwrap_or(Seconds(0));
        if groups.is_empty() {
            f.fault("groups", "at least one group is needed");
        }
        if max_duration.0 == 0 {
            f.fault("maxDuration", "must be there, and longer than 0s");
        }
        Self { groups, max_duration }
    }
}

impl Lane {
    fn read(value: &Json, path: Path, needs_writers: bool, faults: &mut Faults) -> Self {
        let mut f = Fields::of(value, path, faults);
        let (name, namespace) = (f.required("name"), f.required("namespace"));
        let targets = f.items("targets", |item, path, faults| Target::read(item, path, faults));
        let gateways = f.items("gateways", |item, path, faults| {
            Some(Gateway::read(item, path, needs_writers, faults))
        });
        let stable_replicas = f.number("stableReplicas");
        let headroom = f.number("headroom").unwrap_or(0);
        let min_replicas = f.map("minReplicas", MinReplicas::read).unwrap_or_default();
        let max_state_age = f.parsed("maxStateAge", Seconds::parse).unwrap_or(MAX_STATE_AGE);
        let when_stale = f.parsed("whenStale", WhenStale::parse).unwrap_or_default();
        let measurement_urls = f.texts("measurementURLs");
        if max_state_age.0 == 0 {
            f.fault("maxStateAge", "must be longer than 0s");
        }
        for url in &measurement_urls {
            // A word such as `/` would be found in everything.
            if url.split_once("://").is_none_or(|(_, rest)| rest.split('/').next() == Some("")) {
                f.fault("measurementURLs", &format!("`{url}` is not a URL with a host"));
            }
        }
        for target in &targets {
            // Nobody would speak for it.
            if let Some(az) = target.az.as_ref().filter(|az| !gateways.iter().any(|g| g.az == **az))
            {
                let what = format!("{}: no gateway is in the az `{az}`", target.name);
                f.fault("targets", &what);
            }
        }
        f.finish();
        Self {
            name,
            namespace,
            targets,
            stable_replicas,
            headroom,
            min_replicas,
            gateways,
            max_state_age,
            when_stale,
            measurement_urls,
        }
    }

    /// Gateways that are there twice.
    fn find_twins(&self, i: usize, faults: &mut Faults) {
        // There may be a thousand.
        let mut seen = Map::new();
        for gateway in &self.gateways {
            if seen.insert(gateway.id.clone(), Value::Null).is_some() {
                faults.push(format!("lanes[{i}].gateways: `{}` is there twice", gateway.id));
            }
        }
    }

    /// What `gate` needs to know of the lane.
    pub fn declared(&self) -> Declared {
        Declared {
            stable_replicas: self.stable_replicas,
            headroom: self.headroom,
            min_stable: self.min_replicas.stable,
            has_canary_target: self.targets.iter().any(|t| t.slice == Slice::Canary),
            when_stale: self.when_stale,
        }
    }
}

impl Default for MinReplicas {
    fn default() -> Self {
        Self { stable: MIN_STABLE, canary: 0 }
    }
}

impl MinReplicas {
    fn read(f: &mut Fields) -> Self {
        let default = Self::default();
        Self {
            stable: f.number("stable").unwrap_or(default.stable),
            canary: f.number("canary").unwrap_or(default.canary),
        }
    }

    pub fn of(self, slice: Slice) -> i64 {
        match slice {
            Slice::Stable => self.stable.into(),
            Slice::Canary => self.canary.into(),
        }
    }
}

impl Gateway {
    fn read(value: &Json, path: Path, needs_writers: bool, faults: &mut Faults) -> Self {
        let mut f = Fields::of(value, path, faults);
        let (id, az, writer) = (f.required("id"), f.required("az"), f.text("writer"));
        if id.starts_with(BREAK_GLASS) {
            f.fault("id", "names of this form are those of break-glass overrides");
        }
        if writer.is_none() && needs_writers && get(value, "writer").is_null() {
            f.fault(
                "writer",
                "is missing: the user that may write this gateway's state, such as \
                 `system:serviceaccount:NAMESPACE:NAME` (or set `rules: {state-owner: off}`)",
            );
        }
        f.finish();
        Self { id, az, writer }
    }
}

#[cfg(test)]
pub(crate) mod tests;
