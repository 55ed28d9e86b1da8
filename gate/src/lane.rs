//! What a lane may do: the table of lane states.
//!
//! Every gateway of the lane puts the lane in zero or more rows of the table;
//! each row limits how far a ceiling or a replica count may rise, and the
//! lowest limit wins. So any failing, stale or missing gateway decides, and no
//! combination needs a case of its own.
//!
//! Whose word counts: freshness and node signals (disk, doctor …) only of the
//! gateways that serve the target's AZ, canary state of all of them.

use crate::facts::DiskTier;
use crate::hold::Cause;
use crate::rule::Rule;
use crate::signals::disk::DiskLevel;
use crate::signals::Signal;
use crate::slice::Slice;
use crate::threshold::MAX_FUTURE_S;
use crate::time::Timestamp;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};

crate::named_enum! {
    /// Kinds that a lane can scale.
    pub enum TargetKind {
        Deployment = "Deployment",
        StatefulSet = "StatefulSet",
        Rollout = "Rollout",
        ScaledJob = "ScaledJob",
    }
}

impl TargetKind {
    /// API group of the kind, without version.
    pub fn group(self) -> &'static str {
        match self {
            TargetKind::Deployment | TargetKind::StatefulSet => "apps",
            TargetKind::Rollout => "argoproj.io",
            TargetKind::ScaledJob => "keda.sh",
        }
    }
}

/// One scale target of a lane, as written in the policy's settings and in the
/// plugin configuration.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    pub kind: TargetKind,
    pub name: String,
    pub slice: Slice,
    #[serde(rename = "scaledObject", default, skip_serializing_if = "Option::is_none")]
    pub scaled_object: Option<String>,
    /// Only where a target serves one AZ slice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az: Option<String>,
    /// A custom HPA name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hpa: Option<String>,
}

/// Why a gateway's state is not known.
#[derive(Clone, Debug, PartialEq)]
pub enum Unknown {
    /// Not there or not readable, with the host's word on it.
    Missing(String),
    Malformed(String),
    /// Too old to count; what it said of the canary still does.
    Stale {
        age_s: i64,
        last: Box<Verdict>,
    },
    Future {
        by_s: i64,
        last: Box<Verdict>,
    },
}

/// What was read of one gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct GatewayState {
    pub id: String,
    pub az: String,
    pub verdict: Result<Verdict, Unknown>,
}

impl GatewayState {
    /// Judges a verdict's name and age. A sleeping gateway's last word never goes stale.
    pub fn of(
        id: &str,
        az: &str,
        verdict: Result<Verdict, Unknown>,
        max_age_s: u64,
        now: Timestamp,
    ) -> Self {
        let verdict = verdict.and_then(|v| {
            let age_s = now.since(v.observed_at);
            if v.gateway != id {
                Err(Unknown::Malformed(format!("gateway: the verdict is of `{}`", v.gateway)))
            } else if age_s < -MAX_FUTURE_S {
                Err(Unknown::Future { by_s: -age_s, last: Box::new(v) })
            } else if !v.asleep && age_s > i64::try_from(max_age_s).unwrap_or(i64::MAX) {
                Err(Unknown::Stale { age_s, last: Box::new(v) })
            } else {
                Ok(v)
            }
        });
        Self { id: id.into(), az: az.into(), verdict }
    }

    /// What the gateway said last, even if it is too old to be believed.
    fn last_word(&self) -> Option<&Verdict> {
        match &self.verdict {
            Ok(v) => Some(v),
            Err(Unknown::Stale { last, .. } | Unknown::Future { last, .. }) => Some(last),
            Err(_) => None,
        }
    }
}

/// What the settings declare of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declared {
    pub stable_replicas: Option<u32>,
    pub headroom: u32,
    /// Stable may rise to this in every state.
    pub min_stable: u32,
    pub has_canary_target: bool,
}

/// A row of the table that limits something; a lane in no row is idle and free.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Row {
    /// Red disk.
    Red,
    /// Missing, stale, malformed or from the future.
    Unknown,
    /// Frozen, degraded or yellow.
    Frozen,
    /// Frozen by disk alone, at yellow on the 2TB tier.
    FrozenByYellow2tb,
    Aborted,
    CanaryActive,
}

