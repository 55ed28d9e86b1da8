//! Who owns the maximum that the gateway lowers.

use super::Fault;
use serde_json::Value;

/// Field managers of GitOps tools, as they begin.
const GITOPS: [&str; 5] = ["argocd", "kustomize-controller", "helm-controller", "fleet", "flux"];

/// `lowers` says that a gateway lowers maxima, which is the default.
pub fn check(object: &Value, lowers: bool) -> Option<Fault> {
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
        assert_eq!(check(&object, lowers).is_some(), fault);
    }
}
