//! The lease holder's tick: fetch all, one call of the judge, perform what follows.

use super::errands::Errands;
use super::stats::Stats;
use super::watch;
use crate::config::Config;
use crate::host::{self, Level};
use crate::outbound::config_map::{self, Publication, Published, Recovered};
use crate::outbound::{self, Call, Reply};
use crate::retry::{self, Pace, TOLD_AFTER};
use crate::shared::{self, State};
use gate::document::{Merged, Observer};
use gate::judge::Judge;
use gate::time::Timestamp;
use gate::verdict::Verdict;
use std::collections::BTreeMap;
use std::time::Duration;

/// Nothing is published while the wall clock reads earlier than this module is old.
const BUILT_AT: Timestamp = Timestamp::from_secs(1_767_225_600); // 2026-01-01T00:00:00Z
/// A verdict that did not change is renewed this often, seconds, spread by ± 10 s.
const RENEW_S: u64 = 60;
const RENEW_SPREAD_PCT: u64 = 16;
const TIMEOUT: Duration = Duration::from_secs(5);

/// What an endpoint VM keeps between ticks; all of it may be lost with the VM.
#[derive(Default)]
pub struct Holder {
    inflight: Option<(u32, Sent)>,
    /// Writes in a row that somebody else's came before.
    conflicts: u32,
    pace: Pace,
    stepped_at: Option<Timestamp>,
    errands: Errands,
    stats: Stats,
    /// When intruders and tokens were last looked at.
    looked_at: Pace,
}

/// `maxReplicaCount` before it was lowered, by ScaledObject.
type Originals = BTreeMap<String, u32>;

enum Sent {
    Get,
    Publish { number: u64, digests: u64, originals: Originals, verdict: Box<Verdict> },
}

impl Holder {
    /// One tick of an endpoint VM: judges if this VM holds the lease, and if
    /// time or a command says so.
    pub fn tick(&mut self, vm: u64, config: &Config, now: Timestamp) {
        let since_ms = self.stepped_at.map(|at| now.millis() - at.millis());
        let tick_ms = i64::try_from(config.windows.tick_s * 1000).unwrap_or(i64::MAX);
        let due = since_ms.is_none_or(|ms| ms < 0 || ms + 250 >= tick_ms);
        let commanded = || {
            let applied = shared::state().map_or(0, |s| s.applied);
            !shared::commands_after(applied).is_empty()
        };
        if !due && !commanded() && !self.retries_a_command(now) {
            return;
        }
        self.stepped_at = Some(now);
        let Some(lease) = shared::claim_lease(vm, now, config.windows.tick_s) else {
            return;
        };
        let identity =
            format!("{}/{}/{}", config.lane.namespace, config.lane.name, config.gateway.id);
        let (mut state, cas) = shared::state_to_change(&identity, now, config.publish.is_none());
        let merge = shared::merge_slots(config.windows, now);
        state.ends.look(&merge.looks, now, config.windows.tick_s);
        state.judge.put_seen_hashes(merge.hashes.clone());
        if let Some(facts) = shared::facts() {
            state.judge.put_facts(facts, now);
        }
        if state.recovered {
            apply_commands(&mut state, config, now);
        }
        let judge_config = config.judge_config();
        state.judge.step(&merge.window, &judge_config, now);
        let observer = Observer {
            workers: merge.workers,
            workers_expected: config.workers,
            latency: merge.latency,
            unclassified: 0,
            publish_failures: state.publish_failures,
            restarts: state.ends.count + lease.moves,
            unreadable_slots: merge.unreadable,
            previous_token_last_used: shared::token_uses().previous,
            ..Observer::default()
        };
        let mut merged = state.judge.document(&merge.window, &judge_config, observer, now);
        if !state.recovered {
            merged = merged.before_recovery();
        }
        let verdict = state.judge.verdict(&judge_config, now);
        if config.publish.is_none() {
            state.published = state.applied;
        }
        if !shared::put_state(&state, cas) {
            // The next tick sees what was written meanwhile; commands wait until then.
            return;
        }
        match serde_json::to_vec(&merged) {
            Ok(json) => shared::put_document(&json, now),
            Err(e) => host::log(Level::Error, &format!("the document cannot be written: {e}")),
        }
        if self.looked_at.is_due(now) {
            self.looked_at.done(now, config.windows.poll_s);
            watch::tokens(config, now);
        }
        self.stats.record(&merged);
        let is_published = state.published >= state.applied
            && state.published_originals == state.judge.caps.originals
            && state.last_verdict.as_ref().is_some_and(|last| !verdict.differs(last));
        self.errands.run(config, &state, is_published, now);
        self.publish(config, &state, &merged, verdict, now);
    }

