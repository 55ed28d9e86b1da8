//! The API server behind both plugins: objects in memory.
//!
//! The filter reaches it by HTTP call-outs (GET, merge PATCH,
//! POST), the policy by Kubewarden's context-aware calls; both see the same
//! objects. Error shapes are those of the real hosts
//! (kubewarden-controller `crates/policy-evaluator/src/callback_handler/kubernetes/client.rs`,
//! `src/runtimes/callback.rs`).

use gate::target::TargetKind;
use serde_json::{json, Map, Value};
use std::collections::BTreeMap;

/// Kind, namespace, name.
type Key = (String, String, String);

#[derive(Clone, Debug, Default)]
pub struct Cluster {
    objects: BTreeMap<Key, Value>,
    version: u64,
    /// Objects as a dead watch still shows them, where a list must be stale.
    frozen_list: Option<BTreeMap<Key, Value>>,
    pub fault: Fault,
    /// Status that every HTTP request is answered with.
    pub fault_http: Option<u16>,
    /// Status of every write over HTTP.
    pub fault_writes: Option<u16>,
    /// Look-ups that policies made.
    pub lookups: Vec<String>,
}

/// What is wrong with the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fault {
    #[default]
    None,
    /// The policy was not granted the kind in its context-aware resources.
    NotGranted,
    /// The policy server's account may not read the kind.
    Forbidden,
    /// The call ends in the host's time-out.
    Timeout,
    /// The host answers with something that is no list and no object.
    Malformed,
}

/// An HTTP answer of the API server.
#[derive(Clone, Debug, PartialEq)]
pub struct HttpAnswer {
    pub status: u16,
    pub body: Value,
}

impl Cluster {
    /// Stores an object as it is, with a new resource version.
    pub fn put(&mut self, mut object: Value) {
        self.version += 1;
        let text = |pointer: &str| {
            object.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let key = (text("/kind"), text("/metadata/namespace"), text("/metadata/name"));
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.insert("resourceVersion".into(), self.version.to_string().into());
        }
        self.objects.insert(key, object);
    }

    pub fn get(&self, kind: &str, namespace: &str, name: &str) -> Option<&Value> {
        self.objects.get(&key(kind, namespace, name))
    }

    pub fn delete(&mut self, kind: &str, namespace: &str, name: &str) -> Option<Value> {
        self.objects.remove(&key(kind, namespace, name))
    }

    /// From here on lists show what is there now, whatever happens.
    pub fn freeze_lists(&mut self) {
        self.frozen_list = Some(self.objects.clone());
    }

