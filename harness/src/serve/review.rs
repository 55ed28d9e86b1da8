//! AdmissionReview v1, in and out.

use crate::policy_host::Verdict;
use anyhow::Result;
use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};

/// The request of a review; `None` where it is none of v1.
pub fn request(review: &Value) -> Option<&Value> {
    let is_v1 = review["apiVersion"] == "admission.k8s.io/v1";
    review.get("request").filter(|r| is_v1 && r["uid"].is_string())
}

/// What the API server is told. A policy that failed refuses with 500, and one
/// that mutates where it may not is refused, as the policy server does.
pub fn response(request: &Value, verdict: Result<Verdict>, mutating: bool) -> Value {
    let mut response = json!({ "uid": request["uid"] });
    match verdict {
        Ok(verdict) if verdict.mutated_object.is_some() && verdict.accepted && !mutating => {
            response["allowed"] = false.into();
            response["status"] = json!({ "message": "the policy mutates, and spec.mutating is not true", "code": 500 });
        }
        Ok(verdict) => {
            response["allowed"] = verdict.accepted.into();
            if let Some(warnings) = verdict.warnings {
                response["warnings"] = warnings.into();
            }
            if let Some(message) = verdict.message.filter(|_| !verdict.accepted) {
                response["status"] = json!({ "message": message, "code": verdict.code });
            }
            let mutated = verdict.mutated_object.filter(|_| verdict.accepted);
            if let Some(object) = mutated {
                let patch = json_patch::diff(&request["object"], &object);
                let patch = serde_json::to_vec(&patch).unwrap_or_default();
                response["patchType"] = "JSONPatch".into();
                response["patch"] = STANDARD.encode(patch).into();
            }
        }
        Err(e) => {
            response["allowed"] = false.into();
            response["status"] =
                json!({ "message": format!("internal server error: {e:#}"), "code": 500 });
        }
    }
    json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": response })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(accepted: bool) -> Verdict {
        Verdict {
            accepted,
            message: Some("cap-frozen: no".into()),
            code: Some(403),
            mutated_object: Some(json!({ "spec": { "maxReplicaCount": 7 } })),
            warnings: Some(vec!["careful".into()]),
        }
    }

    #[test]
    fn what_the_api_server_is_told() {
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "request": { "uid": "u", "object": { "spec": { "maxReplicaCount": 9 } } } });
        let request = request(&review).unwrap();
        let refused = response(request, Ok(verdict(false)), true)["response"].clone();
        assert_eq!((&refused["allowed"], &refused["status"]["code"]), (&json!(false), &json!(403)));
        assert_eq!(refused["patch"], Value::Null);
        let allowed = response(request, Ok(verdict(true)), true)["response"].clone();
        let patch = STANDARD.decode(allowed["patch"].as_str().unwrap()).unwrap();
        assert_eq!(patch, br#"[{"op":"replace","path":"/spec/maxReplicaCount","value":7}]"#);
        assert_eq!((&allowed["warnings"], &allowed["status"]), (&json!(["careful"]), &Value::Null));
        let plain = response(request, Ok(verdict(true)), false)["response"].clone();
        assert_eq!((&plain["allowed"], &plain["patch"]), (&json!(false), &Value::Null));
        let failed = response(request, Err(anyhow::anyhow!("trap")), false)["response"].clone();
        assert_eq!((&failed["allowed"], &failed["status"]["code"]), (&json!(false), &json!(500)));
        assert!(super::request(
            &json!({ "apiVersion": "admission.k8s.io/v1beta1", "request": { "uid": "u" } })
        )
        .is_none());
    }
}
