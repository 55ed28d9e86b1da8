//! A ConfigMap that may hold a lane's state.

use super::object::{alike, Object};
use gate::break_glass::{Override, OVERRIDE_KEY};
use gate::lane::Unknown;
use gate::time::Timestamp;
use gate::verdict::{Verdict, LANE_LABEL, VERDICT_KEY};

#[derive(Clone, Copy, Debug)]
pub struct ConfigMap<'a>(pub Object<'a>);

impl<'a> ConfigMap<'a> {
    /// Value of the state label.
    pub fn lane(self) -> &'a str {
        self.0.text(&["metadata", "labels", LANE_LABEL])
    }

    /// When the API server made it; `None` where that cannot be read.
    pub fn created(self) -> Option<Timestamp> {
        Timestamp::parse(self.0.text(&["metadata", "creationTimestamp"])).ok()
    }

    /// The verdict of a gateway of the lane.
    ///
    /// # Errors
    /// Why it counts for nothing. Without the lane's label nobody may have judged who wrote it.
    pub fn verdict(self, lane: &str) -> Result<Verdict, Unknown> {
        if self.lane() != lane {
            return Err(Unknown::Malformed(format!("its label {LANE_LABEL} is not {lane}")));
        }
        let text = self.0.at(&["data", VERDICT_KEY]).as_str();
        let text =
            text.ok_or_else(|| Unknown::Malformed(format!("data.{VERDICT_KEY} is not there")))?;
        Verdict::parse(text).map_err(Unknown::Malformed)
    }

    /// The override of the lane. One that cannot be read excuses nothing, nor does one that
    /// was deleted and that a finalizer keeps.
    pub fn break_glass(self, lane: &str) -> Option<Override> {
        let is_deleted = !self.0.at(&["metadata", "deletionTimestamp"]).is_null();
        if is_deleted || self.lane() != lane {
            return None;
        }
        Override::parse(self.override_text(), self.created()?).ok()
    }

    /// Whether everything that the policy reads, or that keeps the writer from
    /// writing again, is the same.
    pub fn says_the_same_as(self, old: ConfigMap) -> bool {
        self.lane() == old.lane()
            && ["data", "binaryData", "immutable"]
                .iter()
                .all(|key| alike(self.0.at(&[key]), old.0.at(&[key])))
    }

    pub fn override_text(self) -> &'a str {
        self.0.text(&["data", OVERRIDE_KEY])
    }

    /// The gateway that the verdict names; `None` where no verdict can be read,
    /// which freezes by itself.
    pub fn gateway(self) -> Option<String> {
        let verdict = gate::parse::tree(self.0.text(&["data", VERDICT_KEY]).as_bytes()).ok()?;
        Some(gate::parse::get(&verdict, "gateway").as_str()?.to_owned())
    }
}
