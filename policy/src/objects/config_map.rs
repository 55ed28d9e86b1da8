//! A ConfigMap that may hold a lane's state.

use super::object::{alike, Object};
use gate::break_glass::OVERRIDE_KEY;
use gate::verdict::{LANE_LABEL, VERDICT_KEY};

#[derive(Clone, Copy, Debug)]
pub struct ConfigMap<'a>(pub Object<'a>);

impl<'a> ConfigMap<'a> {
    /// Value of the state label.
    pub fn lane(self) -> &'a str {
        self.0.text(&["metadata", "labels", LANE_LABEL])
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
