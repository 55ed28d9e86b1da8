//! From a change and the gateways' states to a decision: pure.

use crate::rejection::Rejection;
use crate::rules;
use crate::scope::Change;
use crate::settings::{Enforcement, Settings};
use gate::lane::{GatewayState, LaneState};
use gate::time::Timestamp;

/// Most gateways that are read once more for one answer.
const MOST_READ_AGAIN: usize = 16;

/// What is to be said of one change.
#[derive(Debug)]
pub struct Decision {
    pub lane: String,
    pub namespace: String,
    pub object: String,
    /// Rules that reject, the one that names the rejection first.
    pub rejections: Vec<Rejection>,
    /// Rules that would, but are switched to warn.
    pub warnings: Vec<Rejection>,
    unknown: bool,
}

pub fn decide(
    settings: &Settings,
    change: &Change,
    gateways: &[GatewayState],
    now: Timestamp,
) -> Decision {
    let lane = LaneState::of(
        gateways,
        change.target.az.as_deref(),
        change.lane.declared(),
        now,
    );
    let of = |wanted| {
        rules::check(change, &lane)
            .into_iter()
            .filter(|r| settings.enforcement(r.rule) == wanted)
            .collect()
    };
    Decision {
        lane: change.lane.name.clone(),
        namespace: change.lane.namespace.clone(),
        object: change.object.clone(),
        rejections: of(Enforcement::Enforce),
        warnings: of(Enforcement::Warn),
        unknown: lane.is_unknown(),
    }
}

/// The gateways to read past the cache before the decision stands: those that
/// are not known before a rejection, and all of them, oldest first, before a raise.
pub fn read_again(decision: &Decision, change: &Change, gateways: &[GatewayState]) -> Vec<String> {
    let rejects = !decision.rejections.is_empty();
    let serves = |g: &&GatewayState| change.target.az.as_deref().is_none_or(|az| az == g.az);
    let mut questioned: Vec<&GatewayState> = gateways
        .iter()
        .filter(serves)
        .filter(|g| {
            if rejects {
                decision.unknown && g.verdict.is_err()
            } else {
                true
            }
        })
        .collect();
    // A few times the minimum: cheaper in code than a sort, and there are 16 at most.
    let observed = |g: &GatewayState| {
        g.verdict
            .as_ref()
            .map_or(i64::MIN, |v| v.observed_at.millis())
    };
    let mut oldest = Vec::new();
    while oldest.len() < MOST_READ_AGAIN {
        let Some((i, _)) = questioned
            .iter()
            .enumerate()
            .min_by_key(|(_, g)| observed(g))
        else {
            break;
        };
        oldest.push(questioned.swap_remove(i).id.clone());
    }
    oldest
}
