//! Who polls a measurement URL: Argo's AnalysisTemplates, Flagger's
//! MetricTemplates and webhooks, other ScaledObjects.

use gate::parse::Json;

/// Whether any string of `value` names the URL, whatever its scheme, the case
/// of its host and what follows it.
pub fn mentions(value: &Json, url: &str) -> bool {
    match value {
        Json::Str(text) => contains(text, bare(url)),
        Json::Array(items) => items.iter().any(|v| mentions(v, url)),
        Json::Object(map) => map.values().any(|v| mentions(v, url)),
        _ => false,
    }
}

/// Host and path.
fn bare(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest).trim_end_matches('/')
}

/// Whether `text` has `part` as a whole: not as the end of another host's name
/// or the start of another path's.
fn contains(text: &str, part: &str) -> bool {
    if part.is_empty() {
        return false;
    }
    let (text, part) = (text.to_ascii_lowercase(), part.to_ascii_lowercase());
    let goes_on = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    text.match_indices(&part).any(|(at, found)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + found.len()..).and_then(|t| t.chars().next());
        !before.is_some_and(|c| goes_on(c) || c == '.') && !after.is_some_and(goes_on)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::objects::Object;
    use rstest::rstest;
    use serde_json::{json, Value};

    const URL: &str = "https://canary.gw.example.com/keda/metrics";

    #[rstest]
    #[case(json!({"provider": {"web": {"url": URL}}}), true)]
    #[case(json!([{"url": "http://CANARY.gw.example.com/keda/metrics/?x=1"}]), true)]
    #[case(json!({"command": ["curl -s https://canary.gw.example.com/keda/metrics | jq"]}), true)]
    #[case(json!({"url": "https://canary.gw.example.com/keda/digest"}), false)]
    #[case(json!({"url": "https://stable.gw.example.com/keda/metrics"}), false)]
    #[case(json!({"url": "https://other.canary.gw.example.com/keda/metrics"}), false)]
    #[case(json!({"url": "https://my-canary.gw.example.com/keda/metrics"}), false)]
    #[case(json!({"url": "https://canary.gw.example.com/keda/metrics2"}), false)]
    #[case(json!({"url": "https://my-canary.gw.example.com/keda/metrics https://canary.gw.example.com/keda/metrics"}), true)]
    #[case(json!({"url": "https://user:pw@canary.gw.example.com/keda/metrics#x"}), true)]
    #[case(json!(7), false)]
    fn a_url_anywhere(#[case] value: Value, #[case] expected: bool) {
        assert_eq!(mentions(Object::of(&value).0, URL), expected);
    }
}
