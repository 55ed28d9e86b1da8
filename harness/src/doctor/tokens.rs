//! Tokens that are about to end: a gateway's own for the API server, and the
//! previous ones of a rotation.

use super::envoy::plugins;
use super::Fault;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use base64::Engine;
use gate::rotation;
use gate::time::Timestamp;
use serde_json::Value;

/// The gateway's token as `deploy/gateway/kube-token.sh` wrote it for Envoy into
/// `file`: less than a quarter of its life is left, or it is none.
pub fn of_api_server(file: &str, secret: &Value, now: Timestamp) -> Option<Fault> {
    let renew = "Renew it by deploy/gateway/kube-token.sh, from cron or launchd.";
    let secret = secret.pointer("/resources/0/generic_secret/secret/inline_string");
    let Some(claims) = secret.and_then(Value::as_str).and_then(claims) else {
        let what = format!("{file} has no token of Kubernetes that this user can read");
        return Some(Fault::new(what, renew));
    };
    // One without an end or a beginning ends now.
    let ends_s = claims["exp"].as_i64().unwrap_or(0);
    let left_s = ends_s.saturating_sub(now.millis() / 1000);
    let life_s = ends_s.saturating_sub(claims["iat"].as_i64().unwrap_or(0));
    let account = claims["sub"].as_str().unwrap_or("?");
    match left_s {
        ..=0 => Some(Fault::new(
            format!("the token of {account} ended {} s ago", left_s.saturating_neg()),
            renew,
        )),
        _ if left_s < life_s / 4 => {
            Some(Fault::new(format!("the token of {account} ends in {} min", left_s / 60), renew))
        }
        _ => None,
    }
}

/// What the token says of itself; who signed it is the API server's matter.
fn claims(header: &str) -> Option<Value> {
    let payload = header.strip_prefix("Bearer ")?.split('.').nth(1)?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()?;
    claims.is_object().then_some(claims)
}

/// Rotations of callers' tokens whose overlap is nearly over.
pub fn rotations(config_dump: &Value, now: Timestamp) -> Vec<Fault> {
    let mut faults = vec![];
    for plugin in plugins(config_dump).iter().filter(|p| p.has_role("endpoint")) {
        let poll_s = plugin.configuration["windows"]["poll_s"].as_u64().unwrap_or(0);
        let tokens = plugin.configuration["tokens"].as_array();
        for token in tokens.into_iter().flatten().filter(|t| t["previous"].is_string()) {
            let rotated_at = token["rotated_at"].as_str().unwrap_or_default();
            let Ok(rotated_at) = Timestamp::parse(rotated_at) else { continue };
            let ends = rotation::ends(rotated_at, poll_s);
            if rotation::ends_soon(ends, now) {
                let name = token["name"].as_str().unwrap_or("?");
                faults.push(Fault::new(
                    format!("token {name}: its previous digest is refused from {ends} on"),
                    "Give its callers the new one (observer.previous_token_last_used), then take `previous` out.",
                ));
            }
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;
    use serde_json::json;

    const NOW: u64 = 1_795_500_000;

    fn now() -> Timestamp {
        Timestamp::from_secs(i64::try_from(NOW).unwrap())
    }

    fn file(iat: u64, exp: u64) -> Value {
        let sub = "system:serviceaccount:builds:canary-gate-gw-a1";
        with_claims(&json!({ "iat": iat, "exp": exp, "sub": sub }))
    }

    fn with_claims(claims: &Value) -> Value {
        let token = format!("Bearer e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims.to_string()));
        json!({ "resources": [{ "generic_secret": { "secret": { "inline_string": token } } }] })
    }

    #[rstest]
    #[case::fresh(file(NOW - 3_600, NOW + 47 * 3_600), None)]
    #[case::a_quarter_is_left(file(NOW - 36 * 3_600, NOW + 12 * 3_600), None)]
    #[case::less(file(NOW - 37 * 3_600, NOW + 11 * 3_600), Some("canary-gate-gw-a1 ends in 660 min"))]
    #[case::ended(file(NOW - 3_600, NOW - 5), Some("ended 5 s ago"))]
    #[case::no_end(with_claims(&json!({ "iat": NOW })), Some("of ? ended"))]
    #[case::no_beginning(with_claims(&json!({ "exp": NOW + 60 })), Some("of ? ends in 1 min"))]
    #[case::the_least_end(with_claims(&json!({ "exp": i64::MIN, "iat": 1 })), Some("of ? ended"))]
    #[case::no_object(with_claims(&json!("x")), Some("kube-token.json has no token"))]
    #[case::no_token(json!({}), Some("kube-token.json has no token"))]
    #[case::garbage(json!({ "resources": [{ "generic_secret": { "secret": { "inline_string": "Bearer a.%.c" } } }] }), Some("kube-token.json has no token"))]
    fn of_the_gateway(#[case] file: Value, #[case] expected: Option<&str>) {
        let fault = of_api_server("kube-token.json", &file, now()).map(|f| f.what);
        match expected {
            None => assert_eq!(fault, None),
            Some(expected) => assert!(fault.clone().unwrap().contains(expected), "{fault:?}"),
        }
    }

    #[rstest]
    #[case::no_rotation(None, 0)]
    #[case::begun(Some(3_600), 0)]
    #[case::its_last_hour(Some(7 * 86_400 - 3_600), 1)]
    #[case::over(Some(7 * 86_400 + 1), 0)]
    fn of_callers(#[case] seconds_ago: Option<u64>, #[case] expected: usize) {
        let mut token = json!({ "name": "keda", "role": "measure", "digest": "sha256:1" });
        if let Some(ago) = seconds_ago {
            let at = Timestamp::from_secs(i64::try_from(NOW - ago).unwrap());
            token["previous"] = "sha256:2".into();
            token["rotated_at"] = at.to_string().into();
        }
        let own = json!({ "role": "endpoint", "lane": {}, "tokens": [token] }).to_string();
        let dump = json!({ "vm_config": {}, "configuration": { "value": own } });
        assert_eq!(rotations(&dump, now()).len(), expected);
    }
}
