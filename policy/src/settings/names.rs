//! Names as the API server takes them. What no object can have guards nothing.
//!
//! Kubernetes `apimachinery/pkg/util/validation/validation.go`.

/// Longest name of an object; of a namespace and a label's value it is 63.
const LONGEST: usize = 253;
const LONGEST_LABEL: usize = 63;
/// What usernames of service accounts begin with.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// RFC 1123: lower case, digits and `-` inside.
fn is_label(text: &str) -> bool {
    let is_edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let mut bytes = text.bytes();
    is_edge(bytes.next())
        && is_edge(text.bytes().next_back())
        && bytes.all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'-')
}

/// Whether a namespace can have this name.
pub fn is_namespace(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && is_label(text)
}

/// Whether an object can have this name: labels with dots between.
pub fn is_object(text: &str) -> bool {
    text.len() <= LONGEST && text.split('.').all(is_label)
}

/// Whether a label can have this value, and an object this name: a lane's is both.
pub fn is_lane(text: &str) -> bool {
    text.len() <= LONGEST_LABEL && is_object(text)
}

/// Whether the API server can call somebody so. What other authenticators say is free, but
/// for blanks around it, which nobody sees.
pub fn is_user(text: &str) -> bool {
    match text.strip_prefix(SERVICE_ACCOUNT) {
        Some(account) => account
            .split_once(':')
            .is_some_and(|(namespace, name)| is_namespace(namespace) && is_object(name)),
        None => !text.is_empty() && text.trim() == text,
    }
}

/// Whether an annotation can have this key.
pub fn is_annotation(text: &str) -> bool {
    let (prefix, name) = text.rsplit_once('/').unwrap_or(("", text));
    let is_inside = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.');
    let is_edge = |c: Option<u8>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    (prefix.is_empty() && !text.contains('/') || is_object(prefix))
        && name.len() <= LONGEST_LABEL
        && is_edge(name.bytes().next())
        && is_edge(name.bytes().next_back())
        && name.bytes().all(is_inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("openclaw-worker", true)]
    #[case("a.b-c.d", true)]
    #[case("openclaw-worker ", false)]
    #[case("Builds", false)]
    #[case("-a", false)]
    #[case("a-", false)]
    #[case("a..b", false)]
    #[case("a_b", false)]
    #[case("", false)]
    fn of_objects(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_object(text), expected);
        assert_eq!(is_lane(text), expected);
        assert_eq!(is_namespace(text), expected && !text.contains('.'));
    }

    #[test]
    fn the_longest() {
        assert!(is_object(&"a".repeat(253)) && !is_object(&"a".repeat(254)));
        assert!(is_namespace(&"a".repeat(63)) && !is_namespace(&"a".repeat(64)));
        assert!(is_lane(&"a".repeat(63)) && !is_lane(&"a".repeat(64)));
        assert!(is_annotation(&"a".repeat(63)) && !is_annotation(&"a".repeat(64)));
    }

    #[rstest]
    #[case("system:serviceaccount:gateways:gw-a1", true)]
    #[case("system:serviceaccount:gateways", false)]
    #[case("system:serviceaccount:Gateways:gw", false)]
    #[case("system:kube-controller-manager", true)]
    #[case("alice@example.com", true)]
    #[case("alice ", false)]
    #[case("", false)]
    fn of_users(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_user(text), expected);
    }

    #[rstest]
    #[case("canary-gate.dev/skill-hash", true)]
    #[case("skill_Hash", true)]
    #[case("canary-gate.dev/", false)]
    #[case("/skill", false)]
    #[case("a/b/c", false)]
    #[case("skill hash", false)]
    fn of_annotations(#[case] text: &str, #[case] expected: bool) {
        assert_eq!(is_annotation(text), expected);
    }
}