impl Row {
    /// The rule that refuses in the name of this row.
    pub fn rule(self) -> Rule {
        match self {
            Row::Red => Rule::RedGate,
            Row::Unknown | Row::Frozen | Row::FrozenByYellow2tb | Row::Aborted => Rule::CapFrozen,
            Row::CanaryActive => Rule::CanaryCap,
        }
    }
}

/// How far a number may rise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    NotAboveOld,
    UpTo(u32),
}

/// Why the lane is in a row: one gateway's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub row: Row,
    pub gateway: String,
    /// Seconds since the gateway's verdict was observed.
    pub age_s: Option<i64>,
    pub reason: String,
}

/// A lane, seen for one target.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneState {
    declared: Declared,
    pub findings: Vec<Finding>,
}

impl LaneState {
    /// Merges the gateways for a target that serves `az` (`None`: all of them).
    pub fn of(
        gateways: &[GatewayState],
        az: Option<&str>,
        declared: Declared,
        now: Timestamp,
    ) -> Self {
        let mut declared = declared;
        let mut findings = Vec::new();
        for g in gateways {
            let serves = az.is_none_or(|az| az == g.az);
            if let Some(v) = g.last_word() {
                // The lower of what was reviewed and what the gateway says; a
                // value that was never reviewed is none.
                if let (Some(reviewed), Some(published)) =
                    (declared.stable_replicas, v.stable_replicas)
                {
                    declared.stable_replicas = Some(reviewed.min(published));
                }
                declared.headroom = declared.headroom.min(v.headroom);
            }
            match &g.verdict {
                Ok(v) => {
                    findings.extend(rows_of(v, serves).map(|row| Finding {
                        row,
                        gateway: g.id.clone(),
                        age_s: Some(now.since(v.observed_at)),
                        reason: v.reason.clone(),
                    }));
                }
                Err(unknown) if serves => findings.push(Finding {
                    row: Row::Unknown,
                    gateway: g.id.clone(),
                    age_s: match unknown {
                        Unknown::Stale { age_s, .. } => Some(*age_s),
                        Unknown::Future { by_s, .. } => Some(-*by_s),
                        _ => None,
                    },
                    reason: match unknown {
                        Unknown::Missing(why) => format!("no state: {why}"),
                        Unknown::Malformed(why) => format!("malformed state: {why}"),
                        Unknown::Stale { age_s, .. } => format!("its state is {age_s} s old"),
                        Unknown::Future { by_s, .. } => {
                            format!("its state is {by_s} s in the future, check its clock")
                        }
                    },
                }),
                // Canary state comes from all gateways, whatever their clocks say.
                Err(_) => {
                    let last = g.last_word().into_iter();
                    findings.extend(last.flat_map(|v| {
                        rows_of(v, false).map(|row| Finding {
                            row,
                            gateway: g.id.clone(),
                            age_s: Some(now.since(v.observed_at)),
                            reason: v.reason.clone(),
                        })
                    }));
                }
            }
        }
        if let Some((gateway, reason)) = disagreement(gateways) {
            findings.push(Finding { row: Row::Frozen, gateway, age_s: None, reason });
        }
        Self { declared, findings }
    }

    /// The most the replicas of an `old` object may become, with the finding
    /// that says so; `None` where nothing limits. `old` is absent on CREATE.
    pub fn allowed(&self, slice: Slice, old: Option<i64>) -> Option<(i64, &Finding)> {
        self.findings
            .iter()
            .map(|f| (self.limit(f.row, slice, old), f))
            .min_by_key(|(allowed, _)| *allowed)
    }

    /// The first finding, in the order of rows, that refuses a rise to `new`,
    /// with the most that all rows together allow. Only rows of `rules` are
    /// asked, so that a rule that is switched off masks no other.
    pub fn refusal(
        &self,
        slice: Slice,
        old: Option<i64>,
        new: i64,
        rules: impl Fn(Rule) -> bool,
    ) -> Option<(i64, &Finding)> {
        let (lowest, _) = self.allowed(slice, old)?;
        self.findings
            .iter()
            .filter(|f| rules(f.row.rule()) && new > self.limit(f.row, slice, old))
            .min_by_key(|f| f.row)
            .map(|f| (lowest, f))
    }

