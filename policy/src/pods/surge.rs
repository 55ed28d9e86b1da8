//! `maxSurge` and its like: a number of pods, or a share of the replicas.

use super::Pods;
use crate::objects::number;
use gate::parse::Json;

/// `maxSurge` where it is absent, percent (Kubernetes `pkg/apis/apps/v1/defaults.go`,
/// argo-rollouts `utils/defaults/defaults.go`).
const DEFAULT_PCT: i64 = 25;

/// Pods besides `replicas`: a share is rounded up (apimachinery
/// `pkg/util/intstr/intstr.go`). What is neither a number nor a share has no bound.
pub fn of(surge: &Json, replicas: i64) -> Pods {
    let percent = match surge {
        Json::Null => Some(DEFAULT_PCT),
        Json::Str(text) => {
            text.strip_suffix('%').and_then(|n| n.parse::<u32>().ok()).map(i64::from)
        }
        value => return Pods::up_to(number(value).unwrap_or(0)),
    };
    percent.map_or(Pods::NO_BOUND, |p| share(replicas, p, 100))
}

/// Pods in all as Argo Rollouts reads it: any text is a share, and one that is none is 0;
/// a negative one takes pods off (`utils/replicaset/replicaset.go`, `MaxSurge`,
/// `canary.go`, `MaxReplicaCountAllowed`).
pub fn with_argo(surge: &Json, replicas: i64) -> Pods {
    let all = Pods::up_to(replicas);
    let Some(text) = surge.as_str() else {
        return match number(surge) {
            Some(n) if n < 0 => Pods::up_to(replicas.saturating_add(n)),
            _ => all.plus(of(surge, replicas)),
        };
    };
    match text.strip_suffix('%').unwrap_or(text).parse::<i64>() {
        Ok(percent) if percent < 0 => {
            let off = replicas.saturating_mul(percent.saturating_neg()) / 100;
            Pods::up_to(replicas.saturating_sub(off))
        }
        Ok(percent) => all.plus(share(replicas, percent, 100)),
        Err(_) => all,
    }
}

/// `replicas` × `part` / `whole`, rounded up; nothing bounds a share of no whole.
pub fn share(replicas: i64, part: i64, whole: i64) -> Pods {
    let above = replicas.saturating_mul(part).saturating_add(whole.saturating_sub(1));
    match above.checked_div(whole) {
        Some(n) if whole > 0 && above != i64::MAX => Pods::up_to(n),
        _ => Pods::NO_BOUND,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::absent(json!(null), Pods::up_to(2))]
    #[case::share(json!("10%"), Pods::up_to(1))]
    #[case::number(json!(500), Pods::up_to(500))]
    #[case::no_number(json!("many"), Pods::NO_BOUND)]
    #[case::negative_share(json!("-5%"), Pods::NO_BOUND)]
    #[case::negative(json!(-1), Pods::NONE)]
    fn of_six(#[case] surge: Value, #[case] expected: Pods) {
        assert_eq!(of(Object::of(&surge).0, 6), expected);
    }

    #[rstest]
    #[case::absent(json!(null), Pods::up_to(8))]
    #[case::share(json!("10%"), Pods::up_to(7))]
    #[case::text_is_a_share(json!("10"), Pods::up_to(7))]
    #[case::no_share(json!("many"), Pods::up_to(6))]
    #[case::number(json!(5), Pods::up_to(11))]
    #[case::no_number(json!(true), Pods::NO_BOUND)]
    #[case::fewer(json!(-1), Pods::up_to(5))]
    #[case::none(json!(-7), Pods::NONE)]
    #[case::half_of_them(json!("-50%"), Pods::up_to(3))]
    #[case::rounded_up(json!("-25%"), Pods::up_to(5))]
    #[case::the_lowest(json!(i64::MIN.to_string()), Pods::NONE)]
    fn six_in_argo(#[case] surge: Value, #[case] expected: Pods) {
        assert_eq!(with_argo(Object::of(&surge).0, 6), expected);
    }

    #[rstest]
    #[case(6, 50, 100, Pods::up_to(3))]
    #[case(6, 51, 100, Pods::up_to(4))]
    #[case(6, 0, 100, Pods::NONE)]
    #[case(6, 1, 0, Pods::NO_BOUND)]
    #[case(i64::MAX, 2, 100, Pods::NO_BOUND)]
    fn shares(#[case] replicas: i64, #[case] part: i64, #[case] whole: i64, #[case] most: Pods) {
        assert_eq!(share(replicas, part, whole), most);
    }
}
