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
}

pub fn decide(
    settings: &Settings,
    change: &Change,
    gateways: &[GatewayState],
    now: Timestamp,
) -> Decision {
    let lane = LaneState::of(gateways, change.target.az.as_deref(), change.lane.declared(), now);
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
    }
}

/// The gateways to read past the cache before the decision stands: those that
/// are not known before a rejection, and all of them, oldest first, before a
/// raise. `read` were read already.
pub fn read_again(decision: &Decision, gateways: &[GatewayState], read: &[String]) -> Vec<String> {
    let rejects = !decision.rejections.is_empty();
    let mut questioned: Vec<&GatewayState> = gateways
        .iter()
        .filter(|g| !read.contains(&g.id))
        .filter(|g| !rejects || g.verdict.is_err())
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Request;
    use crate::scope;
    use crate::settings::tests::SAMPLE;
    use gate::ceiling::DEFAULT_MAX_REPLICAS;
    use gate::lane::Unknown;
    use gate::verdict::Verdict;
    use proptest::prelude::*;
    use serde_json::{json, Value};

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

    fn degraded() -> GatewayState {
        let verdict = json!({
            "schema": "verdict.v1", "gateway": "gw-a1", "az": "a", "observed_at": NOW.to_string(),
            "status": "degraded", "canary_active": true, "degraded": true, "frozen": true,
            "frozen_by": ["canary_5xx_rate"], "aborted": false, "asleep": false, "disk": "ok",
            "disk_tier": "1TB", "epoch": 1, "promotion_frozen": true, "maintenance": false,
            "headroom": 1, "reason": ""
        });
        GatewayState::of(
            "gw-a1",
            "a",
            Verdict::parse(&verdict.to_string()).map_err(Unknown::Malformed),
            180,
            NOW,
        )
    }

    fn number() -> impl Strategy<Value = Value> {
        prop_oneof![
            4 => (-2i64..30).prop_map(|n| json!(n)),
            1 => Just(Value::Null),
            1 => any::<i64>().prop_map(|n| json!(n)),
            1 => Just(json!("7")),
        ]
    }

    fn scaled_object() -> impl Strategy<Value = Value> {
        let annotation = prop_oneof![
            4 => Just(json!({})),
            1 => (-1i64..60).prop_map(|n| json!({"autoscaling.keda.sh/paused-replicas": n.to_string()})),
            1 => Just(json!({"autoscaling.keda.sh/paused-replicas": "x"})),
            1 => Just(json!({"autoscaling.keda.sh/paused": "true"})),
            1 => Just(json!({"autoscaling.keda.sh/paused-scale-out": "false"})),
        ];
        let target = prop_oneof![3 => Just("openclaw-worker"), 1 => Just("web"), 1 => Just("openclaw-worker-canary")];
        (number(), number(), number(), annotation, target).prop_map(|(max, min, idle, annotations, target)| {
            json!({
                "metadata": {"name": "openclaw-worker", "annotations": annotations},
                "spec": {"scaleTargetRef": {"name": target}, "maxReplicaCount": max, "minReplicaCount": min, "idleReplicaCount": idle}
            })
        })
    }

    fn judged(old: &Value, new: &Value) -> bool {
        let settings = Settings::parse(SAMPLE.replace("warn", "enforce").as_bytes()).unwrap();
        let request = Request {
            operation: "UPDATE".into(),
            namespace: "builds".into(),
            name: "openclaw-worker".into(),
            kind: "ScaledObject".into(),
            group: "keda.sh".into(),
            old_object: old.clone(),
            object: new.clone(),
            ..Request::default()
        };
        let changes = scope::changes(&settings, &request).unwrap();
        let gateways = [degraded()];
        changes
            .iter()
            .filter(|c| !c.lifts.is_empty())
            .all(|c| decide(&settings, c, &gateways, NOW).rejections.is_empty())
    }

    fn ceiling(so: &Value) -> Option<i64> {
        match &so["spec"]["maxReplicaCount"] {
            Value::Null => Some(DEFAULT_MAX_REPLICAS),
            value => value.as_i64(),
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn no_admitted_edit_raises_the_ceiling_while_degraded(old in scaled_object(), new in scaled_object()) {
            let lane = |so: &Value| so["spec"]["scaleTargetRef"]["name"] != "web";
            prop_assume!(lane(&old) || lane(&new));
            if judged(&old, &new) {
                prop_assert_eq!(&old["spec"]["scaleTargetRef"], &new["spec"]["scaleTargetRef"]);
                if let (Some(old), Some(new)) = (ceiling(&old), ceiling(&new)) {
                    // A stable target may always rise to its minimum of 1.
                    prop_assert!(new <= old.max(1), "{} -> {}", old, new);
                }
                // What is no number passes only where it was there before.
                if ceiling(&new).is_none() {
                    prop_assert!(ceiling(&old).is_none());
                }
            }
        }

        #[test]
        fn an_unchanged_object_is_always_admitted(so in scaled_object()) {
            prop_assert!(judged(&so, &so));
        }
    }
}
