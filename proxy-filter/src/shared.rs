//! Shared data: a fixed table of keys, each value with a version.
//!
//! Keys can never be deleted (envoyproxy/envoy #17217), so there are no keys
//! by VM or by configuration. Values are read, changed and written back by
//! compare-and-swap; a race that is lost too often is given up and tried again
//! at the next tick, with nothing dropped.

use crate::ends::{Ends, Look};
use crate::host;
use crate::lease::{self, Lease};
use gate::canary::Command;
use gate::document::Latency;
use gate::facts::Facts;
use gate::judge::Judge;
use gate::snapshot::{self, SeenHash, Slot};
use gate::time::Timestamp;
use gate::verdict::Verdict;
use gate::window::{Bucket, Periods, Window};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Range;

/// Slots for workers. More live workers than this share slots.
pub const SLOTS: u64 = 64;
/// Ticks without a write after which a slot may change its owner.
const SLOT_TICKS: u64 = 3;
/// Attempts at one compare-and-swap.
const ATTEMPTS: u32 = 50;
/// Commands and outcomes kept for callers that still wait.
const KEPT_COMMANDS: usize = 32;

const VM: &str = "cg1/vm";
const LEASE: &str = "cg1/lease";
const STATE: &str = "cg1/state";
const DOCUMENT: &str = "cg1/document";
const COMMANDS: &str = "cg1/commands";
const FACTS: &str = "cg1/facts";
const TOKENS: &str = "cg1/tokens";
/// How often the use of a token is written down, seconds.
const TOKEN_USE_S: i64 = 60;

fn slot_key(slot: u64) -> String {
    format!("cg1/slot/{slot:02}")
}

fn read<T: DeserializeOwned>(key: &str) -> (Option<T>, u32) {
    let (bytes, cas) = host::shared_get(key);
    (bytes.and_then(|b| serde_json::from_slice(&b).ok()), cas)
}

fn write<T: Serialize>(key: &str, value: &T, cas: u32) -> bool {
    serde_json::to_vec(value).is_ok_and(|bytes| host::shared_set(key, &bytes, cas))
}

/// Reads, changes and writes back; `change` returns the new value and a
/// result, or `None` to leave it. `None` too when every race was lost.
fn update<T, R>(key: &str, change: impl Fn(Option<T>) -> Option<(T, R)>) -> Option<R>
where
    T: DeserializeOwned + Serialize,
{
    for _ in 0..ATTEMPTS {
        let (value, cas) = read(key);
        let (value, result) = change(value)?;
        if write(key, &value, cas) {
            return Some(result);
        }
    }
    None
}

thread_local! {
    /// This VM's number, the same for every plugin in it and over pushes.
    static NUMBER: Cell<u64> = const { Cell::new(0) };
}

/// A number that no other VM of this process has; 0 when every race was lost,
/// which only makes this VM take slots and leases under that number.
pub fn vm_number() -> u64 {
    if NUMBER.get() == 0 {
        let taken = update(VM, |n: Option<u64>| {
            let next = n.unwrap_or(0) + 1;
            Some((next, next))
        });
        NUMBER.set(taken.unwrap_or(0));
    }
    NUMBER.get()
}

/// Takes or renews the judge's lease.
pub fn claim_lease(vm: u64, now: Timestamp, tick_s: u64) -> Option<Lease> {
    update(LEASE, |current| {
        let lease = lease::claim(current, vm, now, tick_s)?;
        Some((lease, lease))
    })
}

/// What a worker knows of its slot.
#[derive(Default)]
pub struct SlotHandle {
    number: Option<u64>,
}

/// What a worker says of itself when it writes.
#[derive(Clone, Copy)]
pub struct Writer<'a> {
    pub vm: u64,
    pub latency: Option<Latency>,
    pub windows: Periods,
    /// Skill hashes that it saw since it last wrote.
    pub hashes: &'a [SeenHash],
}

