//! How many jobs wait, from the queue itself.
//!
//! NATS: pending plus delivered and not acknowledged, as KEDA's scaler counts
//! (`nats_jetstream_scaler.go`), from the monitoring port's `/jsz`. Prometheus:
//! an instant query of one value. What cannot be read is unknown, never 0.

use super::{Call, Reply};
use crate::config::{Queue, QueueSource};
use serde_json::Value;

/// `None` where the node's facts have the number.
pub fn get(queue: &Queue) -> Option<Call> {
    let path = match queue.source {
        QueueSource::Facts => return None,
        QueueSource::Nats => "/jsz?streams=true&consumers=true".to_owned(),
        QueueSource::Prometheus => {
            format!("/api/v1/query?query={}", encoded(queue.query.as_deref().unwrap_or_default()))
        }
    };
    Some(Call { method: "GET", path, content_type: "application/json", body: vec![] })
}

/// Percent-encodes everything but what RFC 3986 leaves alone everywhere.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

/// # Errors
/// Why the depth is not known.
pub fn read(queue: &Queue, reply: &Reply) -> Result<u64, String> {
    let body = super::object(reply)?;
    match queue.source {
        QueueSource::Facts => Err("the queue is not pulled".to_owned()),
        QueueSource::Nats => of_nats(queue, &body),
        QueueSource::Prometheus => of_prometheus(&body),
    }
}

fn of_nats(queue: &Queue, body: &Value) -> Result<u64, String> {
    let named = |list: &Value, key: &str, name: &Option<String>| {
        let items = list.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        items.into_iter().find(|item| item.get("name").and_then(Value::as_str) == name.as_deref())
    };
    let accounts = body.get("account_details").and_then(Value::as_array);
    let stream = accounts
        .into_iter()
        .flatten()
        .find_map(|account| named(account, "stream_detail", &queue.stream))
        .ok_or_else(|| format!("NATS has no stream `{}`", text(&queue.stream)))?;
    let consumer = named(&stream, "consumer_detail", &queue.consumer).ok_or_else(|| {
        format!("stream `{}` has no consumer `{}`", text(&queue.stream), text(&queue.consumer))
    })?;
    let number = |key: &str| {
        consumer
            .get(key)
            .and_then(Value::as_u64)
            .ok_or_else(|| format!("consumer `{}` has no {key}", text(&queue.consumer)))
    };
    Ok(number("num_pending")?.saturating_add(number("num_ack_pending")?))
}

fn text(name: &Option<String>) -> &str {
    name.as_deref().unwrap_or_default()
}

fn of_prometheus(body: &Value) -> Result<u64, String> {
    if body.get("status").and_then(Value::as_str) != Some("success") {
        let error = body.get("error").and_then(Value::as_str).unwrap_or("no status");
        return Err(format!("Prometheus: {error}"));
    }
    let result = body.pointer("/data/result").ok_or("Prometheus: no data.result")?;
    let sample = match body.pointer("/data/resultType").and_then(Value::as_str) {
        Some("scalar") => Some(result),
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => one.get("value"),
            Some(many) => {
                return Err(format!("Prometheus: the query gives {} values, not one", many.len()))
            }
            None => None,
        },
        _ => return Err("Prometheus: the query gives neither a vector nor a scalar".to_owned()),
    };
    let value = sample.and_then(|s| s.get(1)).and_then(Value::as_str).unwrap_or_default();
    match value.parse::<f64>() {
        Ok(n) if (0.0..1e15).contains(&n) => Ok(n.ceil() as u64),
        _ => Err(format!("Prometheus: `{value}` is no number of jobs")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outbound::tests::reply;
    use rstest::rstest;
    use serde_json::json;

    fn queue(source: &str) -> Queue {
        serde_json::from_value(json!({
            "source": source, "cluster": "q", "stream": "builds", "consumer": "workers",
            "query": "sum(jobs{lane=\"a\"})"
        }))
        .unwrap()
    }

    fn nats(consumer: Value) -> Value {
        json!({"account_details": [
            {"name": "SYS"},
            {"name": "$G", "stream_detail": [
                {"name": "other", "consumer_detail": [{"name": "workers", "num_pending": 99, "num_ack_pending": 0}]},
                {"name": "builds", "consumer_detail": [consumer]}
            ]}
        ]})
    }

    #[rstest]
    #[case::pending_and_unacknowledged("nats", nats(json!({"name": "workers", "num_pending": 12, "num_ack_pending": 3})), Ok(15))]
    #[case::other_consumer("nats", nats(json!({"name": "x"})), Err("has no consumer `workers`"))]
    #[case::no_number("nats", nats(json!({"name": "workers", "num_pending": 1})), Err("has no num_ack_pending"))]
    #[case::no_stream("nats", json!({}), Err("no stream `builds`"))]
    #[case::vector("prometheus", json!({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "12.2"]}]}}), Ok(13))]
    #[case::scalar("prometheus", json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "4"]}}), Ok(4))]
    #[case::empty_is_unknown("prometheus", json!({"status": "success", "data": {"resultType": "vector", "result": []}}), Err("gives 0 values"))]
    #[case::two("prometheus", json!({"status": "success", "data": {"resultType": "vector", "result": [{}, {}]}}), Err("gives 2 values"))]
    #[case::nan("prometheus", json!({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "NaN"]}]}}), Err("`NaN` is no number"))]
    #[case::negative("prometheus", json!({"status": "success", "data": {"resultType": "vector", "result": [{"value": [1, "-1"]}]}}), Err("`-1` is no number"))]
    #[case::matrix("prometheus", json!({"status": "success", "data": {"resultType": "matrix", "result": []}}), Err("neither a vector nor"))]
    #[case::error("prometheus", json!({"status": "error", "error": "parse error"}), Err("parse error"))]
    fn depths(#[case] source: &str, #[case] body: Value, #[case] expected: Result<u64, &str>) {
        let reply = reply(Some(200), body.to_string().into_bytes());
        match (read(&queue(source), &reply), expected) {
            (Ok(got), Ok(n)) => assert_eq!(got, n),
            (Err(got), Err(part)) => assert!(got.contains(part), "{got}"),
            (got, _) => panic!("{got:?}"),
        }
    }

    #[test]
    fn a_query_is_encoded() {
        let call = get(&queue("prometheus")).unwrap();
        assert_eq!(call.path, "/api/v1/query?query=sum%28jobs%7Blane%3D%22a%22%7D%29");
        assert!(read(&queue("nats"), &reply(None, vec![])).is_err());
    }
}
