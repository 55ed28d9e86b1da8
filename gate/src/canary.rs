//! The rollout as operators drive it: the body of `PUT /keda/canary`.
//!
//! Actions are idempotent: the same call twice changes nothing and succeeds,
//! so that one command can be sent to every gateway of a lane until all have
//! it. What contradicts the state is a conflict that says what to do instead.

use crate::parse::{self, MAX_TEXT};
use crate::slice::Slice;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

crate::named_enum! {
    pub enum Action {
        Begin = "begin",
        Weight = "weight",
        Maintenance = "maintenance",
        Abort = "abort",
        End = "end",
        Sleep = "sleep",
        Wake = "wake",
    }
}

impl Action {
    /// Keys that the action takes beside `action`; the first are required.
    fn keys(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Action::Begin => (
                &[],
                &[
                    "weight",
                    "az",
                    "gateway_version",
                    "skill_hash",
                    "stable_skill_hash",
                    "stable_replicas",
                ],
            ),
            Action::Weight => (&["weight"], &[]),
            Action::Maintenance => (&["maintenance"], &[]),
            Action::Abort | Action::End | Action::Sleep | Action::Wake => (&[], &[]),
        }
    }
}

/// One command of an operator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    pub action: Action,
    /// Share of traffic on the canary, 0–1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_skill_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_replicas: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<bool>,
}

impl Command {
    pub fn new(action: Action) -> Self {
        Self {
            action,
            weight: None,
            az: None,
            gateway_version: None,
            skill_hash: None,
            stable_skill_hash: None,
            stable_replicas: None,
            maintenance: None,
        }
    }

    /// Reads and checks a body.
    ///
    /// # Errors
    /// The JSON path that is wrong, and how.
    pub fn parse(body: &[u8]) -> Result<Self, String> {
        let command: Command = parse::json(body)?;
        if let Some(w) = command.weight {
            if !(0.0..=1.0).contains(&w) {
                return Err(format!("weight: {w} is outside 0 to 1"));
            }
        }
        let texts = [
            ("az", &command.az),
            ("gateway_version", &command.gateway_version),
            ("skill_hash", &command.skill_hash),
            ("stable_skill_hash", &command.stable_skill_hash),
        ];
        for (key, text) in texts {
            match text {
                Some(t) if t.is_empty() => {
                    return Err(format!("{key}: is empty, leave it out instead"))
                }
                Some(t) if t.len() > MAX_TEXT => {
                    return Err(format!("{key}: longer than {MAX_TEXT} bytes"))
                }
                _ => {}
            }
        }
        let given = [
            ("weight", command.weight.is_some()),
            ("az", command.az.is_some()),
            ("gateway_version", command.gateway_version.is_some()),
            ("skill_hash", command.skill_hash.is_some()),
            ("stable_skill_hash", command.stable_skill_hash.is_some()),
            ("stable_replicas", command.stable_replicas.is_some()),
            ("maintenance", command.maintenance.is_some()),
        ];
        let (required, optional) = command.action.keys();
        for (key, is_given) in given {
            let known = required.contains(&key) || optional.contains(&key);
            if is_given && !known {
                return Err(format!("{key}: `{}` does not take it", command.action.name()));
            }
            if !is_given && required.contains(&key) {
                return Err(format!("{key}: `{}` needs it", command.action.name()));
            }
        }
        Ok(command)
    }
}

/// Where the rollout stands on this gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Canary {
    pub active: bool,
    #[serde(default)]
    pub aborted: bool,
    #[serde(default)]
    pub maintenance: bool,
    #[serde(default)]
    pub asleep: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<f64>,
    /// Weight that the rollout began with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_weight: Option<f64>,
    /// The AZ slice under test; absent means every gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub az: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_version: Option<String>,
    /// Frozen at begin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub skill_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_skill_hash: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stable_replicas: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun_at: Option<Timestamp>,
    /// Pending jobs when the weight last rose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_at_weight: Option<u64>,
}

/// A command that contradicts the state: HTTP 409, with what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Conflict(pub String);

/// What the judge knows when a command arrives.
#[derive(Clone, Copy, Debug, Default)]
pub struct Circumstances {
    pub frozen: bool,
    pub degraded: bool,
    pub queue_grows: bool,
    /// KEDA's pause of this gateway may still be on a ScaledObject.
    pub pause_is_left: bool,
    pub queue_depth: Option<u64>,
}

