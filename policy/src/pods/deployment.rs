//! A Deployment: its replicas, and the surge of a rolling update.
//!
//! `allowedSize` in Kubernetes `pkg/controller/deployment/sync.go` and
//! `NewRSNewReplicas` in `util/deployment_util.go` keep all ReplicaSets together
//! within replicas and surge. A Deployment that is paused in the middle of an update
//! keeps them all, so a pause takes nothing off. `Recreate` makes the new pods when
//! the old are gone. Without replicas there is no surge.

use super::{surge, Formula, Pods};
use gate::parse::Json;

pub const FORMULA: Formula<2> = Formula {
    fields: [&["spec", "strategy", "type"], &["spec", "strategy", "rollingUpdate", "maxSurge"]],
    most,
};

fn most([kind, max_surge]: &[&Json; 2], replicas: i64) -> Pods {
    let stable = Pods::up_to(replicas);
    if kind.as_str() == Some("Recreate") || replicas <= 0 {
        stable
    } else {
        stable.plus(surge::of(max_surge, replicas))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[test]
    fn a_raise_is_put_down_to_what_makes_it() {
        let of = |strategy: Value| json!({"spec": {"strategy": strategy}});
        let (old, new) =
            (of(json!({})), of(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 9}})));
        let raise = FORMULA.raise(Object::of(&old), Object::of(&new), 6).unwrap();
        assert_eq!(raise.field, "spec.strategy.rollingUpdate.maxSurge");
    }

    #[rstest]
    #[case::nothing_said(json!({}), 8)]
    #[case::share(json!({"rollingUpdate": {"maxSurge": "10%"}}), 7)]
    #[case::number(json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 500}}), 506)]
    #[case::no_number(json!({"rollingUpdate": {"maxSurge": "many"}}), i64::MAX)]
    #[case::recreate(json!({"type": "Recreate", "rollingUpdate": {"maxSurge": 500}}), 6)]
    fn of_six_replicas(#[case] strategy: Value, #[case] expected: i64) {
        let v = json!({"spec": {"strategy": strategy}});
        assert_eq!(FORMULA.of(Object::of(&v), 6).number(), expected);
        assert_eq!(FORMULA.of(Object::of(&v), 0), Pods::NONE);
    }
}
