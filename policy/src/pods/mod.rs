//! The most pods that an object's controller may run at once, over all its steps.
//!
//! A cap on `spec.replicas` is no cap on pods: a Deployment surges, a Rollout runs
//! its canary beside the stable pods, a ScaledJob adds its minimum to its maximum.
//! So each kind has one formula, taken from the code of the controller that makes
//! the pods, and an edit is a raise when the formula gives more for the new object
//! than for the old. A list of fields that are known to raise was rejected: every
//! field that was not on it was a way up.
//!
//! Pods that are being terminated are not counted. Neither Kubernetes nor KEDA nor
//! Argo Rollouts counts them when it decides how many to make.

pub mod deployment;
pub mod job;
pub mod rollout;
pub mod scaled_job;
pub mod stateful_set;
pub mod surge;

use crate::objects::Object;
use gate::parse::Json;
use std::fmt;

/// A number of pods. Nothing is above [`Pods::NO_BOUND`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pods(i64);

impl Pods {
    /// What no field of the object limits.
    pub const NO_BOUND: Pods = Pods(i64::MAX);
    pub const NONE: Pods = Pods(0);

    /// A negative number runs nothing. [`i64::MAX`] is no bound.
    pub fn up_to(n: i64) -> Self {
        Self(n.max(0))
    }

    /// The number; [`i64::MAX`] where there is no bound.
    pub fn number(self) -> i64 {
        self.0
    }

    /// As a message says it before the word pods.
    pub fn at_most(self) -> String {
        match self {
            Pods::NO_BOUND => "any number of".to_owned(),
            Pods(n) => format!("up to {n}"),
        }
    }

    pub fn plus(self, other: Pods) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    pub fn times(self, n: Pods) -> Self {
        Self(self.0.saturating_mul(n.0))
    }
}

impl fmt::Display for Pods {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match *self {
            Pods::NO_BOUND => f.write_str("no bound"),
            Pods(n) => write!(f, "{n}"),
        }
    }
}

/// Path of a field: the keys that lead to it.
pub type FieldPath = &'static [&'static str];

/// A kind's formula: the fields that it depends on, and the most pods for their values.
pub struct Formula<const N: usize> {
    pub fields: [FieldPath; N],
    /// Most pods for the values of `fields` at so many replicas. Kinds without
    /// `spec.replicas` do not look at the second argument.
    pub most: fn(&[&Json; N], i64) -> Pods,
}

/// That an edit lets more pods run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raise {
    /// The field to which it comes down, as in the object.
    pub field: String,
    pub before: Pods,
    pub after: Pods,
}

impl<const N: usize> Formula<N> {
    pub(crate) fn values<'a>(&self, object: Object<'a>) -> [&'a Json<'a>; N] {
        self.fields.map(|path| object.at(path))
    }

    /// The most pods of `object` at so many replicas.
    pub fn of(&self, object: Object, replicas: i64) -> Pods {
        (self.most)(&self.values(object), replicas)
    }

    /// The raise from `old` to `new`, where there is one, both at so many replicas.
    ///
    /// It is put down to the first field that is a raise by itself. Where several
    /// raise only together, it is put down to the last that differs.
    pub fn raise(&self, old: Object, new: Object, replicas: i64) -> Option<Raise> {
        let (before, after) = (self.of(old, replicas), self.of(new, replicas));
        (after > before).then(|| Raise { field: self.reason(old, new, replicas), before, after })
    }

    fn reason(&self, old: Object, new: Object, replicas: i64) -> String {
        let (old, new) = (self.values(old), self.values(new));
        let before = (self.most)(&old, replicas);
        let mut last = "spec".to_owned();
        for (i, (path, (was, is))) in self.fields.iter().zip(old.iter().zip(new)).enumerate() {
            if *was == is {
                continue;
            }
            last = written(path);
            let mut alone = old;
            if let Some(value) = alone.get_mut(i) {
                *value = is;
            }
            if (self.most)(&alone, replicas) > before {
                return last;
            }
        }
        last
    }
}

/// A path as users read it: keys with dots or slashes stand in brackets.
pub fn written(path: &[&str]) -> String {
    let mut text = String::new();
    for key in path {
        if key.contains(['.', '/']) {
            text.push_str(&format!("[{key}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(key);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn no_bound_stays_above_all() {
        let n = Pods::up_to(7);
        assert!(Pods::NO_BOUND > n);
        assert_eq!(Pods::NO_BOUND.plus(n), Pods::NO_BOUND);
        assert_eq!(Pods::NO_BOUND.times(n), Pods::NO_BOUND);
        assert_eq!(Pods::NO_BOUND.times(Pods::NONE), Pods::NONE);
        assert_eq!((Pods::up_to(-3), Pods::NO_BOUND.to_string()), (Pods::NONE, "no bound".into()));
    }

    #[rstest]
    #[case(&["spec", "replicas"], "spec.replicas")]
    #[case(&["metadata", "labels", "a.b/c"], "metadata.labels[a.b/c]")]
    fn paths_as_users_read_them(#[case] path: &[&str], #[case] expected: &str) {
        assert_eq!(written(path), expected);
    }
}
