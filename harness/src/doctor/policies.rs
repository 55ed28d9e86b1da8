//! The ClusterAdmissionPolicies: what they ask about, how they fail, what they say.

use super::Fault;
use serde_json::Value;
use std::collections::BTreeSet;

/// The policy server's own time-out of an evaluation, and the API server's of a
/// webhook, where a policy says nothing, seconds.
pub const DEFAULT_EVAL_S: u64 = 2;
const DEFAULT_WEBHOOK_S: u64 = 10;

fn name(policy: &Value) -> &str {
    policy["metadata"]["name"].as_str().unwrap_or("?")
}

fn resources(policy: &Value) -> BTreeSet<String> {
    let rules = policy["spec"]["rules"].as_array().into_iter().flatten();
    rules
        .flat_map(|r| r["resources"].as_array().into_iter().flatten())
        .filter_map(|r| r.as_str().map(str::to_owned))
        .collect()
}

/// `metadata` is the policy's own: every kind that it judges.
pub fn check(policies: &[Value], metadata: &Value) -> Vec<Fault> {
    let mut faults = vec![];
    let mut fault = |policy: &Value, what: &str, remedy| {
        faults.push(Fault::new(format!("policy {}: {what}", name(policy)), remedy));
    };
    let mut covered = BTreeSet::new();
    let mut enforcing: Option<&Value> = None;
    for policy in policies {
        let spec = &policy["spec"];
        let enforces = spec["mode"] != "monitor";
        if enforces && spec["failurePolicy"] != "Fail" {
            fault(
                policy,
                "failurePolicy is not Fail",
                "Set it: an answer that is missing must not let a cap rise.",
            );
        }
        let seconds = |key: &str| spec[key].as_u64();
        if seconds("timeoutEvalSeconds").unwrap_or(DEFAULT_EVAL_S)
            >= seconds("timeoutSeconds").unwrap_or(DEFAULT_WEBHOOK_S)
        {
            fault(
                policy,
                "timeoutEvalSeconds is not below timeoutSeconds",
                "Lower it: else users see a deadline, and no reason.",
            );
        }
        let clamps = spec["settings"]["mode"] == "clamp";
        if clamps != (spec["mutating"] == true) {
            fault(
                policy,
                "spec.mutating and settings.mode disagree",
                "mode: clamp needs mutating: true, and reject needs false.",
            );
        }
        let resources_read = spec["contextAwareResources"].to_string();
        if !resources_read.contains("\"ConfigMap\"") {
            fault(
                policy,
                "contextAwareResources does not grant v1 ConfigMap",
                "Add it: the policy finds no state without, and refuses every raise.",
            );
        }
        if spec["backgroundAudit"] == true {
            fault(
                policy,
                "backgroundAudit is on",
                "Set it to false: an audit has no old object to compare with.",
            );
        }
        if spec["rules"].to_string().contains("DELETE") {
            fault(
                policy,
                "its rules ask about DELETE",
                "Leave DELETE out: nothing is ever kept from going away.",
            );
        }
        if enforces {
            covered.extend(resources(policy));
            match enforcing {
                Some(first) if first["spec"]["settings"] != spec["settings"] => {
                    fault(policy, &format!("its settings are not those of {}", name(first)), "Keep them the same: a lane that one of them does not know is not guarded there.");
                }
                _ => enforcing = Some(policy),
            }
        }
    }
    let all = resources(&serde_json::json!({ "spec": { "rules": metadata["rules"] } }));
    let missing: Vec<&String> = all.difference(&covered).collect();
    if !missing.is_empty() {
        faults.push(Fault::new(
            format!("no policy that enforces asks about {missing:?}"),
            "Apply both deploy/kubewarden/guard.yaml and scale-freeze.yaml.",
        ));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn shipped() -> (Vec<Value>, Value) {
        let yaml = |text: &str| serde_yaml_ng::from_str::<Value>(text).unwrap();
        let policies = vec![
            yaml(include_str!("../../../deploy/kubewarden/guard.yaml")),
            yaml(include_str!("../../../deploy/kubewarden/scale-freeze.yaml")),
        ];
        (policies, yaml(include_str!("../../../policy/metadata.yml")))
    }

    #[test]
    fn what_is_shipped_is_well() {
        let (policies, metadata) = shipped();
        assert_eq!(check(&policies, &metadata), []);
    }

    #[rstest]
    #[case("/failurePolicy", json!("Ignore"), "failurePolicy is not Fail")]
    #[case("/timeoutEvalSeconds", json!(5), "timeoutEvalSeconds is not below")]
    #[case("/mutating", json!(true), "spec.mutating and settings.mode disagree")]
    #[case("/contextAwareResources", json!([]), "does not grant v1 ConfigMap")]
    #[case("/backgroundAudit", json!(true), "backgroundAudit is on")]
    #[case("/rules/0/operations", json!(["DELETE"]), "its rules ask about DELETE")]
    #[case("/settings/lanes/0/headroom", json!(2), "its settings are not those of")]
    #[case("/mode", json!("monitor"), "no policy that enforces asks about")]
    fn each_fault(#[case] at: &str, #[case] value: Value, #[case] expected: &str) {
        let (mut policies, metadata) = shipped();
        *policies[0].pointer_mut(&format!("/spec{at}")).unwrap() = value;
        let faults = check(&policies, &metadata);
        assert!(faults.iter().any(|f| f.what.contains(expected)), "{faults:?}");
    }
}
