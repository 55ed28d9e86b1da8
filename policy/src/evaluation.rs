//! Fetch, decide, read again what is in question: the order of look-ups.
//!
//! A list may be old or its watch dead, so before an answer that hurts, and
//! before a ceiling rises, what is in question is read once more. What is read
//! may turn the answer, and then others are in question.

use crate::answer::Answer;
use crate::change::{Change, LookedUp};
use crate::decision::{self, Decision, State};
use crate::fields::{self, Table};
use crate::look_up;
use crate::request::{Input, Kind};
use crate::scope;
use crate::settings::{Lane, Settings};
use gate::break_glass::Override;
use gate::lane::GatewayState;
use gate::time::Timestamp;

/// What can be looked up.
pub trait Lookups {
    /// The state of every gateway of the lane, and its override, by one list.
    fn list(&self, lane: &Lane, now: Timestamp) -> State;
    /// The state of one gateway, past every cache.
    fn state(&self, lane: &Lane, gateway: &GatewayState, now: Timestamp) -> GatewayState;
    /// The lane's override, past every cache.
    fn override_of(&self, lane: &Lane) -> Option<Override>;
    /// One object, past every cache, as JSON.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn object(&self, kind: LookedUp, namespace: &str, name: &str) -> Result<Vec<u8>, String>;
}

/// What the policy answers to a request at a time.
///
/// # Errors
/// The part of the request that cannot be read.
pub fn answer(input: &Input, now: Timestamp, cluster: &dyn Lookups) -> Result<Answer, String> {
    answer_by(input, now, cluster, &fields::table)
}

/// The same by other tables of fields: what a row is worth, a test asks with it.
///
/// # Errors
/// The part of the request that cannot be read.
pub fn answer_by(
    input: &Input,
    now: Timestamp,
    cluster: &dyn Lookups,
    tables: &dyn Fn(Kind) -> Option<Table>,
) -> Result<Answer, String> {
    let settings = &input.settings;
    let mut decisions = Vec::new();
    // The state of the last lane that was asked for: the changes of a lane follow one another.
    let mut listed: Option<(&str, State)> = None;
    for change in scope::changes(settings, &input.request, now, tables)? {
        let decision = decided(settings, &change, &mut listed, now, cluster);
        let Some(look_up) = change.look_up.as_ref().filter(|_| decision.objects()) else {
            decisions.push(decision);
            continue;
        };
        let (kind, name) = look_up.object();
        let read = cluster.object(kind, &change.lane.namespace, name);
        if let Some(known) = look_up::settle(look_up, &change, &input.request, read) {
            decisions.push(decided(settings, &known, &mut listed, now, cluster));
        }
    }
    Ok(Answer::of(settings, &input.request, &decisions))
}

fn decided<'a>(
    settings: &Settings,
    change: &Change<'a>,
    listed: &mut Option<(&'a str, State)>,
    now: Timestamp,
    cluster: &dyn Lookups,
) -> Decision<'a> {
    if !change.asks_for_state(settings) {
        return decision::decide(settings, change, &State::default(), now);
    }
    let state = match listed.take() {
        Some((lane, state)) if lane == change.lane.name => state,
        _ => cluster.list(change.lane, now),
    };
    let (decision, state) = settled(settings, change, state, now, cluster);
    *listed = Some((&change.lane.name, state));
    decision
}

fn settled<'a>(
    settings: &Settings,
    change: &Change<'a>,
    mut state: State,
    now: Timestamp,
    cluster: &dyn Lookups,
) -> (Decision<'a>, State) {
    let mut read = Vec::new();
    let mut override_was_read = false;
    loop {
        let decision = decision::decide(settings, change, &state, now);
        let again = decision::read_again(&decision, change, &state.gateways, &read);
        for gateway in state.gateways.iter_mut().filter(|g| again.contains(&g.id)) {
            *gateway = cluster.state(change.lane, gateway, now);
        }
        let reads_override =
            !override_was_read && decision::read_override_again(settings, &decision);
        if reads_override {
            state.override_ = cluster.override_of(change.lane);
            override_was_read = true;
        }
        if again.is_empty() && !reads_override {
            return (decision, state);
        }
        read.extend(again);
    }
}
