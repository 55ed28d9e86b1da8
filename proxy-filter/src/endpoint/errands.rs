//! What the lease holder does beside judging and publishing: sends digests,
//! pulls the queue, reads the worker's replicas, lowers maxima, keeps KEDA's pause.
//!
//! One call of each errand at a time, each with its own back-off: a slow
//! notifier keeps nothing else waiting. An errand that fails is done again.
//! What must not be lost is in the judge's state, so that another holder goes
//! on where this one ended.

use crate::config::Config;
use crate::host::{self, Level};
use crate::outbound::{self, notifier, queue, scaled_object, workload, Call, Reply};
use crate::retry::{Pace, TOLD_AFTER};
use crate::shared::{self, State};
use gate::ceiling::PAUSED_SCALE_OUT;
use gate::judge::Judge;
use gate::pause;
use gate::time::Timestamp;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(5);

/// What a call in flight is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    Digest { id: String },
    Queue,
    Replicas,
    CapRead { scaled_object: String },
    CapWrite { scaled_object: String, from: Option<i64>, to: u32 },
    PauseRead { scaled_object: String },
    PauseWrite { scaled_object: String },
}

/// The errands, by name in logs.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Errand {
    Digest,
    Queue,
    Replicas,
    Cap,
    Pause,
}

impl Sent {
    fn errand(&self) -> Errand {
        match self {
            Sent::Digest { .. } => Errand::Digest,
            Sent::Queue => Errand::Queue,
            Sent::Replicas => Errand::Replicas,
            Sent::CapRead { .. } | Sent::CapWrite { .. } => Errand::Cap,
            Sent::PauseRead { .. } | Sent::PauseWrite { .. } => Errand::Pause,
        }
    }
}

/// Kept by one endpoint VM; all of it may be lost with the VM.
#[derive(Default)]
pub struct Errands {
    inflight: Vec<(u32, Sent)>,
    queue: Pace,
    replicas: Pace,
    cap: Pace,
    pause: Pace,
}

impl Errands {
    /// Sends what is due. `published` says that the API server has the verdict
    /// and the caps' originals as they are: maxima are lowered after that.
    pub fn run(&mut self, config: &Config, state: &State, published: bool, now: Timestamp) {
        self.pull_queue(config, now);
        // Before it was read what was told there is not known; after a newer
        // process spoke it is that one's to tell.
        if state.recovered && !state.superseded {
            self.send_digest(config, state, now);
            self.read_replicas(config, now);
            if published {
                self.lower_cap(config, state, now);
                self.look_at_pause(config, state, now);
            }
        }
    }

    fn is_out(&self, errand: Errand) -> bool {
        self.inflight.iter().any(|(_, sent)| sent.errand() == errand)
    }

    fn send_digest(&mut self, config: &Config, state: &State, now: Timestamp) {
        let Some(notifier) = config.notifier.as_ref().filter(|_| !self.is_out(Errand::Digest))
        else {
            return;
        };
        let Some(digest) = state.judge.outbox.next(now) else { return };
        let sent = Sent::Digest { id: digest.id.clone() };
        match notifier::post(notifier, digest) {
            Ok(call) => self.send(&notifier.cluster, &notifier.cluster, &call, sent, config, now),
            Err(e) => self.failed(&sent, &e, 0, config, now),
        }
    }

    fn pull_queue(&mut self, config: &Config, now: Timestamp) {
        if self.is_out(Errand::Queue) || !self.queue.is_due(now) {
            return;
        }
        let (Some(call), Some(cluster)) = (queue::get(&config.queue), &config.queue.cluster) else {
            return;
        };
        self.send(cluster, cluster, &call, Sent::Queue, config, now);
    }

    fn read_replicas(&mut self, config: &Config, now: Timestamp) {
        if self.is_out(Errand::Replicas) || !self.replicas.is_due(now) {
            return;
        }
        if let Some(call) = workload::get_scale(&config.lane) {
            self.ask(&call, Sent::Replicas, config, now);
        }
    }

    fn lower_cap(&mut self, config: &Config, state: &State, now: Timestamp) {
        if self.is_out(Errand::Cap) || !self.cap.is_due(now) {
            return;
        }
        let Some(name) = state.judge.caps.due.next() else { return };
        let sent = Sent::CapRead { scaled_object: name.to_owned() };
        self.ask(&scaled_object::get(&config.lane, name), sent, config, now);
    }

