//! The plugin configuration: parsed strictly, refused whole when a part is wrong.
//!
//! Envoy hands over JSON, whether it was written as `google.protobuf.Struct`
//! or as a string. A configuration that cannot be read makes `on_configure`
//! fail, so Envoy keeps the old one or refuses to start, and says why.

use gate::facts::DiskTier;
use gate::judge;
use gate::scaling::LaneSize;
use gate::signals::canary_5xx_rate::Judge;
use gate::slice::Slice;
use gate::target::Target;
use gate::threshold::Thresholds;
use gate::time::Timestamp;
use gate::window::Periods;
use serde::Deserialize;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub role: Role,
    pub gateway: Gateway,
    pub lane: Lane,
    /// How a request's slice is told; a probe needs it.
    #[serde(default)]
    pub slice: Option<SliceBy>,
    #[serde(default)]
    pub judge: Judge,
    #[serde(default)]
    pub windows: Periods,
    /// Envoy's concurrency; absent: not checked.
    #[serde(default)]
    pub workers: Option<u32>,
    #[serde(default)]
    pub abort_on_fail: bool,
    #[serde(default)]
    pub thresholds: Thresholds,
    #[serde(default)]
    pub tokens: Vec<Token>,
    #[serde(default)]
    pub measure_owner: Option<String>,
    #[serde(default)]
    pub queue: Queue,
    #[serde(default)]
    pub publish: Option<Publish>,
    #[serde(default)]
    pub notifier: Option<Notifier>,
}

gate::named_enum! {
    pub enum Role {
        Probe = "probe",
        Endpoint = "endpoint",
        Both = "both",
    }
}

impl Config {
    /// How a request's slice is told, where this plugin measures.
    pub fn measured_slice(&self) -> Option<&SliceBy> {
        self.slice.as_ref().filter(|_| self.role.probes())
    }
}

impl Role {
    pub fn probes(self) -> bool {
        self != Role::Endpoint
    }
    pub fn serves(self) -> bool {
        self != Role::Probe
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    pub id: String,
    pub az: String,
    #[serde(default)]
    pub version: String,
    #[serde(default)]
    pub disk_tier: DiskTier,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lane {
    pub name: String,
    pub namespace: String,
    pub stable_replicas: u32,
    #[serde(default)]
    pub headroom: u32,
    #[serde(default = "one")]
    pub min_replicas: u32,
    #[serde(default)]
    pub targets: Vec<Target>,
}

fn one() -> u32 {
    1
}

fn yes() -> bool {
    true
}

/// One of `fixed`, `header` and `authority`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceBy {
    #[serde(default)]
    pub fixed: Option<Slice>,
    /// Name of a request header whose value is `canary` or `stable`.
    #[serde(default)]
    pub header: Option<String>,
    /// Authorities of the canary; every other is stable.
    #[serde(default)]
    pub authority: Option<Vec<String>>,
    /// Whether latency means anything on this slice (false for streams).
    #[serde(default = "yes")]
    pub latency: bool,
    /// Whether a failing grpc-status is an error.
    #[serde(default)]
    pub grpc: bool,
}

gate::named_enum! {
    /// What a token may do.
    pub enum TokenRole {
        Measure = "measure",
        Read = "read",
        Facts = "facts",
        Operate = "operate",
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Token {
    pub name: String,
    pub role: TokenRole,
    /// `sha256:` and 64 hex digits of the token.
    pub digest: Digest,
    #[serde(default)]
    pub previous: Option<Digest>,
    #[serde(default)]
    pub rotated_at: Option<Timestamp>,
}

/// SHA-256 of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        gate::parse::text(d, |text| {
            text.strip_prefix("sha256:").and_then(from_hex).map(Digest).ok_or_else(|| {
                "a digest is `sha256:` and 64 hex digits; never write a token here".to_owned()
            })
        })
    }
}

fn from_hex(hex: &str) -> Option<[u8; 32]> {
    let digits = hex.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let mut value = 0;
        for digit in pair {
            value = value * 16 + char::from(*digit).to_digit(16)?;
        }
        *byte = u8::try_from(value).ok()?;
    }
    Some(bytes)
}

/// Where the queue depth comes from.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Queue {
    #[serde(default)]
    pub source: QueueSource,
    /// Cluster of the proxy that reaches NATS' monitoring port, or Prometheus.
    #[serde(default)]
    pub cluster: Option<String>,
    #[serde(default)]
    pub stream: Option<String>,
    #[serde(default)]
    pub consumer: Option<String>,
    #[serde(default)]
    pub query: Option<String>,
}

