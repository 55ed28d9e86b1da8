//! Bearer tokens against digests.
//!
//! The configuration holds only SHA-256 digests, since `/config_dump` shows
//! it. Every digest is compared, in constant time, whether or not one matched
//! already; the answer does not say which part was wrong.

use crate::config::{Config, Digest, Token, TokenRole};
use gate::rotation;
use gate::threshold::MAX_FUTURE_S;
use gate::time::Timestamp;
use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    pub name: String,
    pub role: TokenRole,
    /// By the digest that was rotated away.
    pub by_previous: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// 401: no token, or none of ours.
    Unknown,
    /// 403: a token of another role.
    WrongRole,
}

/// # Errors
/// [`Refusal`], with no hint which part was wrong.
pub fn authorize(
    config: &Config,
    authorization: Option<&[u8]>,
    roles: &[TokenRole],
    now: Timestamp,
) -> Result<Caller, Refusal> {
    let token = authorization.and_then(bearer).ok_or(Refusal::Unknown)?;
    let digest: [u8; 32] = Sha256::digest(token).into();
    let matches = |d: &Digest| d.0.ct_eq(&digest);
    let mut found: Option<(&Token, bool)> = None;
    for token in &config.tokens {
        let current = matches(&token.digest);
        let previous = match &token.previous {
            Some(p) if overlap(token, config.windows.poll_s, now) => matches(p),
            _ => Choice::from(0),
        };
        if bool::from(current | previous) {
            found = Some((token, !bool::from(current)));
        }
    }
    let (token, by_previous) = found.ok_or(Refusal::Unknown)?;
    if !roles.contains(&token.role) {
        return Err(Refusal::WrongRole);
    }
    Ok(Caller { name: token.name.clone(), role: token.role, by_previous })
}

/// When the previous digest of a token stops to count.
pub fn overlap_ends(token: &Token, poll_s: u64) -> Option<Timestamp> {
    token.rotated_at.map(|at| rotation::ends(at, poll_s))
}

/// A rotation dated in the future has not happened, so it keeps nothing alive.
fn overlap(token: &Token, poll_s: u64, now: Timestamp) -> bool {
    token.rotated_at.is_some_and(|at| at.since(now) <= MAX_FUTURE_S)
        && overlap_ends(token, poll_s).is_some_and(|ends| now < ends)
}

/// The token of an `Authorization: Bearer` header; the scheme in any case.
fn bearer(header: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = header.split_at_checked(7)?;
    (scheme.eq_ignore_ascii_case(b"bearer ") && !token.is_empty()).then_some(token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::sample;
    use rstest::rstest;
    use serde_json::json;

    const NOW: Timestamp = Timestamp::from_secs(1_795_510_800);

    fn hex(token: &str) -> String {
        let digest = Sha256::digest(token.as_bytes());
        format!("sha256:{}", digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
    }

    fn config() -> Config {
        let mut c = sample();
        let rotated_at = Timestamp::from_secs(NOW.millis() / 1000 - 3_600).to_string();
        let long_ago = Timestamp::from_secs(NOW.millis() / 1000 - 8 * 24 * 3_600).to_string();
        c["tokens"] = json!([
            {"name": "keda", "role": "measure", "digest": hex("new"), "previous": hex("old"), "rotated_at": rotated_at},
            {"name": "bastion", "role": "read", "digest": hex("read"), "previous": hex("expired"), "rotated_at": long_ago},
            {"name": "ops", "role": "operate", "digest": hex("ops")},
        ]);
        Config::parse(c.to_string().as_bytes()).unwrap()
    }

    #[rstest]
    #[case::current(Some("Bearer new"), Ok("keda"))]
    #[case::previous(Some("Bearer old"), Ok("keda"))]
    #[case::scheme_in_any_case(Some("bEaReR read"), Ok("bastion"))]
    #[case::expired(Some("Bearer expired"), Err(Refusal::Unknown))]
    #[case::wrong(Some("Bearer nope"), Err(Refusal::Unknown))]
    #[case::empty(Some("Bearer "), Err(Refusal::Unknown))]
    #[case::basic(Some("Basic bmV3"), Err(Refusal::Unknown))]
    #[case::short(Some("Bear"), Err(Refusal::Unknown))]
    #[case::none(None, Err(Refusal::Unknown))]
    #[case::other_role(Some("Bearer ops"), Err(Refusal::WrongRole))]
    fn callers(#[case] header: Option<&str>, #[case] expected: Result<&str, Refusal>) {
        let got = authorize(
            &config(),
            header.map(str::as_bytes),
            &[TokenRole::Measure, TokenRole::Read],
            NOW,
        );
        assert_eq!(got.as_ref().map(|c| c.name.as_str()).map_err(|e| *e), expected);
        let old = header.is_some_and(|h| h.ends_with("old"));
        assert!(got.is_err() || got.unwrap().by_previous == old);
    }

    #[test]
    fn bytes_that_are_no_text_are_no_token() {
        let got = authorize(&config(), Some(b"Bearer \x80\xff"), &[TokenRole::Read], NOW);
        assert_eq!(got, Err(Refusal::Unknown));
    }
}
