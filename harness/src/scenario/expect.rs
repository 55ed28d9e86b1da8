//! Comparing what is there with what was expected.

use super::format::Expectations;
use serde_json::Value;

/// The value at a dotted path. `signals.canary_p99.verdict` finds the element
/// of an array by its `name`.
pub fn at<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    // Annotations have dots: a part in brackets is one key.
    split(path).into_iter().try_fold(value, |value, part| match value {
        Value::Array(items) => items
            .iter()
            .find(|i| i.get("name").and_then(Value::as_str) == Some(part))
            .or_else(|| part.parse::<usize>().ok().and_then(|i| items.get(i))),
        _ => value.get(part),
    })
}

/// Parts of a dotted path; `a[b.c].d` is `a`, `b.c`, `d`.
pub fn split(path: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        if let Some((key, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            parts.push(key);
            rest = after.strip_prefix('.').unwrap_or(after);
            continue;
        }
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        parts.push(&rest[..end]);
        rest = rest[end..].strip_prefix('.').unwrap_or(&rest[end..]);
    }
    parts
}

/// What differs, a sentence each.
pub fn differences(value: &Value, expected: &Expectations) -> Vec<String> {
    expected
        .iter()
        .filter_map(|(path, expected)| {
            let got = at(value, path).unwrap_or(&Value::Null);
            let same = match (got, expected) {
                (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
                (a, b) => a == b,
            };
            (!same).then(|| format!("{path} is {got}, expected {expected}"))
        })
        .collect()
}

/// Which of the parts a text lacks.
pub fn missing(text: &str, parts: &[String]) -> Vec<String> {
    parts
        .iter()
        .filter(|part| !text.contains(part.as_str()))
        .map(|part| format!("`{part}` is not in: {text}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn finds_by_key_name_and_index() {
        let v = json!({"a": {"x.y/z": 1}, "signals": [{"name": "disk", "verdict": "pass"}]});
        assert_eq!(at(&v, "a[x.y/z]"), Some(&json!(1)));
        assert_eq!(at(&v, "signals.disk.verdict"), Some(&json!("pass")));
        assert_eq!(at(&v, "signals.0.verdict"), Some(&json!("pass")));
        assert_eq!(at(&v, "a.b"), None);
    }

    #[test]
    fn numbers_compare_by_value() {
        let expected = [("n".to_owned(), json!(1.0)), ("gone".to_owned(), Value::Null)].into();
        assert!(differences(&json!({"n": 1}), &expected).is_empty());
        assert_eq!(differences(&json!({"n": 2}), &expected).len(), 1);
    }
}