impl SlotHandle {
    /// Adds what a worker counted to its slot; takes a slot first where it has
    /// none or lost it. Whether it was written; if not, the caller keeps it.
    pub fn add(&mut self, writer: &Writer<'_>, bucket: &Bucket, now: Timestamp) -> bool {
        let tick_s = writer.windows.tick_s;
        for _ in 0..ATTEMPTS {
            let (number, shared) = match self.number {
                Some(number) => (number, false),
                None => match free_slot(writer.vm, now, tick_s) {
                    Some(number) => (number, false),
                    // More live workers than slots: share one.
                    None => (writer.vm % SLOTS, true),
                },
            };
            self.number = None;
            let key = slot_key(number);
            let (bytes, cas) = host::shared_get(&key);
            let mut slot = match bytes.map(|b| Slot::decode(&b)) {
                None => Slot::default(),
                Some(Ok(slot)) => slot,
                // Another version's, not ours to overwrite.
                Some(Err(_)) if shared => return false,
                Some(Err(_)) => continue,
            };
            let is_another = slot.owner != writer.vm && slot.owner != 0;
            if is_another && !shared && is_fresh(&slot, now, tick_s) {
                continue; // Taken over by another worker meanwhile.
            }
            if slot.bucket_s != writer.windows.bucket_s() {
                slot.bucket_s = writer.windows.bucket_s();
                slot.window = Window::default();
            }
            slot.owner = writer.vm;
            slot.seen_at_ms = now.millis();
            slot.latency = writer.latency;
            writer.hashes.iter().for_each(|h| snapshot::see(&mut slot.hashes, h.clone()));
            if !bucket.is_empty() {
                slot.window.add(bucket);
            }
            slot.window.trim(writer.windows.bucket_at(now));
            let Ok(bytes) = slot.encode() else {
                return false;
            };
            if host::shared_set(&key, &bytes, cas) {
                self.number = (!shared).then_some(number);
                return true;
            }
        }
        false
    }
}

fn is_fresh(slot: &Slot, now: Timestamp, tick_s: u64) -> bool {
    let age = now.millis().saturating_sub(slot.seen_at_ms);
    age <= i64::try_from(SLOT_TICKS * tick_s * 1000).unwrap_or(i64::MAX)
}

/// The first slot that is free or whose owner is gone. A slot of a version that
/// this module does not know is neither.
fn free_slot(vm: u64, now: Timestamp, tick_s: u64) -> Option<u64> {
    (0..SLOTS).find(|n| match host::shared_get(&slot_key(*n)).0 {
        None => true,
        Some(bytes) => {
            Slot::decode(&bytes).is_ok_and(|slot| slot.owner == vm || !is_fresh(&slot, now, tick_s))
        }
    })
}

/// All workers' counters, merged.
#[derive(Default)]
pub struct Merge {
    pub window: Window,
    /// Workers that wrote lately.
    pub workers: u32,
    pub latency: Option<Latency>,
    /// Every slot's owner, and whether it wrote lately.
    pub looks: Vec<Look>,
    pub unreadable: u64,
    pub hashes: Vec<SeenHash>,
}

pub fn merge_slots(windows: Periods, now: Timestamp) -> Merge {
    let mut merge = Merge::default();
    for n in 0..SLOTS {
        // Slots are taken in order, so the first that is empty ends the table.
        let Some(bytes) = host::shared_get(&slot_key(n)).0 else {
            break;
        };
        match Slot::decode(&bytes) {
            Ok(slot) => {
                let alive = is_fresh(&slot, now, windows.tick_s);
                merge.looks.push(Look { slot: n, owner: slot.owner, alive });
                // Written under another window length: counted again from the worker's next write.
                if slot.bucket_s != windows.bucket_s() {
                    merge.unreadable += u64::from(alive);
                    continue;
                }
                merge.latency = slot.latency.or(merge.latency);
                merge.workers += u32::from(alive);
                merge.window.merge(&slot.window);
                slot.hashes.into_iter().for_each(|h| snapshot::see(&mut merge.hashes, h));
            }
            Err(_) => merge.unreadable += 1,
        }
    }
    merge.window.trim(windows.bucket_at(now));
    merge
}

/// Workers that wrote nothing for so long, in seconds, with that time. One that
/// is silent for longer has ended, and another took its place.
pub fn late_workers(now: Timestamp, silent_s: Range<i64>) -> Vec<(u64, i64)> {
    let slots = (0..SLOTS).map_while(|n| host::shared_get(&slot_key(n)).0);
    slots
        .filter_map(|bytes| Slot::decode(&bytes).ok())
        .map(|slot| (slot.owner, now.since(Timestamp::from_millis(slot.seen_at_ms))))
        .filter(|(_, age_s)| silent_s.contains(age_s))
        .collect()
}

