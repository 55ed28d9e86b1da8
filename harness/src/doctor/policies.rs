//! The ClusterAdmissionPolicies: what they ask about, how they fail, what they say.

use super::{lanes, Fault};
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

/// Those of a cluster's policies that run this project's module, from whatever registry.
pub fn own(policies: &[Value]) -> Vec<Value> {
    let is_own = |policy: &&Value| {
        let module = policy["spec"]["module"].as_str().unwrap_or_default();
        let image = module.rsplit('/').next().unwrap_or_default();
        // However the module is called: nobody else's settings have lanes with gateways.
        image.split([':', '@']).next() == Some("canary-gate")
            || policy.pointer("/spec/settings/lanes/0/gateways").is_some()
    };
    policies.iter().filter(is_own).cloned().collect()
}

/// Each list of namespaces (`of` is `namespace`) or of targets (`name`) that a
/// policy's conditions hold a request's own against.
pub fn listed(policy: &Value, of: &str) -> Vec<BTreeSet<String>> {
    let before = format!("{of}.orValue('') in [");
    let conditions = policy["spec"]["matchConditions"].as_array().into_iter().flatten();
    let expressions = conditions.filter_map(|c| c["expression"].as_str());
    let lists =
        expressions.flat_map(|e| e.split(&before).skip(1).filter_map(|l| l.split(']').next()));
    let name = |n: &str| n.trim().trim_matches(['\'', '"']).to_owned();
    lists.map(|list| list.split(',').map(name).collect()).collect()
}

/// Namespaces, and targets where workloads are asked about, that a list of the
/// conditions leaves out; each with its lane.
fn unnamed(policy: &Value) -> BTreeSet<(String, String)> {
    let (namespaces, names) = (listed(policy, "namespace"), listed(policy, "name"));
    let mut found = BTreeSet::new();
    for lane in lanes(&policy["spec"]["settings"]) {
        let targets = lane.targets.iter().map(|t| (&t.name, &names));
        for (name, lists) in std::iter::once((&lane.namespace, &namespaces)).chain(targets) {
            if lists.iter().any(|list| !list.contains(name)) {
                found.insert((lane.name.clone(), name.clone()));
            }
        }
    }
    found
}

/// Kinds that the policy looks up, and the resource that makes it do so.
const LOOKED_UP: [(&str, Option<&str>, &str, &str); 3] = [
    (
        "ConfigMap",
        None,
        "contextAwareResources does not grant v1 ConfigMap",
        "Add it: the policy finds no state without, and refuses every raise.",
    ),
    (
        "ScaledObject",
        Some("horizontalpodautoscalers"),
        "contextAwareResources does not grant keda.sh/v1alpha1 ScaledObject",
        "Add it: an HPA that KEDA makes again is refused without while the lane is held.",
    ),
    (
        "Rollout",
        Some("rollouts/scale"),
        "contextAwareResources does not grant argoproj.io/v1alpha1 Rollout",
        "Add it: the scale of a Rollout that is not listed is refused without.",
    ),
];