    fn look_at_pause(&mut self, config: &Config, state: &State, now: Timestamp) {
        if self.is_out(Errand::Pause) || !self.pause.is_due(now) {
            return;
        }
        let Some(name) = state.judge.pauses.due.next() else { return };
        let sent = Sent::PauseRead { scaled_object: name.to_owned() };
        self.ask(&scaled_object::get(&config.lane, name), sent, config, now);
    }

    /// Sends to the API server.
    fn ask(&mut self, call: &Call, sent: Sent, config: &Config, now: Timestamp) {
        if let Some(publish) = &config.publish {
            self.send(&publish.cluster, &publish.authority, call, sent, config, now);
        }
    }

    fn send(
        &mut self,
        cluster: &str,
        authority: &str,
        call: &Call,
        sent: Sent,
        config: &Config,
        now: Timestamp,
    ) {
        match host::call(cluster, &call.headers(authority), &call.body, TIMEOUT) {
            Ok(token) => self.inflight.push((token, sent)),
            Err(status) => {
                let why = format!(
                    "the proxy takes no call to `{cluster}` (status {status}); is the cluster defined?"
                );
                self.failed(&sent, &why, 0, config, now);
            }
        }
    }

    /// The reply to a call of this VM; false where it is not one of an errand.
    pub fn reply(&mut self, token: u32, reply: &Reply, config: &Config, now: Timestamp) -> bool {
        let Some(at) = self.inflight.iter().position(|(t, _)| *t == token) else {
            return false;
        };
        let (_, sent) = self.inflight.remove(at);
        let asked_ms = reply.retry_after_ms;
        match &sent {
            Sent::Digest { id } if notifier::is_delivered(reply) => {
                shared::update_state(|s| s.judge.outbox.delivered(id));
            }
            Sent::Digest { .. } => {
                self.failed(&sent, &outbound::describe(reply), asked_ms, config, now);
            }
            Sent::Queue => match queue::read(&config.queue, reply) {
                Ok(depth) => {
                    // Twice a polling window, so that one failure leaves no window without.
                    self.queue.done(now, (config.windows.poll_s / 2).max(1));
                    shared::update_state(|s| s.judge.put_queue_depth(depth, now));
                }
                Err(why) => self.failed(&sent, &why, asked_ms, config, now),
            },
            Sent::Replicas => match workload::read(reply) {
                Ok(replicas) => {
                    self.replicas.done(now, config.windows.poll_s);
                    shared::update_state(|s| s.judge.put_replicas(replicas));
                }
                Err(why) => self.failed(&sent, &why, asked_ms, config, now),
            },
            Sent::CapRead { scaled_object } => {
                self.cap_read(scaled_object, reply, config, now);
            }
            Sent::CapWrite { scaled_object, from, to } => match reply.status {
                Some(200) => {
                    self.cap.succeeded();
                    shared::update_state(|s| {
                        s.judge.cap_lowered(scaled_object, *from, *to, now);
                        s.judge.caps.due.done(scaled_object);
                    });
                }
                // Somebody wrote since: read again at the next tick.
                Some(409) => shared::update_state(|s| s.publish_failures += 1),
                _ => self.failed(&sent, &outbound::describe(reply), asked_ms, config, now),
            },
            Sent::PauseRead { scaled_object } => {
                self.pause_read(scaled_object, reply, config, now);
            }
            Sent::PauseWrite { scaled_object } => match reply.status {
                // Due again, whoever called it done: the freeze may have ended
                // meanwhile, or another VM holds the lease.
                Some(200) => {
                    self.pause.succeeded();
                    shared::update_state(|s| s.judge.pauses.due.add(scaled_object));
                }
                Some(409) => shared::update_state(|s| s.publish_failures += 1),
                _ => self.failed(&sent, &outbound::describe(reply), asked_ms, config, now),
            },
        }
        true
    }

