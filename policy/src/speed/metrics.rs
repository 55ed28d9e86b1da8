//! What an HPA that is not KEDA's scales on.
//!
//! It takes the highest of its metrics (Kubernetes `horizontal.go`,
//! `computeReplicasForMetrics`), so one that goes away asks for less, and so does one whose
//! target is higher.

use super::Faster;
use crate::objects::object::{alike, Object};
use crate::objects::quantity::quantity;
use gate::parse::Json;

const METRICS: &str = "spec.metrics";
/// Where a metric's target stands, and the numbers that it may be.
const KINDS: [&str; 5] = ["resource", "containerResource", "pods", "object", "external"];
const TARGETS: [&str; 3] = ["averageUtilization", "averageValue", "value"];

pub fn faster(old: Object, new: Object) -> Option<Faster> {
    let (old, new) = (list(old), list(new));
    // Without any the API server's default is 80 % of the CPU.
    if new.is_empty() && !old.is_empty() {
        return Some(Faster::incomparable(METRICS, "the default is another metric"));
    }
    new.iter().enumerate().find_map(|(i, new)| {
        let is_slower = old.iter().any(|old| is_no_faster(old, new));
        let why = "no metric from before asks for as much at every moment";
        (!is_slower).then(|| Faster::incomparable(format!("{METRICS}[{i}]"), why))
    })
}

fn list<'a>(object: Object<'a>) -> &'a [Json<'a>] {
    object.at(&["spec", "metrics"]).as_array().unwrap_or_default()
}

/// Whether two metrics are the same but for a target that is no lower.
fn is_no_faster(old: &Json, new: &Json) -> bool {
    if alike(old, new) {
        return true;
    }
    let (old, new) = (Object(old), Object(new));
    old.text(&["type"]) == new.text(&["type"])
        && KINDS.iter().all(|kind| {
            let parts = ["name", "container", "metric", "describedObject"];
            let same = parts.iter().all(|part| alike(old.at(&[kind, part]), new.at(&[kind, part])));
            let target = |key| (old.at(&[kind, "target", key]), new.at(&[kind, "target", key]));
            let kinds = target("type");
            same && alike(kinds.0, kinds.1)
                && TARGETS.iter().all(|key| match target(key) {
                    (was, is) if alike(was, is) => true,
                    (was, is) => match (quantity(was), quantity(is)) {
                        (Some(was), Some(is)) => is >= was,
                        _ => false,
                    },
                })
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn queue(target: &str) -> Value {
        json!({"type": "External", "external": {"metric": {"name": "queue"}, "target": {"type": "AverageValue", "averageValue": target}}})
    }
    fn cpu(percent: i64) -> Value {
        json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}})
    }

    #[rstest]
    #[case::same(json!([queue("8")]), json!([queue("8")]), true)]
    #[case::higher_target(json!([queue("8")]), json!([queue("9500m")]), true)]
    #[case::lower_target(json!([queue("8")]), json!([queue("7")]), false)]
    #[case::one_fewer(json!([cpu(80), queue("8")]), json!([queue("8")]), true)]
    #[case::one_more(json!([queue("8")]), json!([cpu(80), queue("8")]), false)]
    #[case::another_order(json!([cpu(80), queue("8")]), json!([queue("8"), cpu(90)]), true)]
    #[case::none(json!([queue("8")]), json!([]), false)]
    #[case::no_number(json!([queue("8")]), json!([queue("x")]), false)]
    #[case::another_metric(json!([cpu(80)]), json!([queue("80")]), false)]
    fn of_an_hpa(#[case] old: Value, #[case] new: Value, #[case] slower: bool) {
        let of = |metrics: &Value| json!({"spec": {"metrics": metrics}});
        let (old, new) = (of(&old), of(&new));
        assert_eq!(faster(Object::of(&old), Object::of(&new)).is_none(), slower);
    }
}
