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
use crate::scaling::share;
use crate::signals::disk::DiskLevel;
use crate::signals::Signal;
use crate::slice::Slice;
use crate::target::Target;
use crate::threshold::MAX_FUTURE_S;
use crate::time::Timestamp;
use crate::verdict::Verdict;
use std::fmt;

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

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Unknown::Missing(why) => write!(f, "no state: {why}"),
            Unknown::Malformed(why) => write!(f, "malformed state: {why}"),
            Unknown::Stale { age_s, .. } => write!(f, "its state is {age_s} s old"),
            Unknown::Future { by_s, .. } => {
                write!(f, "its state is {by_s} s in the future, check its clock")
            }
        }
    }
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

crate::named_enum! {
    /// What `*/scale` may do while a gateway's state is not known.
    #[derive(Default)]
    pub enum WhenStale {
        #[default]
        Freeze = "freeze",
        Cap = "cap",
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
    pub when_stale: WhenStale,
}

impl Declared {
    /// For a target that has its own part of what its slice may have.
    #[must_use]
    pub fn of(self, target: Option<&Target>) -> Self {
        let Some(target) = target else { return self };
        let (stable, headroom) = target.part(self.stable_replicas.unwrap_or(0), self.headroom);
        Self { stable_replicas: self.stable_replicas.map(|_| stable), headroom, ..self }
    }

    /// What a slice may have while a canary is active; an absent stable value is none.
    pub fn share(&self, slice: Slice) -> u32 {
        let stable = self.stable_replicas.unwrap_or(0);
        share(slice, stable, self.headroom, self.has_canary_target)
    }
}

/// The two columns of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// What an autoscaler may go up to: ScaledObject, ScaledJob, HPA.
    Ceiling,
    /// What runs: `*/scale`, `spec.replicas`.
    Scale,
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

/// Why the lane is in a row: the first gateway's word.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    pub row: Row,
    pub gateway: String,
    /// How many gateways more say the same.
    pub others: usize,
    /// Seconds since the gateway's verdict was observed.
    pub age_s: Option<i64>,
    pub reason: String,
}

/// What the canary under test runs and where, by the active gateways' word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnderTest {
    /// The AZ slice under test; `None` where the canary is not bound to one.
    pub az: Option<String>,
    pub skill_hash: Option<String>,
    pub stable_skill_hash: Option<String>,
}

/// A lane, seen for one target.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneState {
    declared: Declared,
    /// One a row, in the order of the gateways that say so.
    findings: Vec<Finding>,
    /// A field is empty where gateways disagree on it, or none is active.
    pub under_test: UnderTest,
    /// A gateway in maintenance.
    pub maintenance: Option<String>,
}

impl LaneState {
    /// Merges the gateways for a target that serves `az` (`None`: all of them).
    pub fn of(
        gateways: &[GatewayState],
        az: Option<&str>,
        declared: Declared,
        now: Timestamp,
    ) -> Self {
        let mut lane = Self {
            declared,
            findings: Vec::new(),
            under_test: UnderTest::default(),
            maintenance: None,
        };
        for g in gateways {
            let serves = az.is_none_or(|az| az == g.az);
            if let Some(v) = g.last_word() {
                lane.lower_to(v);
                if v.maintenance && lane.maintenance.is_none() {
                    lane.maintenance = Some(g.id.clone());
                }
            }
            match &g.verdict {
                Ok(v) => lane.find_all(g, v, serves, now),
                Err(unknown) => {
                    let last = g.last_word();
                    // Canary state comes from all gateways, so one that says
                    // nothing at all is unknown to every AZ.
                    if serves || last.is_none() {
                        lane.find(Row::Unknown, &g.id, || {
                            let age_s = match unknown {
                                Unknown::Stale { age_s, .. } => Some(*age_s),
                                Unknown::Future { by_s, .. } => Some(-*by_s),
                                _ => None,
                            };
                            (age_s, unknown.to_string())
                        });
                    }
                    // What it said last holds too: silence lifts nothing.
                    if let Some(v) = last {
                        lane.find_all(g, v, serves, now);
                    }
                }
            }
        }
        let words = || gateways.iter().filter_map(GatewayState::last_word);
        let active = || words().filter(|v| v.canary_active);
        if let Some(first) = active().next() {
            let other = active().find_map(|v| disagreement(first, v).map(|reason| (v, reason)));
            if let Some((v, reason)) = other {
                lane.find(Row::Frozen, &v.gateway, || (None, reason));
            }
        }
        lane.under_test = UnderTest {
            az: agreed(active().map(|v| &v.az_under_test)),
            skill_hash: agreed(active().map(|v| &v.skill_hash)),
            // Also what an aborted gateway is rolled back to.
            stable_skill_hash: agreed(
                words().filter(|v| v.canary_active || v.aborted).map(|v| &v.stable_skill_hash),
            ),
        };
        lane
    }

    /// The lower of what was reviewed and what a gateway says; a value that
    /// was never reviewed is none.
    fn lower_to(&mut self, v: &Verdict) {
        let declared = &mut self.declared;
        if let (Some(reviewed), Some(published)) = (declared.stable_replicas, v.stable_replicas) {
            declared.stable_replicas = Some(reviewed.min(published));
        }
        declared.headroom = declared.headroom.min(v.headroom);
    }

