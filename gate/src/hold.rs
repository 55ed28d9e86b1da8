//! Freeze and thaw.
//!
//! Any failed signal freezes scale-up at once. A freeze thaws after a number
//! of consecutive clean polls: polls at which no signal fails and every signal
//! that froze passes. A thaw on the absence of failure alone would let no data
//! clear a hold. A freeze soon after a thaw doubles the number, so that a rate
//! near the limit does not flap.

use crate::signals::Signal;
use crate::threshold::{CLEAN_POLLS, CLEAN_POLLS_MAX, REFREEZE_S};
use crate::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::BTreeSet;

/// Why scale-up is held; written as its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cause {
    Signal(Signal),
    /// The one cause that is no signal: the gateway does not know its own
    /// past. Only an operator's `end` clears it.
    StateUnknown,
}

impl Cause {
    pub fn name(self) -> &'static str {
        match self {
            Cause::Signal(s) => s.name(),
            Cause::StateUnknown => "state_unknown",
        }
    }

    pub fn parse(name: &str) -> Option<Self> {
        if name == Cause::StateUnknown.name() {
            return Some(Cause::StateUnknown);
        }
        Signal::parse(name).ok().map(Cause::Signal)
    }
}

impl Serialize for Cause {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Cause {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        crate::parse::text(d, |name| {
            Self::parse(name).ok_or_else(|| format!("`{name}` is no signal"))
        })
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Cause {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Cause".into()
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let names: Vec<_> = Signal::ALL.iter().map(|s| s.name()).chain(["state_unknown"]).collect();
        schemars::json_schema!({ "type": "string", "enum": names })
    }
}

/// The hold of one gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// What froze; empty when not frozen.
    pub causes: BTreeSet<Cause>,
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Clean polls so far.
    #[serde(default)]
    pub clean: u32,
    /// Clean polls that thaw this freeze.
    pub required: u32,
    #[serde(default)]
    pub thawed_at: Option<Timestamp>,
}

impl Default for Hold {
    fn default() -> Self {
        Self {
            causes: BTreeSet::new(),
            since: None,
            clean: 0,
            required: CLEAN_POLLS,
            thawed_at: None,
        }
    }
}

impl Hold {
    pub fn frozen(&self) -> bool {
        !self.causes.is_empty()
    }

    /// Names of the causes: `frozen_by`.
    pub fn names(&self) -> Vec<String> {
        self.causes.iter().map(|c| c.name().to_owned()).collect()
    }

    /// A cause appeared: freezes at once, between polls too.
    pub fn freeze(&mut self, cause: Cause, now: Timestamp) {
        if !self.frozen() {
            let again = self.thawed_at.is_some_and(|t| (0..=REFREEZE_S).contains(&now.since(t)));
            self.required =
                if again { (self.required * 2).min(CLEAN_POLLS_MAX) } else { CLEAN_POLLS };
            self.since = Some(now);
        }
        self.clean = 0;
        self.causes.insert(cause);
    }

    /// One poll. `clean` says that no signal fails and every cause passes.
    /// Returns whether the freeze thawed.
    pub fn poll(&mut self, clean: bool, now: Timestamp) -> bool {
        if !self.frozen() {
            return false;
        }
        self.clean = if clean { self.clean + 1 } else { 0 };
        let thaws = self.clean >= self.required;
        if thaws {
            self.clear();
            self.thawed_at = Some(now);
        }
        thaws
    }

    /// Drops causes for another reason than passing: `end` and `abort`. That is
    /// no thaw, so the next freeze is no re-freeze.
    pub fn drop_causes(&mut self, dropped: impl Fn(Cause) -> bool) {
        self.causes.retain(|c| !dropped(*c));
        if !self.frozen() {
            self.clear();
        }
    }

    /// After a restart: the count of clean polls starts over, and a number that
    /// was tampered with is brought back into its range.
    pub fn recover(&mut self) {
        self.clean = 0;
        self.required = self.required.clamp(CLEAN_POLLS, CLEAN_POLLS_MAX);
    }

    fn clear(&mut self) {
        self.causes.clear();
        self.since = None;
        self.clean = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const RATE: Cause = Cause::Signal(Signal::Canary5xxRate);

    fn minute(m: i64) -> Timestamp {
        Timestamp::from_secs(m * 60)
    }

    #[rstest]
    #[case(&[true], true)]
    #[case(&[true, true], false)]
    #[case(&[true, false, true], true)]
    #[case(&[true, false, true, true], false)]
    #[case(&[false, false, false], true)]
    fn thaws_after_two_clean_polls_in_a_row(#[case] polls: &[bool], #[case] frozen: bool) {
        let mut hold = Hold::default();
        hold.freeze(RATE, minute(0));
        for (i, clean) in polls.iter().enumerate() {
            hold.poll(*clean, minute(1 + i as i64));
        }
        assert_eq!(hold.frozen(), frozen);
    }

    #[test]
    fn a_refreeze_within_the_hour_doubles_and_a_later_one_does_not() {
        let mut hold = Hold::default();
        let mut at = 0;
        for expected in [2, 4, 8, 16, 32, 32] {
            hold.freeze(RATE, minute(at));
            assert_eq!(hold.required, expected);
            while hold.frozen() {
                at += 1;
                hold.poll(true, minute(at));
            }
            at += 60;
        }
        hold.freeze(RATE, minute(at + 1));
        assert_eq!(hold.required, 2);
    }

    #[test]
    fn causes_read_and_write_as_names() {
        let causes = BTreeSet::from([RATE, Cause::StateUnknown]);
        let json = serde_json::to_string(&causes).unwrap();
        assert_eq!(json, r#"["canary_5xx_rate","state_unknown"]"#);
        assert_eq!(serde_json::from_str::<BTreeSet<Cause>>(&json).unwrap(), causes);
    }
}
