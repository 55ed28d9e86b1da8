//! The admission request as the API server sends it.
//!
//! A type of our own: the SDK's (0.17.3) drops `resource.resource`, with which
//! a Scale of a Deployment is told from one of a Rollout.

use crate::settings::Settings;
use serde::Deserialize;
use serde_json::Value;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Request {
    pub uid: String,
    pub kind: GroupVersionKind,
    pub resource: GroupVersionResource,
    #[serde(deserialize_with = "null_is_default")]
    pub sub_resource: String,
    #[serde(deserialize_with = "null_is_default")]
    pub name: String,
    #[serde(deserialize_with = "null_is_default")]
    pub namespace: String,
    pub operation: String,
    pub user_info: Value,
    pub object: Value,
    pub old_object: Value,
    #[serde(deserialize_with = "null_is_default")]
    pub dry_run: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GroupVersionKind {
    pub group: String,
    pub version: String,
    pub kind: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct GroupVersionResource {
    pub group: String,
    pub version: String,
    pub resource: String,
}

fn null_is_default<'de, T: Default + Deserialize<'de>, D: serde::Deserializer<'de>>(d: D) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(d)?.unwrap_or_default())
}

/// Operations that the policy tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Create,
    Update,
    /// DELETE and CONNECT: never rejected by any rule.
    Other,
}

/// What the host hands to `validate`.
pub struct Input {
    pub settings: Settings,
    pub request: Request,
}

/// Reads the payload of `validate`.
///
/// # Errors
/// The part and path that is wrong.
pub fn parse(payload: &[u8]) -> Result<Input, String> {
    #[derive(Deserialize)]
    struct Payload {
        settings: Settings,
        request: Request,
    }
    let payload: Payload = gate::parse::json(payload).map_err(|e| format!("admission request: {e}"))?;
    Ok(Input {
        settings: payload.settings.checked().map_err(|e| e.to_string())?,
        request: payload.request,
    })
}

impl Request {
    /// # Errors
    /// An operation that Kubernetes does not have.
    pub fn operation(&self) -> Result<Operation, String> {
        match self.operation.as_str() {
            "CREATE" => Ok(Operation::Create),
            "UPDATE" => Ok(Operation::Update),
            "DELETE" | "CONNECT" => Ok(Operation::Other),
            other => Err(format!(
                "request.operation: `{other}` is not CREATE, UPDATE, DELETE or CONNECT"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::SAMPLE;
    use rstest::rstest;

    #[test]
    fn reads_an_admission_review_request() {
        let payload = format!(
            r#"{{"settings":{SAMPLE},"request":{{"uid":"1","operation":"UPDATE","subResource":null,
            "kind":{{"group":"keda.sh","version":"v1alpha1","kind":"ScaledObject"}},
            "resource":{{"group":"keda.sh","version":"v1alpha1","resource":"scaledobjects"}},
            "name":"w","namespace":"builds","object":{{}},"oldObject":{{}},"options":null,"requestKind":null}}}}"#
        );
        let input = parse(payload.as_bytes()).unwrap();
        assert_eq!(input.request.resource.resource, "scaledobjects");
        assert_eq!(input.request.operation(), Ok(Operation::Update));
    }

    #[rstest]
    #[case("", "admission request: EOF")]
    #[case("{}", "missing field `settings`")]
    #[case(r#"{"settings":{},"request":{}}"#, "settings: missing field `lanes`")]
    #[case(r#"{"request":{"operation":7},"settings":{}}"#, "request.operation: invalid type")]
    fn names_what_is_wrong(#[case] payload: &str, #[case] expected: &str) {
        let e = parse(payload.as_bytes()).err().unwrap();
        assert!(e.contains(expected), "{e}");
    }
}