impl Canary {
    /// Applies one command. The judge drops signals and causes where
    /// [`Canary::active`] or [`Canary::aborted`] changed.
    ///
    /// # Errors
    /// The conflict, and what to do instead.
    pub fn apply(
        &mut self,
        c: &Command,
        around: Circumstances,
        now: Timestamp,
    ) -> Result<(), Conflict> {
        match c.action {
            Action::Begin => self.begin(c, around, now),
            Action::Weight => self.set_weight(c.weight.unwrap_or(0.0), around),
            Action::Maintenance => {
                self.maintenance = c.maintenance.unwrap_or(false);
                Ok(())
            }
            Action::Abort => {
                if self.active {
                    self.abort();
                    Ok(())
                } else if self.aborted {
                    Ok(())
                } else {
                    Err(Conflict(
                        "abort: no canary was begun here; `end` ends an unknown state".into(),
                    ))
                }
            }
            Action::End => {
                *self = Canary {
                    maintenance: self.maintenance,
                    asleep: self.asleep,
                    // What was under test is the stable pack from here on only if the
                    // operator says so at the next begin; until then nothing is frozen.
                    ..Canary::default()
                };
                Ok(())
            }
            Action::Sleep => {
                if self.active || around.frozen {
                    return Err(Conflict(
                        "sleep: a canary is active or scale-up is frozen; `end` it first".into(),
                    ));
                }
                if around.pause_is_left {
                    return Err(Conflict(
                        "sleep: KEDA's pause of scale-out is still to be taken away here; try \
                         again in a minute"
                            .into(),
                    ));
                }
                self.asleep = true;
                Ok(())
            }
            Action::Wake => {
                self.asleep = false;
                Ok(())
            }
        }
    }

    fn begin(
        &mut self,
        c: &Command,
        around: Circumstances,
        now: Timestamp,
    ) -> Result<(), Conflict> {
        let wanted = Canary {
            active: true,
            aborted: false,
            maintenance: self.maintenance,
            asleep: false,
            weight: Some(c.weight.unwrap_or(0.0)),
            begun_weight: Some(c.weight.unwrap_or(0.0)),
            az: c.az.clone(),
            gateway_version: c.gateway_version.clone(),
            skill_hash: c.skill_hash.clone(),
            stable_skill_hash: c.stable_skill_hash.clone(),
            stable_replicas: c.stable_replicas,
            begun_at: Some(now),
            queue_at_weight: around.queue_depth,
        };
        if self.active {
            let same = Canary {
                begun_at: self.begun_at,
                queue_at_weight: self.queue_at_weight,
                weight: self.weight,
                ..wanted
            };
            return if *self == same {
                Ok(())
            } else {
                Err(Conflict("begin: a canary with other values is active; `end` it first".into()))
            };
        }
        if self.aborted {
            return Err(Conflict("begin: the last canary was aborted; `end` it first".into()));
        }
        if around.frozen {
            return Err(Conflict(
                "begin: scale-up is frozen; wait until the gateway is healthy, or `end` an unknown state".into(),
            ));
        }
        *self = wanted;
        Ok(())
    }

    fn set_weight(&mut self, weight: f64, around: Circumstances) -> Result<(), Conflict> {
        if !self.active {
            return Err(Conflict("weight: no canary is active; `begin` one first".into()));
        }
        if weight > self.weight.unwrap_or(0.0) {
            if around.degraded || around.frozen {
                return Err(Conflict(
                    "weight: not raised while degraded or frozen; wait for the thaw or `abort`"
                        .into(),
                ));
            }
            if around.queue_grows {
                return Err(Conflict(
                    "weight: not raised while the queue grows; wait until it drains".into(),
                ));
            }
            self.queue_at_weight = around.queue_depth;
        }
        self.weight = Some(weight);
        Ok(())
    }

    pub fn abort(&mut self) {
        self.active = false;
        self.aborted = true;
    }

    /// Whether a gateway in `az` judges the canary's signals.
    pub fn judges(&self, az: &str) -> bool {
        self.active && self.az.as_deref().is_none_or(|a| a == az)
    }

    /// The skill pack that answers of a slice must come from while a canary is active.
    pub fn hash_of(&self, slice: Slice) -> Option<&str> {
        let hash = match slice {
            Slice::Canary => &self.skill_hash,
            Slice::Stable => &self.stable_skill_hash,
        };
        hash.as_deref().filter(|_| self.active)
    }

