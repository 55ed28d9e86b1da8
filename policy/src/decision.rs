//! From a change and the gateways' states to a decision: pure.

use crate::change::{Change, PodsInAll};
use crate::rejection::{Ground, Rejection};
use crate::rules;
use crate::settings::{Enforcement, Lane, Settings};
use gate::break_glass::Override;
use gate::lane::{Column, GatewayState, LaneState};
use gate::rule::Rule;
use gate::time::Timestamp;

/// Most gateways that are read once more for one answer.
const MOST_READ_AGAIN: usize = 16;

/// What was read of a lane.
#[derive(Debug, Default)]
pub struct State {
    pub gateways: Vec<GatewayState>,
    /// The break-glass override; `None` where there is none that can be read.
    pub override_: Option<Override>,
}

/// What is to be said of one change.
#[derive(Debug)]
pub struct Decision<'a> {
    pub lane: &'a Lane,
    /// Rules that reject, the one that names the rejection first.
    pub rejections: Vec<Rejection>,
    /// Rules that would, but are switched to warn.
    pub warnings: Vec<Rejection>,
    /// Rules that would, but for the override.
    pub excused: Vec<Rejection>,
    /// The override in force, whether it excused anything or not.
    pub override_: Option<Override>,
    pub pods: Option<PodsInAll>,
    /// Paths of the fields with an effect that the edit changes.
    pub edited: Vec<String>,
}

impl Decision<'_> {
    /// Whether any rule has anything against the change.
    pub fn objects(&self) -> bool {
        ![&self.rejections, &self.warnings, &self.excused].iter().all(|found| found.is_empty())
    }
}

pub fn decide<'a>(
    settings: &Settings,
    change: &Change<'a>,
    state: &State,
    now: Timestamp,
) -> Decision<'a> {
    let az = change.target.and_then(|t| t.az.as_deref());
    let declared = change.lane.declared().of(change.target);
    let lane = LaneState::of(&state.gateways, az, declared, now);
    let max_duration = settings.break_glass.as_ref().map(|b| b.max_duration.0);
    let override_ = state.override_.clone().zip(max_duration).and_then(|(o, max)| {
        let until = o.ends(max);
        o.is_valid(now, max).then_some(Override { until, ..o })
    });
    let mut decision = Decision {
        lane: change.lane,
        rejections: vec![],
        warnings: vec![],
        excused: vec![],
        override_,
        pods: change.pods,
        edited: change.edited.clone(),
    };
    let ceiling = decision.override_.as_ref().map(|o| i64::from(o.ceiling));
    let enforced = |rule: Rule| settings.enforcement(rule) == Enforcement::Enforce;
    for mut rejection in rules::check(change, &lane, &enforced) {
        let mut is_excused = false;
        if let Ground::Lift { lift, allowed, .. } = &mut rejection.ground {
            is_excused = ceiling.is_some_and(|ceiling| lift.reach() <= ceiling);
            *allowed = ceiling.map_or(*allowed, |ceiling| ceiling.max(*allowed));
        }
        match settings.enforcement(rejection.rule) {
            Enforcement::Off => {}
            _ if is_excused => decision.excused.push(rejection),
            Enforcement::Warn => decision.warnings.push(rejection),
            Enforcement::Enforce => decision.rejections.push(rejection),
        }
    }
    decision
}

/// The gateways to read past the cache before the decision stands: those that
/// are not known before a rejection, and all of them, oldest first, before an
/// autoscaler's ceiling rises. What runs (`*/scale`) rises by the list: the HPA
/// asks every 15 seconds. `read` were read already.
pub fn read_again(
    decision: &Decision,
    change: &Change,
    gateways: &[GatewayState],
    read: &[String],
) -> Vec<String> {
    let rejects = !decision.rejections.is_empty();
    let ceiling_rises = change.column == Column::Ceiling && !change.lifts.is_empty();
    let mut questioned: Vec<&GatewayState> = gateways
        .iter()
        .filter(|g| if rejects { g.verdict.is_err() } else { ceiling_rises })
        .filter(|g| !read.contains(&g.id))
        .collect();
    // A few times the minimum: cheaper in code than a sort, and there are 16 at most.
    let observed =
        |g: &GatewayState| g.verdict.as_ref().map_or(i64::MIN, |v| v.observed_at.millis());
    let mut oldest = Vec::new();
    while oldest.len() + read.len() < MOST_READ_AGAIN {
        let Some((i, _)) = questioned.iter().enumerate().min_by_key(|(_, g)| observed(g)) else {
            break;
        };
        oldest.push(questioned.swap_remove(i).id.clone());
    }
    oldest
}

/// Whether the override is to be read past the cache: it may have been written
/// or taken away a second ago, and it would turn the answer.
pub fn read_override_again(settings: &Settings, decision: &Decision) -> bool {
    let of_lift = |r: &Rejection| matches!(r.ground, Ground::Lift { .. });
    settings.break_glass.is_some()
        && (decision.rejections.iter().any(of_lift) || !decision.excused.is_empty())
}

#[cfg(test)]
mod tests;
