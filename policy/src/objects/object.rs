//! Kubernetes objects, read from plain JSON.
//!
//! No type of theirs is deserialised: what is there and has another shape than
//! expected must not become an error (a webhook that cannot read an object
//! would have to refuse it) nor an absence (absent numbers have defaults, and
//! a maximum of `"7"` is none of them).

use gate::parse::{get, Json};

/// An object of any kind.
#[derive(Clone, Copy, Debug)]
pub struct Object<'a>(pub &'a Json<'a>);

impl<'a> Object<'a> {
    pub fn at(self, path: &[&str]) -> &'a Json<'a> {
        path.iter().fold(self.0, |value, key| get(value, key))
    }

    /// A string; empty where there is none.
    pub fn text(self, path: &[&str]) -> &'a str {
        self.at(path).as_str().unwrap_or_default()
    }

    pub fn number(self, path: &[&str]) -> Option<i64> {
        number(self.at(path))
    }

    pub fn annotation(self, key: &str) -> Option<&'a str> {
        match self.at(&["metadata", "annotations", key]) {
            Json::Null => None,
            value => Some(value.as_str().unwrap_or("not a string")),
        }
    }

    /// An annotation that is a switch of KEDA's.
    pub fn flag(self, key: &str) -> bool {
        gate::ceiling::is_set(self.annotation(key))
    }

    /// The workload that `path` refers to, as KEDA and the HPA read it.
    pub fn reference(self, path: &[&str]) -> TargetRef<'a> {
        let reference = Object(self.at(path));
        let or = |text: &'a str, default: &'a str| if text.is_empty() { default } else { text };
        let api_version = or(reference.text(&["apiVersion"]), DEFAULT_TARGET_API_VERSION);
        TargetRef {
            group: api_version.split_once('/').map_or("", |v| v.0),
            kind: or(reference.text(&["kind"]), DEFAULT_TARGET_KIND),
            name: reference.text(&["name"]),
        }
    }
}

/// `scaleTargetRef` where parts are absent (KEDA `scaledobject_types.go`).
pub const DEFAULT_TARGET_KIND: &str = "Deployment";
pub const DEFAULT_TARGET_API_VERSION: &str = "apps/v1";

/// The workload that is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetRef<'a> {
    /// API group, without version.
    pub group: &'a str,
    pub kind: &'a str,
    pub name: &'a str,
}

/// A replica number: absent or null is `None`, anything that is no integer the highest.
pub fn number(value: &Json) -> Option<i64> {
    match value {
        Json::Null => None,
        Json::Number(n) => Some(
            n.as_i64()
                .or_else(|| {
                    n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 1e15).map(|f| f as i64)
                })
                .unwrap_or(i64::MAX),
        ),
        _ => Some(i64::MAX),
    }
}

/// Entries of a map beyond which keys are not looked up.
const MOST_LOOKED_UP: usize = 512;

/// Whether two values say the same, but for nulls, empty maps, lists and
/// strings, and falses: what Go's `omitempty` drops and typed clients put back.
/// Longer maps than anybody writes are alike only in the same order.
pub fn alike(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(old), Json::Object(new)) => {
            let same =
                |(old, new): ((&str, &Json), (&str, &Json))| old.0 == new.0 && alike(old.1, new.1);
            // The API server writes both in one order, so that this decides;
            // looking keys up takes time by the square of their number.
            (old.len() == new.len() && old.iter().zip(new.iter()).all(same))
                || (old.len().max(new.len()) <= MOST_LOOKED_UP
                    && old.iter().all(|(key, value)| alike(value, get(b, key)))
                    && new.iter().all(|(key, value)| !get(a, key).is_null() || is_empty(value)))
        }
        (Json::Array(old), Json::Array(new)) => {
            old.len() == new.len() && old.iter().zip(new).all(|(a, b)| alike(a, b))
        }
        _ => same(a, b) || (is_empty(a) && is_empty(b)),
    }
}

/// Whether two values are equal, entries in one order. In WebAssembly a comparison of texts
/// goes byte by byte; this one goes by eight, since an edit leaves most of an object as it is.
pub fn same(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| a.0 == b.0 && same(a.1, b.1))
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Str(a), Json::Str(b)) => {
            let ((a, a_rest), (b, b_rest)) = (a.as_bytes().as_chunks(), b.as_bytes().as_chunks());
            let is_one =
                |(a, b): (&[u8; 8], &[u8; 8])| u64::from_le_bytes(*a) == u64::from_le_bytes(*b);
            a.len() == b.len() && a_rest == b_rest && a.iter().zip(b).all(is_one)
        }
        _ => a == b,
    }
}