gate::named_enum! {
    #[derive(Default)]
    pub enum QueueSource {
        #[default]
        Facts = "facts",
        Nats = "nats",
        Prometheus = "prometheus",
    }
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Publish {
    /// Cluster of the proxy that reaches the API server.
    pub cluster: String,
    pub authority: String,
    /// Lower the targets' `maxReplicaCount` on begin, abort and red; off where
    /// GitOps owns the field.
    #[serde(default = "yes")]
    pub lower_max_replicas: bool,
    /// Keep KEDA's `paused-scale-out` annotation on the targets' ScaledObjects
    /// while frozen; KEDA then reports them `Paused`.
    #[serde(default)]
    pub paused_scale_out: bool,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notifier {
    pub cluster: String,
    pub path: String,
}

impl Config {
    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// The path that is wrong, and how.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        let config: Config = gate::parse::json(bytes)?;
        config.check()?;
        Ok(config)
    }

    fn check(&self) -> Result<(), String> {
        self.thresholds.validate()?;
        self.windows.validate()?;
        for (path, value) in [
            ("gateway.id", &self.gateway.id),
            ("gateway.az", &self.gateway.az),
            ("lane.name", &self.lane.name),
            ("lane.namespace", &self.lane.namespace),
        ] {
            let valid =
                |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.';
            if value.is_empty() || value.len() > 63 || !value.chars().all(valid) {
                return Err(format!(
                    "{path}: `{value}` is not a name of lower-case letters, digits, `-` and `.`, 63 at most"
                ));
            }
        }
        if self.lane.min_replicas > self.lane.stable_replicas {
            return Err(format!(
                "lane.min_replicas: {} is more than stable_replicas, {}",
                self.lane.min_replicas, self.lane.stable_replicas
            ));
        }
        if self.role.probes() {
            let by = self
                .slice
                .as_ref()
                .ok_or("slice: a probe needs `fixed`, `header` or `authority`")?;
            let given = [by.fixed.is_some(), by.header.is_some(), by.authority.is_some()];
            if given.iter().filter(|g| **g).count() != 1 {
                return Err("slice: exactly one of `fixed`, `header` and `authority`".to_owned());
            }
        }
        if self.role.serves() {
            if self.tokens.is_empty() {
                return Err(
                    "tokens: an endpoint needs at least one, else nobody can read it".to_owned()
                );
            }
            for (i, token) in self.tokens.iter().enumerate() {
                if self.tokens.iter().take(i).any(|t| t.name == token.name) {
                    return Err(format!("tokens[{i}].name: `{}` is there twice", token.name));
                }
                if self.tokens.iter().take(i).any(|t| t.digest == token.digest) {
                    return Err(format!("tokens[{i}].digest: another token has it too"));
                }
                if token.previous.is_some() && token.rotated_at.is_none() {
                    return Err(format!("tokens[{i}].rotated_at: is needed beside `previous`"));
                }
            }
            if let Some(owner) = &self.measure_owner {
                let known = |t: &Token| t.name == *owner && t.role == TokenRole::Measure;
                if !self.tokens.iter().any(known) {
                    return Err(format!(
                        "measure_owner: no token of role measure is named `{owner}`"
                    ));
                }
            }
        }
        self.check_queue()
    }

    fn check_queue(&self) -> Result<(), String> {
        let q = &self.queue;
        let keys = [
            ("cluster", q.cluster.is_some()),
            ("stream", q.stream.is_some()),
            ("consumer", q.consumer.is_some()),
            ("query", q.query.is_some()),
        ];
        let taken: &[&str] = match q.source {
            QueueSource::Facts => &[],
            QueueSource::Nats => &["cluster", "stream", "consumer"],
            QueueSource::Prometheus => &["cluster", "query"],
        };
        for (key, is_given) in keys {
            match (is_given, taken.contains(&key)) {
                (true, false) => {
                    return Err(format!("queue.{key}: `{}` does not take it", q.source.name()))
                }
                (false, true) => {
                    return Err(format!("queue.{key}: `{}` needs it", q.source.name()))
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the judge needs of it.
    pub fn judge_config(&self) -> judge::Config {
        judge::Config {
            gateway: self.gateway.id.clone(),
            az: self.gateway.az.clone(),
            gateway_version: self.gateway.version.clone(),
            disk_tier: self.gateway.disk_tier,
            lane: self.lane.name.clone(),
            size: LaneSize {
                stable_replicas: self.lane.stable_replicas,
                headroom: self.lane.headroom,
                min_replicas: self.lane.min_replicas,
            },
            judge: self.judge,
            periods: self.windows,
            thresholds: self.thresholds.clone(),
            abort_on_fail: self.abort_on_fail,
            targets: self.lane.targets.clone(),
            lowers_caps: self.publish.as_ref().is_some_and(|p| p.lower_max_replicas),
            pauses_scale_out: self.publish.as_ref().is_some_and(|p| p.paused_scale_out),
            pulls_queue: self.queue.source != QueueSource::Facts,
            has_notifier: self.notifier.is_some(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    pub(crate) fn sample() -> Value {
        json!({
            "role": "both",
            "gateway": {"id": "gw-a1", "az": "a", "version": "2026.11.1", "disk_tier": "1TB"},
            "lane": {"name": "openclaw-build-lane", "namespace": "builds", "stable_replicas": 6, "headroom": 1, "min_replicas": 1,
                     "targets": [{"kind": "Deployment", "name": "openclaw-worker", "slice": "stable", "scaledObject": "openclaw-worker"}]},
            "slice": {"fixed": "canary", "latency": true},
            "judge": "multi-horizon",
            "windows": {"length_s": 300, "poll_s": 60, "tick_s": 5},
            "workers": 4, "abort_on_fail": false, "thresholds": {},
            "tokens": [{"name": "keda", "role": "measure",
                        "digest": "sha256:0000000000000000000000000000000000000000000000000000000000000000"}],
            "measure_owner": "keda",
            "queue": {"source": "facts"},
            "notifier": {"cluster": "notifier", "path": "/digests"},
            "publish": {"cluster": "kube-apiserver", "authority": "kubernetes.default.svc"}
        })
    }

    #[test]
    fn reads_the_documented_form() {
        Config::parse(sample().to_string().as_bytes()).unwrap();
    }

    #[rstest]
    #[case("/role", json!("probes"), "role: unknown variant `probes`")]
    #[case("/roles", json!("probe"), "unknown field `roles`")]
    #[case("/gateway/id", json!("GW A"), "gateway.id: `GW A`")]
    #[case("/lane/stable_replicas", json!(-1), "lane.stable_replicas: ")]
    #[case("/slice", json!({"latency": true}), "slice: exactly one of")]
    #[case("/slice", Value::Null, "slice: a probe needs")]
    #[case("/windows/length_s", json!(301), "windows.length_s: 301")]
    #[case("/thresholds", json!({"canary_5xx_rate": 5}), "thresholds.canary_5xx_rate: 5")]
    #[case("/tokens", json!([]), "tokens: an endpoint needs")]
    #[case("/tokens/0/digest", json!("secret"), "tokens[0].digest: a digest is")]
    #[case("/tokens/0/role", json!("admin"), "tokens[0].role: unknown variant `admin`")]
    #[case("/tokens/0/previous", json!("sha256:0000000000000000000000000000000000000000000000000000000000000000"), "tokens[0].rotated_at")]
    #[case("/measure_owner", json!("argo"), "measure_owner: no token")]
    #[case("/queue/source", json!("nats"), "queue.cluster: `nats` needs it")]
    #[case("/queue", json!({"source": "prometheus", "cluster": "p"}), "queue.query: `prometheus` needs it")]
    #[case("/queue", json!({"query": "up"}), "queue.query: `facts` does not take it")]
    #[case("/notifier", json!({"cluster": "n"}), "notifier: missing field `path`")]
    #[case("/publish/paused_scale_out", json!("yes"), "publish.paused_scale_out: ")]
    #[case("/publish/cluster", json!(7), "publish.cluster: ")]
    fn names_what_is_wrong(#[case] pointer: &str, #[case] value: Value, #[case] expected: &str) {
        let mut config = sample();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let parent =
            if parent.is_empty() { &mut config } else { config.pointer_mut(parent).unwrap() };
        match (parent, key.parse::<usize>()) {
            (Value::Array(a), Ok(i)) => a[i] = value,
            (parent, _) => parent[key] = value,
        }
        let e = Config::parse(config.to_string().as_bytes()).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }

    #[test]
    fn a_token_written_in_place_of_its_digest_is_not_repeated() {
        let mut config = sample();
        config["tokens"][0]["digest"] = json!("hunter2-hunter2");
        assert!(!Config::parse(config.to_string().as_bytes()).unwrap_err().contains("hunter2"));
    }
}
