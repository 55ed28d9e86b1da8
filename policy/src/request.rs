//! The admission request as the API server sends it.
//!
//! A type of our own: the SDK's (0.17.3) drops `resource.resource`, with which
//! a Scale of a Deployment will be told from one of a Rollout.

use crate::settings::Settings;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::Value;

/// The parts that the policy looks at; absent and null text is empty.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// Group and kind of the object (`resource.resource` is the kind where the
    /// audit scanner asks, so nothing is told apart by it).
    pub group: String,
    pub kind: String,
    pub sub_resource: String,
    pub name: String,
    pub namespace: String,
    pub operation: String,
    pub object: Value,
    pub old_object: Value,
}

impl Request {
    /// Reads by hand: six text fields of a large object, without a deserialiser
    /// of their own in the module.
    fn read(mut value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("request: is not an object".to_owned());
        }
        let text = |path: &str| match value.pointer(path) {
            None | Some(Value::Null) => Ok(String::new()),
            Some(Value::String(text)) => Ok(text.clone()),
            Some(_) => Err(format!("request{}: is not a string", path.replace('/', "."))),
        };
        let (group, kind) = (text("/kind/group")?, text("/kind/kind")?);
        let (sub_resource, name, namespace) =
            (text("/subResource")?, text("/name")?, text("/namespace")?);
        let operation = text("/operation")?;
        // Without these nothing can be said to be out of scope.
        for (key, value) in [("kind.kind", &kind), ("operation", &operation)] {
            if value.is_empty() {
                return Err(format!("request.{key}: is missing"));
            }
        }
        let mut take = |key: &str| value.get_mut(key).map(Value::take).unwrap_or_default();
        Ok(Self {
            group,
            kind,
            sub_resource,
            name,
            namespace,
            operation,
            object: take("object"),
            old_object: take("oldObject"),
        })
    }
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
    struct Payload<'a> {
        #[serde(borrow)]
        settings: &'a RawValue,
        request: Value,
    }
    let payload: Payload =
        gate::parse::json(payload).map_err(|e| format!("admission request: {e}"))?;
    Ok(Input {
        settings: Settings::parse(payload.settings.get().as_bytes()).map_err(|e| e.to_string())?,
        request: Request::read(payload.request)?,
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

    #[rstest]
    #[case(r#"7"#, "request: is not an object")]
    #[case(r#"{}"#, "request.kind.kind: is missing")]
    #[case(r#"{"kind":{"kind":"ScaledObject"}}"#, "request.operation: is missing")]
    #[case(r#"{"operation":7}"#, "request.operation: is not a string")]
    #[case(r#"{"kind":{"kind":[]}}"#, "request.kind.kind: is not a string")]
    fn names_the_field_that_is_wrong(#[case] request: &str, #[case] expected: &str) {
        let payload = format!(r#"{{"settings":{SAMPLE},"request":{request}}}"#);
        assert_eq!(parse(payload.as_bytes()).err().unwrap(), expected);
    }

    #[test]
    fn reads_an_admission_review_request() {
        let payload = format!(
            r#"{{"settings":{SAMPLE},"request":{{"uid":"1","operation":"UPDATE","subResource":null,
            "kind":{{"group":"keda.sh","version":"v1alpha1","kind":"ScaledObject"}},
            "resource":{{"group":"keda.sh","version":"v1alpha1","resource":"scaledobjects"}},
            "name":"w","namespace":"builds","object":{{}},"oldObject":{{}},"options":null,"requestKind":null}}}}"#
        );
        let input = parse(payload.as_bytes()).unwrap();
        assert_eq!(input.request.kind, "ScaledObject");
        assert_eq!(input.request.operation(), Ok(Operation::Update));
    }

    #[rstest]
    #[case("", "admission request: EOF")]
    #[case("{}", "missing field `settings`")]
    #[case(r#"[]"#, "admission request: ")]
    #[case(r#"{"settings":{},"request":{}}"#, "settings: missing field `lanes`")]
    #[case(r#"{"request":{"operation":7},"settings":{}}"#, "settings: missing field `lanes`")]
    fn names_what_is_wrong(#[case] payload: &str, #[case] expected: &str) {
        let e = parse(payload.as_bytes()).err().unwrap();
        assert!(e.contains(expected), "{e}");
    }
}