/// What callers did with their tokens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TokenUses {
    /// When one was last used by a digest that was rotated away.
    pub previous: Option<Timestamp>,
    /// Who asked for a measurement that is another's, and how often since the last digest.
    intruders: BTreeMap<String, u32>,
}

pub fn token_uses() -> TokenUses {
    read(TOKENS).0.unwrap_or_default()
}

pub fn note_previous_token(now: Timestamp) {
    update(TOKENS, |uses: Option<TokenUses>| {
        let mut uses = uses.unwrap_or_default();
        let is_new = uses.previous.is_none_or(|at| !(0..TOKEN_USE_S).contains(&now.since(at)));
        uses.previous = Some(now);
        is_new.then_some((uses, ()))
    });
}

/// Names are those of configured tokens, so there are few.
pub fn note_intruder(name: &str) {
    update(TOKENS, |uses: Option<TokenUses>| {
        let mut uses = uses.unwrap_or_default();
        let times = uses.intruders.entry(name.to_owned()).or_default();
        *times = times.saturating_add(1);
        Some((uses, ()))
    });
}

/// Who intruded since this was last asked.
pub fn take_intruders() -> BTreeMap<String, u32> {
    update(TOKENS, |uses: Option<TokenUses>| {
        let mut uses = uses.filter(|u| !u.intruders.is_empty())?;
        let intruders = std::mem::take(&mut uses.intruders);
        Some((uses, intruders))
    })
    .unwrap_or_default()
}

/// What the lease holder hands to the next one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Lane and gateway; under another name this is somebody else's state.
    pub identity: String,
    pub judge: Judge,
    /// The own ConfigMap was read, or there is none to read.
    pub recovered: bool,
    /// Another process with a higher epoch publishes: this one is silent for good.
    #[serde(default)]
    pub superseded: bool,
    /// Number of the last command applied, and of the last one published.
    pub applied: u64,
    pub published: u64,
    /// Number of the last digest that the API server keeps a copy of.
    #[serde(default)]
    pub published_digests: u64,
    /// What was there before caps were lowered, as the API server keeps it.
    #[serde(default)]
    pub published_originals: BTreeMap<String, u32>,
    /// What became of the last commands: the conflict, or none.
    #[serde(default)]
    pub outcomes: Vec<(u64, Option<String>)>,
    #[serde(default)]
    pub last_verdict: Option<Verdict>,
    #[serde(default)]
    pub resource_version: Option<String>,
    #[serde(default)]
    pub publish_failures: u64,
    #[serde(default)]
    pub ends: Ends,
}

impl State {
    pub fn new(identity: String, now: Timestamp, recovered: bool) -> Self {
        Self {
            identity,
            judge: Judge::unknown(now),
            recovered,
            superseded: false,
            applied: 0,
            published: 0,
            published_digests: 0,
            published_originals: BTreeMap::new(),
            outcomes: Vec::new(),
            last_verdict: None,
            resource_version: None,
            publish_failures: 0,
            ends: Ends::default(),
        }
    }

    /// Takes another judge's state for its own, with the newer facts of both.
    /// What was applied and not published is applied anew, conflicts excepted.
    pub fn adopt(&mut self, judge: Judge, now: Timestamp) {
        let facts = self.judge.facts.take();
        let outbox = std::mem::take(&mut self.judge.outbox);
        self.judge = judge;
        if self.recovered {
            // Told by this process while another one still spoke.
            self.judge.outbox.take_over(outbox);
        }
        if let Some(facts) = facts {
            self.judge.put_facts(facts, now);
        }
        self.applied = self.published;
        self.outcomes.retain(|(n, conflict)| *n <= self.published || conflict.is_some());
    }

    pub fn note_outcome(&mut self, number: u64, outcome: Option<String>) {
        self.applied = number;
        self.outcomes.push((number, outcome));
        let surplus = self.outcomes.len().saturating_sub(KEPT_COMMANDS);
        self.outcomes.drain(..surplus);
    }
}

pub fn state() -> Option<State> {
    read(STATE).0
}