    /// The skill pack that the node in `az` must run, where one is frozen.
    pub fn expected_hash(&self, az: &str) -> Option<&str> {
        if self.judges(az) && self.skill_hash.is_some() {
            self.skill_hash.as_deref()
        } else if self.active {
            self.stable_skill_hash.as_deref()
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);

    #[rstest]
    #[case(r#"{"action":"end"}"#)]
    #[case(r#"{"action":"begin","weight":0.1,"az":"a","skill_hash":"c4","stable_skill_hash":"9a","stable_replicas":6}"#)]
    #[case(r#"{"action":"weight","weight":1}"#)]
    #[case(r#"{"action":"maintenance","maintenance":true}"#)]
    fn accepts(#[case] body: &str) {
        Command::parse(body.as_bytes()).unwrap();
    }

    #[rstest]
    #[case("", "EOF")]
    #[case(r#"{"action":"start"}"#, "action: unknown variant `start`")]
    #[case(r#"{"action":"weight"}"#, "weight: `weight` needs it")]
    #[case(r#"{"action":"weight","weight":1.1}"#, "weight: 1.1 is outside")]
    #[case(r#"{"action":"end","weight":0.1}"#, "weight: `end` does not take it")]
    #[case(r#"{"action":"begin","stable_replicas":-1}"#, "stable_replicas: ")]
    #[case(r#"{"action":"begin","skill_hash":""}"#, "skill_hash: is empty")]
    #[case(r#"{"action":"begin","colour":"red"}"#, "unknown field `colour`")]
    fn names_what_is_wrong(#[case] body: &str, #[case] expected: &str) {
        let e = Command::parse(body.as_bytes()).unwrap_err();
        assert!(e.contains(expected), "{e}");
    }

    fn active() -> Canary {
        let mut c = Canary::default();
        let begin = Command { weight: Some(0.1), ..Command::new(Action::Begin) };
        c.apply(&begin, Circumstances::default(), NOW).unwrap();
        c
    }

    const FROZEN: Circumstances = Circumstances {
        frozen: true,
        degraded: true,
        queue_grows: false,
        pause_is_left: false,
        queue_depth: None,
    };
    const GROWING: Circumstances = Circumstances {
        frozen: false,
        degraded: false,
        queue_grows: true,
        pause_is_left: false,
        queue_depth: Some(40),
    };
    const CALM: Circumstances = Circumstances {
        frozen: false,
        degraded: false,
        queue_grows: false,
        pause_is_left: false,
        queue_depth: Some(3),
    };

    fn weight(w: f64) -> Command {
        Command { weight: Some(w), ..Command::new(Action::Weight) }
    }

    #[rstest]
    #[case::begin_while_frozen(Canary::default(), Command::new(Action::Begin), FROZEN, false)]
    #[case::begin_while_aborted(Canary { aborted: true, ..Canary::default() }, Command::new(Action::Begin), CALM, false)]
    #[case::begin_with_other_values(active(), Command { az: Some("b".into()), ..Command::new(Action::Begin) }, CALM, false)]
    #[case::begin_with_another_weight(active(), Command { weight: Some(0.5), ..Command::new(Action::Begin) }, CALM, false)]
    #[case::begin_twice(active(), Command { weight: Some(0.1), ..Command::new(Action::Begin) }, CALM, true)]
    #[case::weight_while_inactive(Canary::default(), weight(0.1), CALM, false)]
    #[case::higher_weight_while_frozen(active(), weight(0.2), FROZEN, false)]
    #[case::higher_weight_while_queue_grows(active(), weight(0.2), GROWING, false)]
    #[case::lower_weight_while_frozen(active(), weight(0.05), FROZEN, true)]
    #[case::same_weight_twice(active(), weight(0.1), FROZEN, true)]
    #[case::higher_weight(active(), weight(0.2), CALM, true)]
    #[case::abort(active(), Command::new(Action::Abort), FROZEN, true)]
    #[case::abort_twice(Canary { aborted: true, ..Canary::default() }, Command::new(Action::Abort), CALM, true)]
    #[case::abort_nothing(Canary::default(), Command::new(Action::Abort), CALM, false)]
    #[case::end_twice(Canary::default(), Command::new(Action::End), FROZEN, true)]
    #[case::sleep_while_active(active(), Command::new(Action::Sleep), CALM, false)]
    #[case::sleep_while_frozen(Canary::default(), Command::new(Action::Sleep), FROZEN, false)]
    #[case::sleep(Canary::default(), Command::new(Action::Sleep), CALM, true)]
    fn commands(
        #[case] mut canary: Canary,
        #[case] c: Command,
        #[case] around: Circumstances,
        #[case] ok: bool,
    ) {
        assert_eq!(canary.apply(&c, around, NOW).is_ok(), ok);
    }

    #[test]
    fn only_end_clears_aborted() {
        let mut c = active();
        c.apply(&Command::new(Action::Abort), CALM, NOW).unwrap();
        c.apply(&Command::new(Action::Wake), CALM, NOW).unwrap();
        assert!(c.aborted && !c.active);
        c.apply(&Command::new(Action::End), CALM, NOW).unwrap();
        assert!(!c.aborted);
    }

    #[test]
    fn a_gateway_outside_the_az_judges_nothing_and_runs_stable() {
        let c = Canary {
            active: true,
            az: Some("a".into()),
            skill_hash: Some("new".into()),
            stable_skill_hash: Some("old".into()),
            ..Canary::default()
        };
        assert!(c.judges("a") && !c.judges("b"));
        assert_eq!((c.expected_hash("a"), c.expected_hash("b")), (Some("new"), Some("old")));
    }
}
