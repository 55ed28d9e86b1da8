//! The fields of Kubernetes objects, from the schemas of the versions that are pinned.

use serde_json::Value;
use std::collections::BTreeSet;

/// What the rows of a pod template's own spec stand for: how a pod is made, not how many.
const POD_SPEC: &str = "template.spec";

/// Paths of all fields below `schema`, as `policy::fields` writes them, each with its type
/// and default. `definitions` resolves `$ref`.
///
/// # Panics
/// Where a `$ref` leads nowhere.
pub fn fields(schema: &Value, definitions: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    walk(schema, definitions, "", &mut found);
    found
}

fn resolve<'v>(schema: &'v Value, definitions: &'v Value) -> &'v Value {
    let mut schema = schema;
    loop {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().unwrap_or_default();
            schema = definitions.get(name).unwrap_or_else(|| panic!("no definition {name}"));
        } else if let (Some([one]), true) =
            (schema["allOf"].as_array().map(Vec::as_slice), schema["properties"].is_null())
        {
            schema = one;
        } else {
            return schema;
        }
    }
}

fn walk(schema: &Value, definitions: &Value, path: &str, found: &mut BTreeSet<String>) {
    let schema = resolve(schema, definitions);
    if path.ends_with(POD_SPEC) {
        found.insert(format!("{path}.**"));
    } else if let Some(properties) = schema["properties"].as_object() {
        for (key, inner) in properties {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            walk(inner, definitions, &path, found);
        }
    } else if schema["type"] == "array" {
        walk(&schema["items"], definitions, &format!("{path}[]"), found);
    } else if schema["additionalProperties"].is_object() {
        walk(&schema["additionalProperties"], definitions, &format!("{path}.*"), found);
    } else if schema["type"] == "object" {
        found.insert(format!("{path}.**"));
    } else {
        let kind = schema["type"].as_str().unwrap_or("number or text");
        let default = match &schema["default"] {
            Value::Null => String::new(),
            default => format!(" = {default}"),
        };
        found.insert(format!("{path} {kind}{default}"));
    }
}
