//! Whether KEDA works with a ScaledObject, and who owns the maximum that the
//! gateway lowers.

use super::Fault;
use serde_json::Value;

/// Field managers of GitOps tools, as they begin.
const GITOPS: [&str; 5] = ["argocd", "kustomize-controller", "helm-controller", "fleet", "flux"];

/// `lowers` says that a gateway lowers maxima, which is the default.
pub fn check(object: &Value, lowers: bool) -> Vec<Fault> {
    unready(object).into_iter().chain(owned(object, lowers)).collect()
}

/// What KEDA says of it: an error keeps the replicas as they are.
fn unready(object: &Value) -> Option<Fault> {
    let mut conditions = object["status"]["conditions"].as_array().into_iter().flatten();
    let condition = conditions.find(|c| c["type"] == "Ready" && c["status"] == "False")?;
    Some(Fault::new(
        format!(
            "ScaledObject {} is not ready: {}",
            object["metadata"]["name"].as_str().unwrap_or("?"),
            condition["message"].as_str().unwrap_or_default().trim_end_matches('.')
        ),
        "See KEDA's operator: a trigger's address, its token, or the root of its certificate.",
    ))
}

fn owned(object: &Value, lowers: bool) -> Option<Fault> {
    let owners = object["metadata"]["managedFields"].as_array().into_iter().flatten();
    let owner = owners
        .filter(|m| m.pointer("/fieldsV1/f:spec/f:maxReplicaCount").is_some())
        .filter_map(|m| m["manager"].as_str())
        .find(|manager| GITOPS.iter().any(|tool| manager.starts_with(tool)))?;
    lowers.then(|| {
        Fault::new(
            format!(
                "{owner} owns spec.maxReplicaCount of ScaledObject {}, and a gateway lowers it",
                object["metadata"]["name"].as_str().unwrap_or("?")
            ),
            "Set publish.lower_max_replicas: false there; the policy alone holds the cap.",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    #[rstest]
    #[case::argo("argocd-controller", true, true)]
    #[case::flux("kustomize-controller", true, true)]
    #[case::by_hand("kubectl-client-side-apply", true, false)]
    #[case::the_policy_alone("argocd-controller", false, false)]
    fn owners(#[case] manager: &str, #[case] lowers: bool, #[case] fault: bool) {
        let object = json!({ "metadata": { "name": "w", "managedFields": [
            { "manager": manager, "fieldsV1": { "f:spec": { "f:maxReplicaCount": {} } } },
        ] } });
        assert_eq!(check(&object, lowers).len(), usize::from(fault));
    }

    #[rstest]
    #[case("True", 0)]
    #[case("Unknown", 0)]
    #[case("False", 1)]
    fn readiness(#[case] status: &str, #[case] expected: usize) {
        let ready = json!({ "type": "Ready", "status": status, "message": "no such host." });
        let object = json!({ "metadata": { "name": "w" }, "status": { "conditions": [ready] } });
        assert_eq!(check(&object, true).len(), expected);
    }
}
