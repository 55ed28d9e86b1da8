//! Objects that an edit rests on, and that no request carries.
//!
//! Both are read only where an edit would else be refused, past every cache, one object by
//! its name. One that cannot be read leaves the edit refused, and the message says why.

use crate::change::{Change, Lift, LookUp};
use crate::lifts;
use crate::objects::hpa::Hpa;
use crate::objects::scaled_object::ScaledObject;
use crate::objects::{workload, Object};
use crate::request::Request;
use gate::parse::tree;

/// The change as it is once the object is known; `None` where it is none.
pub fn settle<'a>(
    look_up: &LookUp,
    change: &Change<'a>,
    request: &Request,
    read: Result<Vec<u8>, String>,
) -> Option<Change<'a>> {
    let object = match &read {
        Ok(bytes) => tree(bytes),
        Err(e) => Err(e.clone()),
    };
    let concerns = match (&object, look_up) {
        (Err(why), _) => return Some(unread(look_up, change, why)),
        (Ok(object), LookUp::ScaledObject { uid, .. }) => {
            let (hpa, so) = (Hpa(Object(&request.object)), ScaledObject(Object(object)));
            !lifts::hpa::follows(&request.name, hpa, so, uid)
        }
        (Ok(object), LookUp::Rollout { .. }) => {
            let of = workload::workload_ref(Object(object));
            of.zip(change.target).is_some_and(|(r, t)| r.kind == t.kind.name() && r.name == t.name)
        }
    };
    concerns.then(|| Change { look_up: None, ..change.clone() })
}

/// The change, of which each lift says why nothing excuses it.
fn unread<'a>(look_up: &LookUp, change: &Change<'a>, why: &str) -> Change<'a> {
    let (of, name) = look_up.object();
    let note = |lift: &Lift| {
        let note = lift.note.as_ref().map(|n| format!(" {n}")).unwrap_or_default();
        Some(format!("{note} ({} {name} cannot be read: {why})", of.kind()).trim_start().to_owned())
    };
    let lifts = change.lifts.iter().map(|lift| Lift { note: note(lift), ..lift.clone() });
    Change { lifts: lifts.collect(), look_up: None, ..change.clone() }
}