    /// Answers a call of a policy.
    ///
    /// # Errors
    /// The host's text.
    pub fn lookup(&mut self, operation: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
        let request: Value = serde_json::from_slice(payload).map_err(|e| e.to_string())?;
        let text = |k: &str| request.get(k).and_then(Value::as_str).unwrap_or_default();
        let (api_version, kind, namespace) = (text("api_version"), text("kind"), text("namespace"));
        self.lookups
            .push(format!("{operation} {kind} {namespace} {}", text("name")).trim_end().to_owned());
        match self.fault {
            Fault::None => {}
            Fault::NotGranted => {
                return Err(format!(
                    "Policy has not been granted access to Kubernetes {api_version}/{kind} resources. The violation has been reported."
                ))
            }
            Fault::Forbidden => {
                return Err(format!(
                    "ApiError: {} is forbidden: User \"system:serviceaccount:kubewarden:policy-server\" cannot list resource in API group \"\" in the namespace \"{namespace}\": Forbidden",
                    kind.to_lowercase()
                ))
            }
            Fault::Timeout => return Err("deadline has elapsed".into()),
            Fault::Malformed => return Ok(br#"{"items": 7}"#.to_vec()),
        }
        let masks: Vec<&str> = request
            .get("field_masks")
            .and_then(Value::as_array)
            .map(|m| m.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        let answer = match operation {
            "list_resources_by_namespace" => {
                let selector = text("label_selector");
                let objects = self.frozen_list.as_ref().unwrap_or(&self.objects);
                let items: Vec<Value> = objects
                    .iter()
                    .filter(|((k, ns, _), o)| k == kind && ns == namespace && selected(o, selector))
                    .map(|(_, o)| masked(o, &masks))
                    .collect();
                json!({ "apiVersion": api_version, "kind": format!("{kind}List"), "metadata": {}, "items": items })
            }
            "get_resource" => {
                let name = text("name");
                let object = self.get(kind, namespace, name).ok_or_else(|| {
                    format!(
                        "Cannot find {api_version}/{kind} named '{name}' inside of namespace '{:?}'",
                        Some(namespace)
                    )
                })?;
                masked(object, &masks)
            }
            other => return Err(format!("unknown operation: {other}")),
        };
        serde_json::to_vec(&answer).map_err(|e| e.to_string())
    }

    /// Answers an HTTP request on one object, or on the `scale` of one, as the
    /// API server would.
    pub fn http(
        &mut self,
        method: &str,
        path: &str,
        content_type: &str,
        body: &[u8],
    ) -> HttpAnswer {
        if let Some(status) = self.fault_writes.filter(|_| method != "GET") {
            return failure(status, "as the test wants it");
        }
        if let Some(status) = self.fault_http {
            return failure(status, "as the test wants it");
        }
        let (path, _query) = path.split_once('?').unwrap_or((path, ""));
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (namespace, resource, name, sub_resource) = match parts.as_slice() {
            ["api", _, "namespaces", ns, resource, name]
            | ["apis", _, _, "namespaces", ns, resource, name] => (*ns, *resource, *name, ""),
            ["api", _, "namespaces", ns, resource] => (*ns, *resource, "", ""),
            ["apis", _, _, "namespaces", ns, resource, name, sub] => (*ns, *resource, *name, *sub),
            _ => ("", "", "", ""),
        };
        let kind = match resource {
            "configmaps" => "ConfigMap",
            "scaledobjects" => "ScaledObject",
            _ => match TargetKind::ALL.iter().find(|k| k.resource() == resource) {
                Some(kind) => kind.name(),
                None => {
                    let what = format!("the server could not find the requested resource {path}");
                    return failure(404, &what);
                }
            },
        };
        let current = self.get(kind, namespace, name).cloned();
        match (method, current) {
            ("GET", Some(object)) if sub_resource == "scale" => {
                let replicas = object.pointer("/spec/replicas").cloned().unwrap_or(json!(1));
                let body = json!({
                    "apiVersion": "autoscaling/v1", "kind": "Scale",
                    "metadata": object["metadata"], "spec": { "replicas": replicas },
                });
                HttpAnswer { status: 200, body }
            }
            ("GET", Some(object)) => HttpAnswer { status: 200, body: object },
            ("GET" | "PATCH", None) => failure(404, &format!("{resource} \"{name}\" not found")),
            ("POST", None) => {
                let object = serde_json::from_slice::<Value>(body).unwrap_or_default();
                let name = object.pointer("/metadata/name").and_then(Value::as_str);
                let Some(name) = name.map(str::to_owned) else {
                    return failure(422, "metadata.name: Required value");
                };
                if self.get(kind, namespace, &name).is_some() {
                    return failure(409, &format!("{resource} \"{name}\" already exists"));
                }
                self.put(object);
                match self.get(kind, namespace, &name) {
                    Some(object) => HttpAnswer { status: 201, body: object.clone() },
                    None => {
                        failure(400, "the object's kind and namespace must be those of the path")
                    }
                }
            }
            ("PATCH", Some(base)) => {
                let Ok(patch) = serde_json::from_slice::<Value>(body) else {
                    return failure(400, "the body is no JSON");
                };
                if content_type != "application/merge-patch+json" {
                    return failure(415, "only merge patches are known here");
                }
                let given = patch.pointer("/metadata/resourceVersion");
                if given.is_some() && given != base.pointer("/metadata/resourceVersion") {
                    return failure(409, "the object has been modified; please apply your changes to the latest version and try again");
                }
                let mut object = base;
                merge(&mut object, &patch);
                self.put(object);
                match self.get(kind, namespace, name) {
                    Some(object) => HttpAnswer { status: 200, body: object.clone() },
                    None => failure(
                        422,
                        "the object's kind, name and namespace must be those of the path",
                    ),
                }
            }
            _ => failure(405, "the server does not allow this method on the requested resource"),
        }
    }
}

fn key(kind: &str, namespace: &str, name: &str) -> Key {
    (kind.into(), namespace.into(), name.into())
}

fn failure(code: u16, message: &str) -> HttpAnswer {
    HttpAnswer {
        status: code,
        body: json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "message": message, "code": code }),
    }
}

/// RFC 7396.
pub fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    if let Value::Object(target) = target {
        for (key, value) in patch {
            if value.is_null() {
                target.remove(key);
            } else {
                merge(target.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
    }
}

/// Label selectors of the forms `key` and `key=value`.
fn selected(object: &Value, selector: &str) -> bool {
    let labels = object.pointer("/metadata/labels");
    match selector.split_once('=') {
        _ if selector.is_empty() => true,
        Some((key, value)) => {
            labels.and_then(|l| l.get(key)).and_then(Value::as_str) == Some(value)
        }
        None => labels.is_some_and(|l| l.get(selector).is_some()),
    }
}

/// Keeps only the masked fields, as Kubewarden's host prunes.
pub(crate) fn masked(object: &Value, masks: &[&str]) -> Value {
    if masks.is_empty() {
        return object.clone();
    }
    let mut kept = json!({});
    for mask in masks {
        let parts: Vec<&str> = mask.split('.').collect();
        let pointer = format!("/{}", parts.join("/"));
        if let Some(value) = object.pointer(&pointer) {
            let nested = parts.iter().rev().fold(value.clone(), |v, part| json!({ *part: v }));
            merge(&mut kept, &nested);
        }
    }
    kept
}
