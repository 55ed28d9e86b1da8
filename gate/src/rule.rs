//! The names of the admission rules.
//!
//! Names are data: kebab case for users, snake case for files. One table maps
//! them; what a rule does is in the policy's `rules/` folder, one file each.

crate::named_enum! {
    /// Every admission rule, in the order in which the first match names a rejection.
    pub enum Rule {
        RedGate = "red-gate",
        CapFrozen = "cap-frozen",
        CanaryCap = "canary-cap",
        CeilingBypass = "ceiling-bypass",
        ScaleTarget = "scale-target",
        QueueTrigger = "queue-trigger",
        Cooldown = "cooldown",
        ReplicaFloor = "replica-floor",
        SkillLock = "skill-lock",
        PromotionFreeze = "promotion-freeze",
        StateOwner = "state-owner",
    }
}
