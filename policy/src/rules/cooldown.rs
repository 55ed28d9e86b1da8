//! `cooldown`: a lane does not shrink in haste, and asks a gateway in
//! maintenance no more than it must.
//!
//! `cooldownPeriod` governs only the way to zero or idle; the HPA's
//! `scaleDown.stabilizationWindowSeconds` governs the rest (kedacore/keda
//! `pkg/scaling/executor/scale_scaledobjects.go`).

use crate::change::{Fault, When};
use crate::objects::behavior::Behavior;
use crate::objects::scaled_object::ScaledObject;
use crate::settings::Limits;
use gate::rule::Rule;

/// Of a ScaledObject. `old` is absent where it is new on the target.
pub fn find(limits: &Limits, old: Option<ScaledObject>, new: ScaledObject) -> Vec<Fault> {
    let mut faults = Vec::new();
    let cooldown = |so: ScaledObject| so.cooldown();
    faults.extend(shorter(
        "spec.cooldownPeriod",
        limits.cooldown_period,
        old.map(cooldown),
        new.cooldown(),
    ));
    faults.extend(of_behavior(
        "spec.advanced.horizontalPodAutoscalerConfig.behavior",
        limits,
        old.map(|o| o.behavior()),
        new.behavior(),
    ));
    let polling = |so: ScaledObject| so.effective_polling();
    let fault = shorter(
        "spec.pollingInterval",
        limits.maintenance_polling_interval,
        old.map(polling),
        new.effective_polling(),
    );
    faults.extend(fault.map(|fault| Fault {
        what: format!(
            "{} in maintenance (without useCachedMetrics on every trigger the HPA asks each 15 s)",
            fault.what
        ),
        when: When::Maintenance,
        ..fault
    }));
    faults
}

/// Of a `behavior`, wherever it stands.
pub fn of_behavior(
    path: &str,
    limits: &Limits,
    old: Option<Behavior>,
    new: Behavior,
) -> Option<Fault> {
    shorter(
        &format!("{path}.scaleDown.stabilizationWindowSeconds"),
        limits.cooldown_period,
        old.map(|b| b.scale_down_window()),
        new.scale_down_window(),
    )
}

fn shorter(field: &str, least: u32, old: Option<i64>, new: i64) -> Option<Fault> {
    let is_too_short = new < i64::from(least) && old.is_none_or(|old| new < old);
    is_too_short.then(|| {
        Fault::always(Rule::Cooldown, field, format!("is {new} s, and {least} s is the least"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use crate::settings::tests::sample;
    use rstest::rstest;
    use serde_json::{json, Value};

    fn window(s: i64) -> Value {
        json!({"advanced": {"horizontalPodAutoscalerConfig": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": s}}}}, "pollingInterval": 60})
    }

    #[rstest]
    #[case::defaults(json!(null), json!({"pollingInterval": 60}), &[])]
    #[case::just_long_enough(json!(null), json!({"cooldownPeriod": 120, "pollingInterval": 60}), &[])]
    #[case::too_short(json!(null), json!({"cooldownPeriod": 119, "pollingInterval": 60}), &["spec.cooldownPeriod"])]
    #[case::as_before(json!({"cooldownPeriod": 60}), json!({"cooldownPeriod": 60}), &[])]
    #[case::longer_than_before(json!({"cooldownPeriod": 60}), json!({"cooldownPeriod": 90}), &[])]
    #[case::shorter_than_before(json!({"cooldownPeriod": 60}), json!({"cooldownPeriod": 59}), &["spec.cooldownPeriod"])]
    #[case::window_long_enough(json!(null), window(120), &[])]
    #[case::window_too_short(json!(null), window(119), &["spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds"])]
    #[case::polling(json!(null), json!({"pollingInterval": 59}), &["spec.pollingInterval"])]
    #[case::polling_uncached(json!(null), json!({"pollingInterval": 300, "triggers": [{"type": "redis"}]}), &["spec.pollingInterval"])]
    fn seconds(#[case] old: Value, #[case] new: Value, #[case] expected: &[&str]) {
        let limits = sample().limits;
        let (before, after) = (json!({ "spec": old }), json!({ "spec": new }));
        let before = (!old.is_null()).then_some(ScaledObject(Object::of(&before)));
        let found = find(&limits, before, ScaledObject(Object::of(&after)));
        assert_eq!(found.iter().map(|f| f.field.as_str()).collect::<Vec<_>>(), expected);
        for fault in found {
            let in_maintenance = fault.field == "spec.pollingInterval";
            assert_eq!(fault.when == When::Maintenance, in_maintenance);
        }
    }
}
