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

fn contains(text: &str, part: &str) -> bool {
    !part.is_empty() && text.to_ascii_lowercase().contains(&part.to_ascii_lowercase())
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
    #[case(json!(7), false)]
    fn a_url_anywhere(#[case] value: Value, #[case] expected: bool) {
        assert_eq!(mentions(Object::of(&value).0, URL), expected);
    }
}