/// What other lists of a policy's conditions have that is not in its settings.
fn disagreements(policy: &Value) -> Vec<String> {
    let conditions = policy["spec"]["matchConditions"].as_array().into_iter().flatten();
    let expressions: Vec<&str> = conditions.filter_map(|c| c["expression"].as_str()).collect();
    // The list that stands before a macro, or after a field.
    let before = |marker: &str| -> Vec<BTreeSet<String>> {
        let of = |e: &&str| -> Vec<BTreeSet<String>> {
            let heads = e.split(marker).collect::<Vec<_>>();
            let lists =
                heads.iter().take(heads.len() - 1).filter_map(|head| head.rsplit('[').next());
            lists
                .map(|list| {
                    list.split(',').map(|n| n.trim().trim_matches('\'').to_owned()).collect()
                })
                .collect()
        };
        expressions.iter().flat_map(of).collect()
    };
    let settings = &policy["spec"]["settings"];
    let mut found = BTreeSet::new();
    // Absent they are Kubernetes' own, as in the shipped conditions.
    if let Some(writers) = settings["replicaSetWriters"].as_array() {
        let left_out = expressions.iter().flat_map(|e| e.split("userInfo.username in [").skip(1));
        let left_out = left_out.filter_map(|rest| rest.split(']').next());
        for user in left_out.flat_map(|list| list.split(',')).map(|n| n.trim().trim_matches('\'')) {
            if !writers.iter().any(|writer| writer == user) {
                found.insert(format!("leave out {user}, who is none of replicaSetWriters"));
            }
        }
    }
    for lane in settings["lanes"].as_array().into_iter().flatten() {
        let name = lane["name"].as_str().unwrap_or_default();
        let least = lane["minReplicas"]["stable"].as_u64().unwrap_or(1);
        let is_kept =
            |list: &BTreeSet<String>| list.iter().any(|n| n.parse().is_ok_and(|n: u64| n >= least));
        if before("].all(least").iter().any(|list| !is_kept(list)) {
            found.insert(format!("do not keep minReplicas.stable {least} of lane {name}"));
        }
        for target in lane["targets"].as_array().into_iter().flatten() {
            let target = target["name"].as_str().unwrap_or_default();
            if before("].exists(t,").iter().any(|list| !list.contains(target)) {
                found.insert(format!("do not name the ReplicaSets of {target} of lane {name}"));
            }
        }
    }
    found.into_iter().collect()
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
        for (lane, unknown) in unnamed(policy) {
            fault(
                policy,
                &format!("its matchConditions do not name {unknown} of lane {lane}"),
                "Put it into their lists: nothing of it is asked about, and so not guarded.",
            );
        }
        let status = policy["status"]["policyStatus"].as_str().unwrap_or("without a status");
        if status != "active" {
            fault(
                policy,
                &format!("it is {status}: nothing asks it as it stands here"),
                "See the policy server's log, and kubectl describe clusteradmissionpolicy.",
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
        // Only a ScaledObject is clamped.
        let clamps =
            spec["settings"]["mode"] == "clamp" && resources(policy).contains("scaledobjects");
        if enforces && clamps != (spec["mutating"] == true) {
            fault(
                policy,
                "spec.mutating and settings.mode disagree",
                "mode: clamp needs mutating: true, and reject needs false.",
            );
        }
        let resources_read = spec["contextAwareResources"].to_string();
        let asks = resources(policy);
        for (kind, resource, what, remedy) in LOOKED_UP {
            let is_needed = resource.is_none_or(|resource| asks.contains(resource));
            if is_needed && !resources_read.contains(&format!("\"{kind}\"")) {
                fault(policy, what, remedy);
            }
        }
        for what in disagreements(policy) {
            fault(
                policy,
                &format!("its matchConditions {what}"),
                "Put it into their lists as the settings have it: conditions leave out what they do not name.",
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
        let mut policies = vec![
            yaml(include_str!("../../../deploy/kubewarden/guard.yaml")),
            yaml(include_str!("../../../deploy/kubewarden/scale-freeze.yaml")),
        ];
        for policy in &mut policies {
            policy["status"] = json!({ "policyStatus": "active" });
        }
        (policies, yaml(include_str!("../../../policy/metadata.yml")))
    }

    #[test]
    fn what_is_shipped_is_well() {
        let (policies, metadata) = shipped();
        assert_eq!(check(&policies, &metadata), []);
    }

    #[rstest]
    #[case("registry://ghcr.io/canary-gate/policies/canary-gate:v0.1.0", true)]
    #[case("registry://127.0.0.1:5000/policies/canary-gate@sha256:ab", true)]
    #[case("ghcr.io/kubewarden/policies/pod-privileged:v1.0.0", false)]
    #[case("registry://ghcr.io/canary-gate/other:v1", false)]
    fn which_are_ours(#[case] module: &str, #[case] expected: bool) {
        let mut policy = json!({ "spec": { "module": module } });
        assert_eq!(own(&[policy.clone(), json!({})]).len(), usize::from(expected));
        policy["spec"]["settings"] = json!({ "lanes": [{ "gateways": [] }] });
        assert_eq!(own(&[policy]).len(), 1);
    }

    /// The scale freeze asks about workloads by name, the guard does not.
    #[test]
    fn a_target_that_no_condition_names() {
        let (mut policies, metadata) = shipped();
        for policy in &mut policies {
            policy["spec"]["settings"]["lanes"][0]["targets"][0]["name"] = json!("reviewer");
        }
        let faults = check(&policies, &metadata);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].what.starts_with("policy canary-gate-scale-freeze"), "{faults:?}");
        assert!(faults[0].what.contains("do not name reviewer"), "{faults:?}");
        assert!(faults[1].what.contains("do not name the ReplicaSets of reviewer"), "{faults:?}");
    }

    #[test]
    fn writers_whom_the_conditions_leave_out() {
        let (mut policies, metadata) = shipped();
        for policy in &mut policies {
            let argo = "system:serviceaccount:argo-rollouts:argo-rollouts";
            policy["spec"]["settings"]["replicaSetWriters"] = json!([argo]);
        }
        let faults = check(&policies, &metadata);
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].what.contains("leave out system:kube-controller-manager"), "{faults:?}");
    }

    #[test]
    fn one_that_is_not_in_force() {
        let (mut policies, metadata) = shipped();
        for status in [json!({ "policyStatus": "pending" }), json!({}), Value::Null] {
            policies[0]["status"] = status;
            assert_eq!(check(&policies, &metadata).len(), 1);
        }
    }

    #[rstest]
    #[case("/failurePolicy", json!("Ignore"), "failurePolicy is not Fail")]
    #[case("/timeoutEvalSeconds", json!(5), "timeoutEvalSeconds is not below")]
    #[case("/mutating", json!(true), "spec.mutating and settings.mode disagree")]
    #[case("/contextAwareResources", json!([]), "does not grant v1 ConfigMap")]
    #[case("/contextAwareResources", json!([{ "kind": "ConfigMap" }]), "does not grant keda.sh/v1alpha1 ScaledObject")]
    #[case("/settings/lanes/0/minReplicas", json!({ "stable": 3 }), "do not keep minReplicas.stable 3 of lane openclaw-build-lane")]
    #[case("/backgroundAudit", json!(true), "backgroundAudit is on")]
    #[case("/rules/0/operations", json!(["DELETE"]), "its rules ask about DELETE")]
    #[case("/settings/lanes/0/headroom", json!(2), "its settings are not those of")]
    #[case("/settings/lanes/0/namespace", json!("other"), "do not name other of lane openclaw-build-lane")]
    #[case("/mode", json!("monitor"), "no policy that enforces asks about")]
    fn each_fault(#[case] at: &str, #[case] value: Value, #[case] expected: &str) {
        let (mut policies, metadata) = shipped();
        *policies[0].pointer_mut(&format!("/spec{at}")).unwrap() = value;
        let faults = check(&policies, &metadata);
        assert!(faults.iter().any(|f| f.what.contains(expected)), "{faults:?}");
    }
}