    fn limit(&self, row: Row, slice: Slice, old: Option<i64>) -> i64 {
        let limit = match old {
            Some(old) => match table(row, slice, &self.declared) {
                Limit::NotAboveOld => old,
                Limit::UpTo(n) => old.max(i64::from(n)),
            },
            None => i64::from(created(row, slice, &self.declared)),
        };
        // In every state stable may rise to its minimum.
        match slice {
            Slice::Stable => limit.max(i64::from(self.declared.min_stable)),
            Slice::Canary => limit,
        }
    }
}

/// The table, row by row: how far an existing object's number may rise.
pub fn table(row: Row, slice: Slice, d: &Declared) -> Limit {
    use Limit::{NotAboveOld, UpTo};
    let Some(stable) = d.stable_replicas else {
        // No stable value is declared: no raise at all.
        return NotAboveOld;
    };
    match (row, slice) {
        (Row::Red, _) => NotAboveOld,
        (Row::Unknown | Row::Frozen, _) => NotAboveOld,
        (Row::FrozenByYellow2tb, Slice::Stable) => UpTo(stable),
        (Row::FrozenByYellow2tb, Slice::Canary) => NotAboveOld,
        (Row::Aborted, Slice::Stable) => UpTo(stable),
        (Row::Aborted, Slice::Canary) => NotAboveOld,
        (Row::CanaryActive, Slice::Stable) if d.has_canary_target => UpTo(stable),
        (Row::CanaryActive, Slice::Stable) => UpTo(stable.saturating_add(d.headroom)),
        (Row::CanaryActive, Slice::Canary) => UpTo(d.headroom),
    }
}

/// The declared limit of a slice, with which a CREATE is compared wherever a
/// row limits anything, so that delete and create gain nothing beyond it.
fn created(row: Row, slice: Slice, d: &Declared) -> u32 {
    let stable = d.stable_replicas.unwrap_or(0);
    match (row, slice) {
        (Row::CanaryActive, Slice::Canary) => d.headroom,
        (Row::CanaryActive, Slice::Stable) if !d.has_canary_target => {
            stable.saturating_add(d.headroom)
        }
        (_, Slice::Stable) => stable,
        (_, Slice::Canary) => 0,
    }
}

/// The rows that one gateway's verdict puts the lane in. A gateway that does
/// not serve the target's AZ speaks for the canary only.
fn rows_of(v: &Verdict, serves: bool) -> impl Iterator<Item = Row> {
    let by_canary = |c: &Cause| match c {
        Cause::Signal(s) => s.is_canary(),
        Cause::StateUnknown => true,
    };
    // A freeze without a named cause is not known to be a node's own.
    let frozen = (v.frozen || v.degraded)
        && (serves || v.frozen_by.is_empty() || v.frozen_by.iter().any(by_canary));
    let disk_alone = v.frozen_by.as_slice() == [Cause::Signal(Signal::Disk)]
        && v.disk == DiskLevel::Yellow
        && v.disk_tier == DiskTier::Tb2;
    let yellow = serves && v.disk == DiskLevel::Yellow;
    [
        (serves && v.disk == DiskLevel::Red).then_some(Row::Red),
        ((frozen || yellow) && !disk_alone).then_some(Row::Frozen),
        ((frozen || yellow) && disk_alone).then_some(Row::FrozenByYellow2tb),
        v.aborted.then_some(Row::Aborted),
        v.canary_active.then_some(Row::CanaryActive),
    ]
    .into_iter()
    .flatten()
}

/// Active gateways that name different slices or packs under test: somebody is wrong.
fn disagreement(gateways: &[GatewayState]) -> Option<(String, String)> {
    let mut active =
        gateways.iter().filter_map(GatewayState::last_word).filter(|v| v.canary_active);
    let first = active.next()?;
    active.find_map(|v| {
        let fields = [
            ("az_under_test", &first.az_under_test, &v.az_under_test),
            ("skill_hash", &first.skill_hash, &v.skill_hash),
            ("stable_skill_hash", &first.stable_skill_hash, &v.stable_skill_hash),
        ];
        fields.into_iter().find(|(_, a, b)| a != b).map(|(key, a, b)| {
            let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "absent".to_owned());
            let reason = format!(
                "its {key} is {}, that of {} is {}: send the same begin to all gateways",
                text(b),
                first.gateway,
                text(a),
            );
            (v.gateway.clone(), reason)
        })
    })
}

#[cfg(test)]
mod tests;