    fn find_all(&mut self, g: &GatewayState, v: &Verdict, serves: bool, now: Timestamp) {
        for row in rows_of(v, serves) {
            self.find(row, &g.id, || (Some(now.since(v.observed_at)), v.reason.clone()));
        }
    }

    /// A thousand gateways may say the same: one is named, the others are counted.
    fn find(
        &mut self,
        row: Row,
        gateway: &str,
        age_and_reason: impl FnOnce() -> (Option<i64>, String),
    ) {
        match self.findings.iter_mut().find(|f| f.row == row) {
            Some(finding) => finding.others += 1,
            None => {
                let (age_s, reason) = age_and_reason();
                self.findings.push(Finding {
                    row,
                    gateway: gateway.to_owned(),
                    others: 0,
                    age_s,
                    reason,
                });
            }
        }
    }

    /// The finding that locks skill packs and promotions: a canary is active,
    /// or whether one is, is not known.
    pub fn lock(&self) -> Option<&Finding> {
        let of = |row| self.findings.iter().find(|f| f.row == row);
        of(Row::CanaryActive).or_else(|| of(Row::Unknown))
    }

    pub fn canary_active(&self) -> Option<&Finding> {
        self.findings.iter().find(|f| f.row == Row::CanaryActive)
    }

    /// The most the replicas of an `old` object may become; `None` where
    /// nothing limits. `old` is absent on CREATE.
    pub fn allowed(&self, slice: Slice, column: Column, old: Option<i64>) -> Option<i64> {
        self.findings.iter().map(|f| self.limit(f.row, slice, column, old)).min()
    }

    /// The first finding, in the order of rows, that refuses a rise to `new`,
    /// with the most that it and the `enforced` rows together allow. Only rows
    /// of `asked` are asked, so that a rule that is switched off masks no other.
    pub fn refusal(
        &self,
        slice: Slice,
        column: Column,
        old: Option<i64>,
        new: i64,
        asked: &dyn Fn(Rule) -> bool,
        enforced: &dyn Fn(Rule) -> bool,
    ) -> Option<(i64, &Finding)> {
        let counts = |f: &&Finding| asked(f.row.rule()) || enforced(f.row.rule());
        let limit = |f: &Finding| self.limit(f.row, slice, column, old);
        let lowest = self.findings.iter().filter(counts).map(limit).min()?;
        self.findings
            .iter()
            .filter(|f| asked(f.row.rule()) && new > limit(f))
            .min_by_key(|f| f.row)
            .map(|f| (lowest, f))
    }

    fn limit(&self, row: Row, slice: Slice, column: Column, old: Option<i64>) -> i64 {
        let limit = match old {
            Some(old) => match table(row, slice, column, &self.declared) {
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
pub fn table(row: Row, slice: Slice, column: Column, d: &Declared) -> Limit {
    use Limit::{NotAboveOld, UpTo};
    let Some(stable) = d.stable_replicas else {
        // No stable value is declared: no raise at all.
        return NotAboveOld;
    };
    match (row, slice) {
        (Row::Red, _) => NotAboveOld,
        (Row::Unknown, _) if column == Column::Scale && d.when_stale == WhenStale::Cap => {
            UpTo(created(row, slice, d))
        }
        (Row::Unknown | Row::Frozen, _) => NotAboveOld,
        (Row::FrozenByYellow2tb, Slice::Stable) => UpTo(stable),
        (Row::FrozenByYellow2tb, Slice::Canary) => NotAboveOld,
        (Row::Aborted, Slice::Stable) => UpTo(stable),
        (Row::Aborted, Slice::Canary) => NotAboveOld,
        (Row::CanaryActive, _) => UpTo(d.share(slice)),
    }
}

/// The declared limit of a slice, with which a CREATE is compared wherever a
/// row limits anything, so that delete and create gain nothing beyond it.
fn created(row: Row, slice: Slice, d: &Declared) -> u32 {
    let stable = d.stable_replicas.unwrap_or(0);
    match (row, slice) {
        (Row::CanaryActive, _) => d.share(slice),
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

/// The value that all give.
fn agreed<'a>(mut values: impl Iterator<Item = &'a Option<String>>) -> Option<String> {
    let first = values.next()?;
    first.clone().filter(|_| values.all(|v| v == first))
}

/// Two active gateways that name different slices or packs under test: somebody is wrong.
fn disagreement(first: &Verdict, v: &Verdict) -> Option<String> {
    let fields = [
        ("az_under_test", &first.az_under_test, &v.az_under_test),
        ("skill_hash", &first.skill_hash, &v.skill_hash),
        ("stable_skill_hash", &first.stable_skill_hash, &v.stable_skill_hash),
    ];
    fields.into_iter().find(|(_, a, b)| a != b).map(|(key, a, b)| {
        let text = |t: &Option<String>| t.clone().unwrap_or_else(|| "absent".to_owned());
        format!(
            "its {key} is {}, that of {} is {}: send the same begin to all gateways",
            text(b),
            first.gateway,
            text(a),
        )
    })
}

#[cfg(test)]
mod tests;
