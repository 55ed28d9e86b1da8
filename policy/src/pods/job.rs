//! A Job's pods: as many as run in parallel, and no more than are to complete.
//!
//! Kubernetes `pkg/controller/job/job_controller.go`, `manageJob`: nothing runs while
//! it is suspended; the wanted number is `parallelism`, and where `completions` is set
//! no more than are still to complete. Another controller (`managedBy`) is taken to heed
//! the same fields; that it takes over is judged by itself.

use super::{Formula, Pods};
use crate::fields::job::DEFAULT_PARALLELISM;
use crate::objects::number;
use gate::parse::Json;

pub const FORMULA: Formula<3> = Formula {
    fields: [&["spec", "parallelism"], &["spec", "completions"], &["spec", "suspend"]],
    most: |values, _| most(values),
};

/// Of parallelism, completions and suspend.
pub fn most([parallelism, completions, suspend]: &[&Json; 3]) -> Pods {
    if suspend.as_bool() == Some(true) {
        return Pods::NONE;
    }
    let parallel = number(parallelism).unwrap_or(DEFAULT_PARALLELISM);
    Pods::up_to(number(completions).map_or(parallel, |completions| parallel.min(completions)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case::nothing_said(json!({}), 1)]
    #[case::parallel(json!({"parallelism": 3}), 3)]
    #[case::fewer_to_complete(json!({"parallelism": 3, "completions": 2}), 2)]
    #[case::more_to_complete(json!({"completions": 9}), 1)]
    #[case::none_in_parallel(json!({"parallelism": 0}), 0)]
    #[case::suspended(json!({"parallelism": 3, "suspend": true}), 0)]
    #[case::no_number(json!({"parallelism": "x"}), i64::MAX)]
    fn pods(#[case] spec: Value, #[case] expected: i64) {
        let v = json!({ "spec": spec });
        assert_eq!(FORMULA.of(Object::of(&v), 0).number(), expected);
    }
}