    /// Whether a command waits for its verdict to be published, and may be tried
    /// again now. Its caller waits ten seconds: a tick of five would be half of them.
    fn retries_a_command(&self, now: Timestamp) -> bool {
        self.inflight.is_none()
            && self.pace.is_due(now)
            && shared::state().is_some_and(|s| !s.superseded && s.published < s.applied)
    }

    fn publish(
        &mut self,
        config: &Config,
        state: &State,
        merged: &Merged,
        verdict: Verdict,
        now: Timestamp,
    ) {
        if self.inflight.is_some() || state.superseded || now < BUILT_AT {
            return;
        }
        if !self.pace.is_due(now) {
            return;
        }
        if !state.recovered {
            self.send(config, config_map::get(config), Sent::Get, now);
            return;
        }
        let renew_s =
            retry::spread(RENEW_S, RENEW_SPREAD_PCT, state.judge.epoch ^ (now.secs() / RENEW_S));
        let due = state.published < state.applied
            || state.published_digests != state.judge.outbox.number
            || state.published_originals != state.judge.caps.originals
            || state.last_verdict.as_ref().is_none_or(|last| {
                verdict.differs(last)
                    || now.since(last.observed_at) >= i64::try_from(renew_s).unwrap_or(i64::MAX)
                    || now < last.observed_at
            });
        if !due {
            return;
        }
        let publication = Publication { verdict: &verdict, merged, judge: &state.judge };
        let call = match &state.resource_version {
            Some(version) => publication.patch(config, version),
            None => publication.create(config),
        };
        match call {
            Ok(call) => {
                let sent = Sent::Publish {
                    number: state.applied,
                    digests: state.judge.outbox.number,
                    originals: state.judge.caps.originals.clone(),
                    verdict: Box::new(verdict),
                };
                self.send(config, call, sent, now);
            }
            Err(e) => host::log(Level::Error, &format!("the verdict cannot be written: {e}")),
        }
    }

    fn send(&mut self, config: &Config, call: Call, sent: Sent, now: Timestamp) {
        let Some(publish) = &config.publish else {
            return;
        };
        match host::call(&publish.cluster, &call.headers(&publish.authority), &call.body, TIMEOUT) {
            Ok(token) => self.inflight = Some((token, sent)),
            Err(status) => self.failed(
                &format!("publish.cluster: the proxy takes no call to `{}` (status {status}); is the cluster defined?", publish.cluster),
                0,
                now,
            ),
        }
    }

    /// The reply to a call of this VM.
    pub fn reply(&mut self, token: u32, reply: &Reply, config: &Config, now: Timestamp) {
        if self.errands.reply(token, reply, config, now) {
            return;
        }
        let Some((_, sent)) = self.inflight.take_if(|(t, _)| *t == token) else {
            return;
        };
        match sent {
            Sent::Get => self.got(reply, now),
            Sent::Publish { number, digests, originals, verdict } => {
                let up_to = (number, digests, originals);
                self.published(reply, up_to, &verdict, config, now);
            }
        }
    }