    fn cap_read(&mut self, name: &str, reply: &Reply, config: &Config, now: Timestamp) {
        let sent = Sent::CapRead { scaled_object: name.to_owned() };
        let numbers = match scaled_object::read(reply) {
            Ok(numbers) => numbers,
            Err(why) => return self.failed(&sent, &why, reply.retry_after_ms, config, now),
        };
        let state = shared::state();
        let lower = numbers.and_then(|n| {
            let limit = state.as_ref()?.judge.cap_of(name, &config.judge_config())?;
            let to = gate::cap::lowered(n.max, n.min, limit)?;
            Some((n, to))
        });
        let is_remembered = state.is_some_and(|s| s.judge.caps.originals.contains_key(name));
        match lower {
            // What is there now is written down, and published, before it is
            // lowered: an answer that is lost must not lose the number.
            Some((numbers, _)) if !is_remembered => {
                shared::update_state(|s| s.judge.caps.remember(name, numbers.max));
            }
            Some((numbers, to)) => {
                let call = scaled_object::lower(&config.lane, name, &numbers.resource_version, to);
                let sent = Sent::CapWrite { scaled_object: name.to_owned(), from: numbers.max, to };
                self.ask(&call, sent, config, now);
            }
            None => {
                self.cap.succeeded();
                shared::update_state(|s| s.judge.caps.due.done(name));
            }
        }
    }

    fn pause_read(&mut self, name: &str, reply: &Reply, config: &Config, now: Timestamp) {
        let sent = Sent::PauseRead { scaled_object: name.to_owned() };
        let read = match scaled_object::read(reply) {
            Ok(read) => read,
            Err(why) => return self.failed(&sent, &why, reply.retry_after_ms, config, now),
        };
        let gateway = &config.gateway.id;
        let judge_config = config.judge_config();
        // Without a state nothing is known: it stays due.
        let Some(state) = shared::state() else { return };
        let pauses = state.judge.pauses_scale_out(&judge_config);
        let change = read.as_ref().map(|r| pause::change(&r.annotations, gateway, pauses));
        match (read, change) {
            (Some(read), Some(change)) if !change.is_empty() => {
                let call =
                    scaled_object::annotate(&config.lane, name, &read.resource_version, &change);
                let sent = Sent::PauseWrite { scaled_object: name.to_owned() };
                self.ask(&call, sent, config, now);
            }
            (read, _) => {
                self.pause.succeeded();
                let mark = pause::mark(gateway);
                let is_marked = read.is_some_and(|r| r.annotations.contains_key(&mark));
                shared::update_state(|s| {
                    // Another VM may have seen an edge since.
                    if s.judge.pauses_scale_out(&judge_config) == pauses {
                        s.judge.pause_is_right(name, is_marked, now);
                    }
                });
            }
        }
    }

    fn failed(&mut self, sent: &Sent, why: &str, asked_ms: u64, config: &Config, now: Timestamp) {
        let seed = now.millis().unsigned_abs();
        let what = match sent {
            Sent::Digest { id } => {
                shared::update_state(|s| {
                    let backoff = |attempts| crate::retry::delay_ms(attempts, seed).max(asked_ms);
                    s.judge.outbox.failed(id, now, config.windows.poll_s, backoff);
                });
                format!("digest {id} is not sent")
            }
            Sent::Queue => {
                self.queue.failed(now, seed, asked_ms);
                "the queue depth is not known".to_owned()
            }
            Sent::Replicas => {
                self.replicas.failed(now, seed, asked_ms);
                shared::update_state(|s| s.publish_failures += 1);
                "the worker's replicas cannot be read".to_owned()
            }
            Sent::CapRead { scaled_object } | Sent::CapWrite { scaled_object, .. } => {
                self.cap.failed(now, seed, asked_ms);
                let what =
                    format!("spec.maxReplicaCount of ScaledObject {scaled_object} is not lowered");
                not_written(&what, why, &self.cap, now, |j| j.caps.due.postpone(scaled_object));
                what
            }
            Sent::PauseRead { scaled_object } | Sent::PauseWrite { scaled_object, .. } => {
                self.pause.failed(now, seed, asked_ms);
                let what =
                    format!("{PAUSED_SCALE_OUT} of ScaledObject {scaled_object} is as it was");
                not_written(&what, why, &self.pause, now, |j| {
                    // A write that failed for us may still land.
                    j.pauses.due.add(scaled_object);
                    j.pauses.due.postpone(scaled_object);
                });
                what
            }
        };
        host::log(Level::Warn, &format!("{what}: {why}; tried again later"));
    }
}

/// A ScaledObject is not as it must be: counted, told once when it lasts, and
/// its turn comes after the others'.
fn not_written(what: &str, why: &str, pace: &Pace, now: Timestamp, postpone: impl Fn(&mut Judge)) {
    let tell = pace.attempts() == TOLD_AFTER;
    shared::update_state(|s| {
        s.publish_failures += 1;
        postpone(&mut s.judge);
        if tell {
            s.judge.publish_failed(&format!("{what}: {why}"), now);
        }
    });
}
