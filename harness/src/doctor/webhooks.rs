//! The webhook configurations that Kubewarden made of the policies.

use super::{Fault, Lane};
use serde_json::Value;

/// `list` is of ValidatingWebhookConfigurations and MutatingWebhookConfigurations.
pub fn check(policy: &str, lanes: &[Lane], list: &[Value]) -> Vec<Fault> {
    let own: Vec<&Value> = list
        .iter()
        .flat_map(|configuration| configuration["webhooks"].as_array().into_iter().flatten())
        .filter(|w| {
            w["name"].as_str().is_some_and(|n| {
                n.split('.').any(|part| part == policy || part.ends_with(&format!("-{policy}")))
            })
        })
        .collect();
    let mut faults = vec![];
    if own.is_empty() {
        faults.push(Fault::new(
            format!("policy {policy} has no webhook: nothing asks it"),
            "See its status: kubectl get clusteradmissionpolicies.",
        ));
    }
    for webhook in own {
        for lane in lanes.iter().filter(|l| excludes(&webhook["namespaceSelector"], &l.namespace)) {
            faults.push(Fault::new(
                format!(
                    "policy {policy}: namespace {} of lane {} is exempt",
                    lane.namespace, lane.name
                ),
                "Move the workers, or take the namespace out of Kubewarden's skipNamespaces.",
            ));
        }
        if webhook["objectSelector"].as_object().is_some_and(|s| !s.is_empty()) {
            faults.push(Fault::new(
                format!("policy {policy}: its webhook has an objectSelector"),
                "Leave it out: relabelling an object would be a way past it.",
            ));
        }
    }
    faults
}

fn excludes(selector: &Value, namespace: &str) -> bool {
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let by_name = expressions.filter(|e| e["key"] == "kubernetes.io/metadata.name");
    by_name.into_iter().any(|e| {
        let named = e["values"].as_array().is_some_and(|v| v.iter().any(|n| n == namespace));
        match e["operator"].as_str() {
            Some("NotIn") => named,
            Some("In") => !named,
            _ => false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    fn lane() -> Lane {
        Lane { name: "l".into(), namespace: "builds".into(), gateways: vec![], targets: vec![] }
    }

    #[rstest]
    #[case::well(json!({}), 0, "")]
    #[case::exempt(json!({"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "builds"]}]}}), 1, "is exempt")]
    #[case::others_exempt(json!({"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}}), 0, "")]
    #[case::not_chosen(json!({"namespaceSelector": {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["web"]}]}}), 1, "is exempt")]
    #[case::by_labels(json!({"objectSelector": {"matchLabels": {"guarded": "yes"}}}), 1, "objectSelector")]
    fn of_a_webhook(#[case] more: Value, #[case] number: usize, #[case] expected: &str) {
        let mut webhook = json!({ "name": "clusterwide-canary-gate-guard.kubewarden.admission" });
        webhook.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let list = [json!({ "webhooks": [webhook] })];
        let faults = check("canary-gate-guard", &[lane()], &list);
        assert_eq!(faults.len(), number, "{faults:?}");
        assert!(faults.iter().all(|f| f.what.contains(expected)), "{faults:?}");
    }

    #[test]
    fn one_that_nothing_asks() {
        assert_eq!(check("canary-gate-guard", &[], &[json!({ "webhooks": [] })]).len(), 1);
    }
}