    fn got(&mut self, reply: &Reply, now: Timestamp) {
        let (judge, theirs, version) = match config_map::read(reply, now) {
            Recovered::Failed(why) => {
                self.failed(
                    &format!("the gateway's state cannot be read: {why}"),
                    reply.retry_after_ms,
                    now,
                );
                return;
            }
            Recovered::Absent => {
                host::log(
                    Level::Warn,
                    "the gateway has no state yet: frozen until an operator's `end`",
                );
                (None, 0, None)
            }
            Recovered::Malformed { why, epoch, resource_version } => {
                host::log(Level::Warn, &format!("the gateway's state is malformed ({why}): frozen until an operator's `end`"));
                let mut judge = Judge::unknown(now);
                judge.epoch = judge.epoch.max(epoch.saturating_add(1));
                (Some(judge), epoch, Some(resource_version))
            }
            Recovered::State { judge, epoch, resource_version } => {
                (Some(*judge), epoch, Some(resource_version))
            }
        };
        // One that is read and cannot be written is no success yet.
        if self.conflicts < 2 {
            self.succeeded();
        }
        shared::update_state(|state| {
            let ours = state.judge.epoch;
            if !state.recovered {
                if let Some(judge) = &judge {
                    state.adopt(judge.clone(), now);
                }
            } else if theirs > ours {
                // A newer process: it alone speaks from now on.
                state.superseded = true;
            } else if theirs == ours && state.last_verdict.is_none() {
                // Two processes of the same second, or this one's own first
                // write, whose reply was lost: a higher epoch is right for both.
                state.judge.epoch = ours.saturating_add(1);
            } else if theirs < ours && state.last_verdict.is_none() {
                // An older process wrote after this one read, and this one has
                // said nothing yet: that is the later word.
                if let Some(mut judge) = judge.clone() {
                    judge.epoch = ours;
                    state.adopt(judge, now);
                }
            }
            // Else it is this process' own write, whose reply was lost, or an
            // older process spoke after this one: only the version is taken.
            state.resource_version.clone_from(&version);
            state.recovered = true;
        });
    }

    fn published(
        &mut self,
        reply: &Reply,
        (number, digests, originals): (u64, u64, Originals),
        verdict: &Verdict,
        config: &Config,
        now: Timestamp,
    ) {
        match config_map::published(reply) {
            Published::Done { resource_version } => {
                self.conflicts = 0;
                self.succeeded();
                shared::update_state(|state| {
                    state.published = state.published.max(number);
                    state.published_digests = digests;
                    state.published_originals.clone_from(&originals);
                    state.last_verdict = Some(verdict.clone());
                    state.resource_version.clone_from(&resource_version);
                });
            }
            Published::Conflict => {
                self.conflicts = self.conflicts.saturating_add(1);
                if self.conflicts > 1 {
                    let why = format!(
                        "the verdict is not published: somebody else writes it ({})",
                        outbound::describe(reply)
                    );
                    self.failed(&why, reply.retry_after_ms, now);
                }
                self.send(config, config_map::get(config), Sent::Get, now);
            }
            Published::Gone => {
                let why = outbound::describe(reply);
                let creating = shared::state().is_none_or(|s| s.resource_version.is_none());
                let what =
                    if creating { "cannot be created" } else { "is gone and is created anew" };
                self.failed(&format!("the gateway's ConfigMap {what}: {why}"), 0, now);
                shared::update_state(|state| state.resource_version = None);
            }
            Published::Refused(why) => {
                self.failed(
                    &format!("the verdict is not published: {why}"),
                    reply.retry_after_ms,
                    now,
                );
            }
        }
    }

    fn succeeded(&mut self) {
        self.pace.succeeded();
    }

    fn failed(&mut self, why: &str, asked_ms: u64, now: Timestamp) {
        let delay_ms = self.pace.failed(now, now.millis().unsigned_abs(), asked_ms);
        let attempts = self.pace.attempts();
        shared::update_state(|state| {
            state.publish_failures += 1;
            if attempts == TOLD_AFTER {
                state.judge.publish_failed(why, now);
            }
        });
        host::log(Level::Warn, &format!("{why}; attempt {} in {delay_ms} ms", attempts + 1));
    }
}

fn apply_commands(state: &mut State, config: &Config, now: Timestamp) {
    let judge_config = config.judge_config();
    for (number, command) in shared::commands_after(state.applied) {
        if state.outcomes.iter().any(|(n, _)| *n == number) {
            // Its caller was told of a conflict; it must not take effect later.
            state.applied = number;
            continue;
        }
        let outcome = state.judge.command(&command, &judge_config, now);
        host::log(
            Level::Info,
            &format!(
                "canary {}: {}",
                command.action.name(),
                outcome.as_ref().map_or_else(|c| c.0.clone(), |()| "applied".to_owned())
            ),
        );
        state.note_outcome(number, outcome.err().map(|c| c.0));
    }
}
