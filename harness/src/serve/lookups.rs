//! The policy's look-ups, answered by a real API server in the shapes of
//! Kubewarden's host (kubewarden-controller
//! `crates/policy-evaluator/src/callback_handler/kubernetes/client.rs`). A list is
//! asked anew each time, where that host keeps a watch.

use crate::cluster::masked;
use kube::api::{Api, DynamicObject, ListParams};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::Client;
use serde_json::{json, Value};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;

pub struct Lookups {
    client: Client,
    runtime: Handle,
    /// API version and kind of what may be read.
    granted: Vec<(String, String)>,
    timeout: Duration,
    /// Plurals as the API server told them.
    resources: Mutex<BTreeMap<(String, String), ApiResource>>,
}

impl Lookups {
    pub fn new(
        client: Client,
        runtime: Handle,
        granted: Vec<(String, String)>,
        timeout: Duration,
    ) -> Self {
        Self { client, runtime, granted, timeout, resources: Mutex::default() }
    }

    /// Blocks until the API server answered.
    ///
    /// # Errors
    /// The host's text.
    pub fn answer(&self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
        let request: Value = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
        let answer = self.runtime.block_on(async {
            tokio::time::timeout(self.timeout, self.ask(operation, &request))
                .await
                .unwrap_or_else(|_| Err("deadline has elapsed".to_owned()))
        })?;
        serde_json::to_vec(&answer).map_err(|e| e.to_string())
    }

    async fn ask(&self, operation: &str, request: &Value) -> Result<Value, String> {
        if operation == "can_i" {
            return self.can_i(request).await;
        }
        let text = |key: &str| request.get(key).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind, namespace) = (text("api_version"), text("kind"), text("namespace"));
        if !self.granted.iter().any(|(v, k)| (v.as_str(), k.as_str()) == (api_version, kind)) {
            return Err(format!("Policy has not been granted access to Kubernetes {api_version}/{kind} resources. The violation has been reported."));
        }
        let resource = self.resource(api_version, kind).await?;
        let api: Api<DynamicObject> = if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), namespace, &resource)
        };
        let masks: Vec<&str> = request
            .get("field_masks")
            .and_then(Value::as_array)
            .map(|m| m.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        match operation {
            "list_resources_by_namespace" | "list_resources_all" => {
                let selector = |key| request.get(key).and_then(Value::as_str).map(str::to_owned);
                let params = ListParams {
                    label_selector: selector("label_selector"),
                    field_selector: selector("field_selector"),
                    ..ListParams::default()
                };
                let list = api.list(&params).await.map_err(|e| describe(&e))?;
                let items: Result<Vec<Value>, _> =
                    list.items.iter().map(serde_json::to_value).collect();
                let items = items.map_err(|e| e.to_string())?;
                let items: Vec<Value> = items.iter().map(|o| masked(o, &masks)).collect();
                Ok(
                    json!({ "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": items }),
                )
            }
            "get_resource" => {
                let name = text("name");
                match api.get_opt(name).await.map_err(|e| describe(&e))? {
                    Some(object) => {
                        let object = serde_json::to_value(object).map_err(|e| e.to_string())?;
                        Ok(masked(&object, &masks))
                    }
                    None => Err(format!(
                        "Cannot find {api_version}/{kind} named '{name}' inside of namespace '{:?}'",
                        Some(namespace)
                    )),
                }
            }
            other => Err(format!("unknown operation: {other}")),
        }
    }

    async fn resource(&self, api_version: &str, kind: &str) -> Result<ApiResource, String> {
        let key = (api_version.to_owned(), kind.to_owned());
        let known = || self.resources.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(resource) = known().get(&key) {
            return Ok(resource.clone());
        }
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        let gvk = GroupVersionKind::gvk(group, version, kind);
        let (resource, _) =
            kube::discovery::pinned_kind(&self.client, &gvk).await.map_err(|e| describe(&e))?;
        known().insert(key, resource.clone());
        Ok(resource)
    }

    async fn can_i(&self, request: &Value) -> Result<Value, String> {
        use k8s_openapi::api::authorization::v1::SubjectAccessReview;
        let review = json!({
            "apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
            "metadata": {}, "spec": camel_case(&request["subject_access_review"]),
        });
        let review: SubjectAccessReview =
            serde_json::from_value(review).map_err(|e| e.to_string())?;
        let api: Api<SubjectAccessReview> = Api::all(self.client.clone());
        let answer = api.create(&Default::default(), &review).await.map_err(|e| describe(&e))?;
        serde_json::to_value(answer.status).map_err(|e| e.to_string())
    }
}

/// Keys as the API server spells them; the SDK sends them as Rust does.
fn camel_case(value: &Value) -> Value {
    let Value::Object(map) = value else { return value.clone() };
    let spelled = |key: &String| {
        let mut words = key.split('_');
        let first = words.next().unwrap_or_default().to_owned();
        words.fold(first, |key, word| {
            let (head, tail) = word.split_at(word.len().min(1));
            key + &head.to_ascii_uppercase() + tail
        })
    };
    map.iter().map(|(key, value)| (spelled(key), camel_case(value))).collect()
}

/// An error of the API server as that host words it.
fn describe(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => format!("ApiError: {}: {}", status.message, status.reason),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_access_review_as_the_api_server_spells_it() {
        use k8s_openapi::api::authorization::v1::SubjectAccessReviewSpec;
        let sent = json!({ "user": "alice", "groups": ["sre"], "resource_attributes": { "verb": "get", "resource": "configmaps", "namespace": "builds" } });
        let read: SubjectAccessReviewSpec = serde_json::from_value(camel_case(&sent)).unwrap();
        let attributes = read.resource_attributes.expect("attributes");
        assert_eq!(
            (read.user.as_deref(), attributes.verb.as_deref()),
            (Some("alice"), Some("get"))
        );
    }
}