pub fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Str(text) => text.is_empty(),
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.values().all(is_empty),
        _ => false,
    }
}

#[cfg(test)]
impl<'a> Object<'a> {
    /// From a test's literal, which lives as long as the test.
    pub fn of(value: &serde_json::Value) -> Self {
        let value: &'static serde_json::Value = Box::leak(Box::new(value.clone()));
        Self(Box::leak(Box::new(Json::from(value))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use gate::ceiling::PAUSED;
    use rstest::rstest;
    use serde_json::{json, Value};

    #[rstest]
    #[case(json!(6), Some(6))]
    #[case(json!(6.0), Some(6))]
    #[case(json!(6.5), Some(i64::MAX))]
    #[case(json!("6"), Some(i64::MAX))]
    #[case(json!(-3), Some(-3))]
    #[case(json!(1e15), Some(i64::MAX))]
    #[case(json!(1e300), Some(i64::MAX))]
    #[case(json!(u64::MAX), Some(i64::MAX))]
    #[case(json!(null), None)]
    #[case(json!([]), Some(i64::MAX))]
    fn numbers(#[case] value: Value, #[case] expected: Option<i64>) {
        assert_eq!(number(Object::of(&value).0), expected);
    }

    #[rstest]
    #[case("true", true)]
    #[case("", true)]
    #[case("no", true)]
    #[case("false", false)]
    #[case("0", false)]
    fn flags_as_keda_reads_them(#[case] text: &str, #[case] expected: bool) {
        let v = json!({"metadata": {"annotations": {PAUSED: text}}});
        assert_eq!(Object::of(&v).flag(PAUSED), expected);
    }

    #[test]
    fn a_reference_defaults_to_a_deployment() {
        let v = json!({"spec": {"scaleTargetRef": {"name": "w"}}});
        assert_eq!(
            Object::of(&v).reference(&["spec", "scaleTargetRef"]),
            TargetRef { group: "apps", kind: "Deployment", name: "w" }
        );
    }

    #[rstest]
    #[case::same(json!({"a": [1, {"b": "c"}]}), json!({"a": [1, {"b": "c"}]}), true)]
    #[case::order(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true)]
    #[case::empty_values(json!({"a": 1}), json!({"a": 1, "b": null, "c": "", "d": {}, "e": [], "f": false, "g": {"h": null}}), true)]
    #[case::empty_values_gone(json!({"a": 1, "b": {"c": ""}}), json!({"a": 1}), true)]
    #[case::absent_and_empty(json!(null), json!({"a": {}}), true)]
    #[case::zero_is_a_number(json!({"a": 0}), json!({}), false)]
    #[case::added(json!({"a": 1}), json!({"a": 1, "b": 2}), false)]
    #[case::removed(json!({"a": 1, "b": 2}), json!({"a": 1}), false)]
    #[case::changed(json!({"a": [1, 2]}), json!({"a": [1, 3]}), false)]
    #[case::longer(json!([1]), json!([1, 2]), false)]
    #[case::renamed(json!({"a": 1}), json!({"b": 1}), false)]
    #[case::empty_values_in_a_list(json!([{"a": 1, "b": null}]), json!([{"a": 1}]), true)]
    #[case::null_to_something(json!({"a": null}), json!({"a": true}), false)]
    fn values_that_say_the_same(#[case] a: Value, #[case] b: Value, #[case] expected: bool) {
        assert_eq!(alike(Object::of(&a).0, Object::of(&b).0), expected);
        assert_eq!(alike(Object::of(&b).0, Object::of(&a).0), expected);
    }

    #[rstest]
    #[case::short("", "", true)]
    #[case::within_eight("12345678x", "12345678y", false)]
    #[case::in_the_eighth("12345678x", "12345679x", false)]
    #[case::longer("12345678", "123456781", false)]
    #[case::equal("12345678901", "12345678901", true)]
    fn texts_are_the_same(#[case] a: &str, #[case] b: &str, #[case] expected: bool) {
        let (a, b) = (json!({"a": [a]}), json!({"a": [b]}));
        assert_eq!(same(Object::of(&a).0, Object::of(&b).0), expected);
    }

    #[test]
    fn hostile_shapes_read_as_something() {
        for v in [json!({"spec": 7, "metadata": []}), json!({"spec": {"scaleTargetRef": "x"}})] {
            let object = Object::of(&v);
            assert_eq!(object.reference(&["spec", "scaleTargetRef"]).name, "");
            assert_eq!(object.number(&["spec", "maxReplicaCount"]), None);
            assert_eq!(object.annotation("x"), None);
        }
    }
}
