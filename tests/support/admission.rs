//! Admission cases: how a case that says only what differs becomes a whole one.
//!
//! `settings` and `state` may be names of files in `tests/fixtures/`. In place of `request`
//! a case may have `edit: { object, from, to, subresource, operation, user, name }`: `object`
//! names a file of `tests/fixtures/objects/`, `from` and `to` are JSON merge patches (RFC
//! 7396) of it that make the old and the new object. `from: absent` is a CREATE.
//!
//! The file is used by two crates, which must not depend on each other.

use serde_json::{json, Map, Value};
use std::path::Path;

/// When a case without `now` takes place.
const NOW: &str = "2026-11-24T09:00:00Z";

fn fixture(folder: &Path, kind: &str, name: &str) -> Value {
    let path = folder.join(kind).join(format!("{name}.yaml"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_yaml_ng::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
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
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// Group and version of an `apiVersion`.
fn group_version(api_version: &str) -> (&str, &str) {
    api_version.split_once('/').unwrap_or(("", api_version))
}

fn request(edit: &Value, fixtures: &Path) -> Value {
    let text = |key: &str| edit[key].as_str();
    let base = fixture(fixtures, "objects", text("object").expect("edit.object"));
    let is_create = text("from") == Some("absent");
    let patched = |patch: &Value| {
        let mut object = base.clone();
        if !patch.is_null() {
            merge(&mut object, patch);
        }
        object
    };
    let new = patched(&edit["to"]);
    let old = if is_create { Value::Null } else { patched(&edit["from"]) };
    let (group, version) = group_version(new["apiVersion"].as_str().unwrap());
    let kind = new["kind"].as_str().unwrap();
    let resource = match text("resource") {
        Some(resource) => resource.to_owned(),
        None => format!("{}s", kind.to_ascii_lowercase()),
    };
    // A Scale is of another group than what it scales.
    let of = match resource.as_str() {
        "deployments" | "statefulsets" | "replicasets" => ("apps", "v1"),
        "rollouts" => ("argoproj.io", "v1alpha1"),
        _ => (group, version),
    };
    let operation = text("operation").unwrap_or(if is_create { "CREATE" } else { "UPDATE" });
    let user = match &edit["user"] {
        Value::Null => json!({ "username": "kubernetes-admin" }),
        user => user.clone(),
    };
    json!({
        "uid": "1",
        "kind": { "group": group, "version": version, "kind": kind },
        "resource": { "group": of.0, "version": of.1, "resource": resource },
        "subResource": edit["subresource"],
        "name": new["metadata"]["name"],
        "namespace": new["metadata"]["namespace"],
        "operation": operation,
        "userInfo": user,
        "object": new,
        "oldObject": old,
    })
}

/// The whole case. `fixtures` is `tests/fixtures/`.
pub fn expand(mut case: Value, fixtures: &Path) -> Value {
    for (key, folder) in [("settings", "settings"), ("state", "states")] {
        if let Some(name) = case[key].as_str() {
            case[key] = fixture(fixtures, folder, name);
        }
    }
    if case["now"].is_null() {
        case["now"] = NOW.into();
    }
    if !case["edit"].is_null() {
        case["request"] = request(&case["edit"], fixtures);
    }
    case
}