/// The state and the number to write it back with; a new one where there is
/// none, or one that is another gateway's or of an unknown form. Commands that
/// were meant for that one are done: an old `end` must not open a new gate.
pub fn state_to_change(identity: &str, now: Timestamp, recovered: bool) -> (State, u32) {
    let (bytes, cas) = host::shared_get(STATE);
    let existed = bytes.is_some();
    let state = bytes
        .and_then(|b| serde_json::from_slice::<State>(&b).ok())
        .filter(|s| s.identity == identity);
    let state = state.unwrap_or_else(|| {
        let mut state = State::new(identity.to_owned(), now, recovered);
        if existed {
            let (queue, _) = read::<Commands>(COMMANDS);
            state.applied = queue.map_or(0, |q| q.last);
            state.published = state.applied;
        }
        state
    });
    (state, cas)
}

/// Writes the state unless somebody did since it was read: the lease moved
/// then, or a reply came in, and this VM's view is void.
pub fn put_state(state: &State, cas: u32) -> bool {
    write(STATE, state, cas)
}

/// Changes the state in place, as the holder of the lease.
pub fn update_state(change: impl Fn(&mut State)) {
    update(STATE, |state: Option<State>| {
        let mut state = state?;
        change(&mut state);
        Some((state, ()))
    });
}

/// The served document behind the time it was observed at.
pub fn put_document(json: &[u8], observed_at: Timestamp) {
    let mut value = observed_at.millis().to_le_bytes().to_vec();
    value.extend_from_slice(json);
    let cas = host::shared_get(DOCUMENT).1;
    if !host::shared_set(DOCUMENT, &value, cas) {
        host::log(host::Level::Warn, "the document was written by another worker meanwhile");
    }
}

pub fn document() -> Option<(Timestamp, Vec<u8>)> {
    let bytes = host::shared_get(DOCUMENT).0?;
    let (at, json) = bytes.split_first_chunk::<8>()?;
    Some((Timestamp::from_millis(i64::from_le_bytes(*at)), json.to_vec()))
}

#[derive(Default, Serialize, Deserialize)]
struct Commands {
    last: u64,
    waiting: Vec<(u64, Command)>,
}

/// Appends a command; its number, or none where too many wait or every race was lost.
pub fn append_command(command: &Command) -> Option<u64> {
    let applied = state().map_or(0, |s| s.applied);
    update(COMMANDS, |queue: Option<Commands>| {
        let mut queue = queue.unwrap_or_default();
        // The last ones stay for a judge that recovers and applies them anew.
        let done = queue.waiting.iter().filter(|(n, _)| *n <= applied).count();
        if queue.waiting.len() - done >= KEPT_COMMANDS {
            return None;
        }
        let surplus = (queue.waiting.len() + 1).saturating_sub(KEPT_COMMANDS).min(done);
        queue.waiting.drain(..surplus);
        queue.last += 1;
        queue.waiting.push((queue.last, command.clone()));
        let number = queue.last;
        Some((queue, number))
    })
}

/// Commands above `applied`, in order.
pub fn commands_after(applied: u64) -> Vec<(u64, Command)> {
    let queue: Commands = read(COMMANDS).0.unwrap_or_default();
    queue.waiting.into_iter().filter(|(n, _)| *n > applied).collect()
}

/// Newer facts replace older ones. Whether they are there now.
pub fn put_facts(facts: &Facts, now: Timestamp) -> bool {
    update(FACTS, |current: Option<Facts>| {
        let newest = match current {
            Some(c) if !c.yields_to(facts, now) => c,
            _ => facts.clone(),
        };
        Some((newest, ()))
    })
    .is_some()
}

pub fn facts() -> Option<Facts> {
    read(FACTS).0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What was published stays done, what was refused stays refused, and the
    /// rest is applied anew on the state that was found.
    #[test]
    fn adopting_a_state_applies_anew_what_was_not_published() {
        let now = Timestamp::from_secs(1_795_510_800);
        let mut state = State::new("builds/lane/gw".to_owned(), now, true);
        state.note_outcome(1, None);
        state.published = 1;
        state.note_outcome(2, Some("no canary is active".to_owned()));
        state.note_outcome(3, None);
        state.adopt(Judge::unknown(now), now);
        assert_eq!(state.applied, 1);
        let kept: Vec<u64> = state.outcomes.iter().map(|o| o.0).collect();
        assert_eq!(kept, [1, 2], "3 is applied anew, 2 is not");
    }
}
