//! The state actor: it alone changes the study, on a thread of its own.
//!
//! It collects messages until its mailbox is empty, then commits all of them as one batch: one lock,
//! one write, one sync, and only then the answers. After answering a batch, it waits briefly (at most
//! a quarter of the last commit) for those workers to report back, so that they share the next sync.
//! Without the wait the first one back would trigger a sync of its own. A request that cannot be met
//! yet is parked, and tried again when the study changes; so a thousand waiting workers cost nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler};

use super::core::StateCore;
use super::message::{
    Bounded, Execute, Flush, Inspect, Interrupt, Listen, Lost, Poke, Propose, Proposed, Reply,
    Shutdown, TimeIsUp,
};
use super::optimizer::OptimizerActor;
use super::parked::{Parked, Wish};
use super::published::Published;
use super::stop_rules::StopRules;
use trialmill_core::error::{Error, StudyError};
use trialmill_core::limits::{GROUP_COMMIT_MAX, GROUP_COMMIT_PART, MAX_BATCH_MESSAGES};
use trialmill_core::optimizer::Proposal;
use trialmill_core::study::{Answer, Command, StopReason};
use trialmill_core::trial::{Trial, WorkerId};
use trialmill_store::Purpose;

/// The actor that serialises all access to a study and stores it. Its address is
/// [`StudyHandle::address`](crate::StudyHandle::address); the messages that it takes are in
/// [`actor`](crate::actor).
pub struct StateActor {
    core: Option<StateCore>,
    rules: StopRules,
    published: Arc<Published>,
    inbox: Vec<Execute>,
    inspections: Vec<Inspect>,
    parked: Vec<Parked>,
    /// The workers whose time was up since the last batch.
    out_of_time: Vec<WorkerId>,
    flush_sent: bool,
    group_commit: GroupCommit,
    interrupted: bool,
    lost: Option<Lost>,
    slow: SlowOptimizer,
    address: Option<Addr<StateActor>>,
}

/// Who is answered once the batch is durable, and what.
type Ready = Vec<(Reply, Vec<Result<Answer, StudyError>>)>;

/// Group commit: how many senders are expected back at once, and how long to wait for them.
struct GroupCommit {
    /// How many senders the last batch answered.
    answered: usize,
    window: Duration,
    /// When the first message of the next batch arrived.
    since: Instant,
}

/// The optimizer, if it is slow and must be asked outside the lock.
#[derive(Default)]
struct SlowOptimizer {
    actor: Option<Addr<OptimizerActor>>,
    /// Whether it is working on a proposal.
    busy: bool,
    /// Its last answer, valid until the study changes: that it waits, or that it has finished.
    said: Option<Answer>,
    arrived: Vec<Proposed>,
}

impl StateActor {
    pub(crate) fn new(
        mut core: StateCore,
        rules: StopRules,
        published: Arc<Published>,
        optimizer: Option<Addr<OptimizerActor>>,
    ) -> Self {
        core.bound_elsewhere();
        StateActor {
            core: Some(core),
            rules,
            published,
            inbox: Vec::new(),
            inspections: Vec::new(),
            parked: Vec::new(),
            out_of_time: Vec::new(),
            flush_sent: false,
            group_commit: GroupCommit {
                answered: 0,
                window: Duration::ZERO,
                since: Instant::now(),
            },
            interrupted: false,
            lost: None,
            slow: SlowOptimizer { actor: optimizer, ..SlowOptimizer::default() },
            address: None,
        }
    }

    fn wake(&mut self, ctx: &mut Context<Self>) {
        if self.inbox.len() >= MAX_BATCH_MESSAGES {
            self.flush();
        } else if !std::mem::replace(&mut self.flush_sent, true) {
            self.group_commit.since = Instant::now();
            ctx.notify(Flush);
        }
    }

    /// Commits one batch. A panic in here, a failed write or a failed sync ends the state for good:
    /// every waiting sender gets the error, and nothing is acknowledged any more.
    fn flush(&mut self) {
        let messages = std::mem::take(&mut self.inbox);
        let inspections = std::mem::take(&mut self.inspections);
        let mut ready = Ready::new();
        let result = match &self.lost {
            Some(lost) => {
                ready.extend(messages.into_iter().map(|message| (message.reply, Vec::new())));
                Err(lost.clone())
            }
            None => catch_unwind(AssertUnwindSafe(|| self.commit_batch(messages, &mut ready)))
                .unwrap_or_else(|panic| {
                    let what = crate::evaluate::panic_message(&*panic);
                    Err(Error::StateLost(format!("the state actor panicked: {what}")))
                })
                .map_err(|error| self.lose(error)),
        };
        match result {
            Ok(()) => {
                self.publish();
                self.group_commit.answered = ready.len();
                for (reply, answers) in ready {
                    reply.send(Ok(answers));
                }
            }
            Err(lost) => {
                let everybody = ready.into_iter().map(|(reply, _)| reply);
                let parked = std::mem::take(&mut self.parked).into_iter().map(|p| p.reply);
                everybody.chain(parked).for_each(|reply| reply.send(Err(lost.clone())));
            }
        }
        for Inspect(read) in inspections {
            let study = match (&self.core, &self.lost) {
                (Some(core), None) => Ok(core.study()),
                (_, lost) => Err(lost.clone().unwrap_or_else(|| Lost("it has ended".into()))),
            };
            // This is the caller's code: if it panics, only that caller gets no answer.
            let _ = catch_unwind(AssertUnwindSafe(|| read(study)));
        }
    }

    fn lose(&mut self, error: Error) -> Lost {
        let lost = Lost(error.to_string().into());
        self.published.fail(error);
        // Frees the journal's lock at once: our workers may still evaluate for hours, and the other
        // processes must not wait for them.
        self.core = None;
        self.lost = Some(lost.clone());
        lost
    }

    fn commit_batch(&mut self, messages: Vec<Execute>, ready: &mut Ready) -> Result<(), Error> {
        // Until everything is durable, every reply stays in `ready` or in `self.parked`, so that a
        // failure reaches all of them.
        let mut waiting: Vec<(Vec<Command>, Reply)> = Vec::with_capacity(messages.len());
        waiting.extend(messages.into_iter().map(|message| (message.commands, message.reply)));
        let Some(mut core) = self.core.take() else { return Ok(()) };
        let (taken, begin) = (waiting.len(), Instant::now());
        // Nobody is to wait for a lock under which NePS fits a model, where all asks only hand out.
        let hands_out = core.samples_elsewhere();
        let may_sample = |command: &Command| {
            command.may_sample() && !(hands_out && matches!(command, Command::Ask(_)))
        };
        let may_sample = (!hands_out && !self.parked.is_empty())
            || !self.slow.arrived.is_empty()
            || waiting.iter().any(|(commands, _)| commands.iter().any(may_sample));
        let begun = core.begin(if may_sample { Purpose::Sampling } else { Purpose::Reporting });
        let failed = begun.is_err();
        for (commands, reply) in waiting {
            if failed {
                ready.push((reply, Vec::new()));
            } else {
                self.run(&mut core, commands, reply, ready);
            }
        }
        let result = begun.map_err(Error::from).and_then(|()| {
            let broken = self.take_proposals(&mut core, ready).err();
            self.end_waiting(ready);
            let wanted = self.try_parked(&mut core, ready);
            self.ask_for_bound(&mut core);
            match broken {
                None => self.ask_slow_optimizer(&mut core, wanted),
                // The workers that wait for a trial get the error, as with a fast optimizer. The
                // reports of this batch and of later ones are stored all the same.
                Some(error) => {
                    let parked = self.parked.drain(..);
                    ready.extend(parked.map(|p| (p.reply, vec![Err(error.clone())])));
                }
            }
            let decided = Instant::now();
            core.commit()?;
            let commit = decided.elapsed();
            self.group_commit.window = (commit / GROUP_COMMIT_PART).min(GROUP_COMMIT_MAX);
            tracing::debug!(
                messages = taken,
                waiting = self.parked.len(),
                decide_us = (decided - begin).as_micros(),
                commit_us = commit.as_micros(),
                "batch"
            );
            Ok(())
        });
        self.core = Some(core);
        result
    }

    /// Runs the commands of one message; a request at its end may be parked.
    fn run(
        &mut self,
        core: &mut StateCore,
        commands: Vec<Command>,
        reply: Reply,
        ready: &mut Ready,
    ) {
        let mut answers = Vec::with_capacity(commands.len());
        let mut commands = commands.into_iter().peekable();
        while let Some(command) = commands.next() {
            let last = commands.peek().is_none();
            let wish = Wish::of(&command);
            if let Command::BuryWorker(worker) = &command {
                // Nobody would evaluate what it gets.
                self.parked.retain(|parked| parked.wish.worker() != worker);
            }
            let answer = match &wish {
                Some(wish) => self.try_wish(core, wish),
                None => core.execute(command),
            };
            match (wish, &answer) {
                (Some(wish), Ok(found)) if last && self.must_wait(core, &wish, found) => {
                    if answers.is_empty() {
                        self.parked.push(Parked { wish, reply });
                        return;
                    }
                    // Answer the commands before the request now; the worker then asks again.
                    answers.push(Ok(Answer::Wait));
                }
                _ => answers.push(answer),
            }
        }
        ready.push((reply, answers));
    }

    fn try_wish(&self, core: &mut StateCore, wish: &Wish) -> Result<Answer, StudyError> {
        // Nothing is sampled after a signal.
        if self.interrupted || self.rules.stop_signal.is_stopped() {
            return Ok(Answer::Stop(StopReason::Interrupted));
        }
        if let Some(reason) = self.rules.stop(core.study()) {
            return Ok(Answer::Stop(reason));
        }
        if matches!(wish, Wish::Ask(_)) && core.awaits_bound() {
            return Ok(Answer::Propose);
        }
        match core.execute(wish.command())? {
            Answer::Propose => Ok(self.slow.said.clone().unwrap_or(Answer::Propose)),
            answer => Ok(answer),
        }
    }

    fn must_wait(&self, core: &StateCore, wish: &Wish, answer: &Answer) -> bool {
        match answer {
            // A model is at work, and its proposal will come.
            Answer::Propose => true,
            // An external caller asks again by itself.
            _ if !wish.is_patient() => false,
            Answer::Wait => true,
            // Nothing is left but what other processes still evaluate, or workers of their own in
            // this one. If one of them dies, somebody must be there to take over its trials.
            Answer::Stop(StopReason::Budget(_) | StopReason::Finished) => {
                let (study, process) = (core.study(), core.process());
                (self.rules.wait_for_others && study.held_by_others(process))
                    || self.rules.enlisted.hold_something(study, process, wish.worker())
            }
            _ => false,
        }
    }

    /// Those whose time is up wait no longer.
    fn end_waiting(&mut self, ready: &mut Ready) {
        for worker in std::mem::take(&mut self.out_of_time) {
            let is_its = |parked: &mut Parked| *parked.wish.worker() == worker;
            for parked in self.parked.extract_if(.., is_its) {
                ready.push((parked.reply, vec![Ok(Answer::Stop(StopReason::WorkerSeconds))]));
            }
        }
    }

    /// Retries the parked requests; returns how many proposals those that stay parked wait for.
    fn try_parked(&mut self, core: &mut StateCore, ready: &mut Ready) -> usize {
        let mut waiting = std::mem::take(&mut self.parked).into_iter();
        while let Some(parked) = waiting.next() {
            match self.try_wish(core, &parked.wish) {
                // What the first one waits for, the others wait for too.
                Ok(answer) if self.must_wait(core, &parked.wish, &answer) => {
                    let is_proposing = answer == Answer::Propose;
                    self.parked.push(parked);
                    for other in waiting {
                        if is_proposing || other.wish.is_patient() {
                            self.parked.push(other);
                        } else {
                            ready.push((other.reply, vec![Ok(Answer::Wait)]));
                        }
                    }
                    let wanted = self.parked.iter().map(|parked| parked.wish.n()).sum();
                    return if is_proposing { wanted } else { 0 };
                }
                answer => ready.push((parked.reply, vec![answer])),
            }
        }
        0
    }

    /// Those who wait for samples get what was sampled; whoever waits for trials finds it pending.
    fn show_samplers(&mut self, sampled: Vec<Trial>, ready: &mut Ready) {
        let mut sampled = sampled.into_iter();
        let mut still = Vec::with_capacity(self.parked.len());
        for parked in self.parked.drain(..) {
            let Wish::Sample { n, .. } = parked.wish else {
                still.push(parked);
                continue;
            };
            let trials: Vec<Trial> = sampled.by_ref().take(n).collect();
            if trials.is_empty() {
                still.push(parked);
            } else {
                ready.push((parked.reply, vec![Ok(Answer::Evaluate(trials))]));
            }
        }
        self.parked = still;
    }

    fn take_proposals(
        &mut self,
        core: &mut StateCore,
        ready: &mut Ready,
    ) -> Result<(), StudyError> {
        for Proposed { proposal, first_sample } in std::mem::take(&mut self.slow.arrived) {
            self.slow.busy = false;
            match proposal {
                Ok(Proposal::Evaluate(suggestions)) => {
                    let worker = trialmill_core::event::worker_id(core.process(), 0);
                    let offer = Command::Offer { worker, suggestions, first_sample };
                    if let Answer::Evaluate(sampled) = core.execute(offer)? {
                        self.show_samplers(sampled, ready);
                    }
                }
                // It has not seen the latest events yet: ask it again.
                Ok(Proposal::Wait | Proposal::Finished) if core.has_feed() => {}
                Ok(Proposal::Wait) if core.study().nothing_goes_on() => {
                    let optimizer = core.study().definition().optimizer.name.clone();
                    let problem = "waits for results, and no trial is being evaluated".into();
                    return Err(StudyError::Optimizer { optimizer, problem });
                }
                Ok(Proposal::Wait) => self.slow.said = Some(Answer::Wait),
                Ok(Proposal::Finished) if core.study().holds_back() => {
                    self.slow.said = Some(Answer::Wait);
                }
                Ok(Proposal::Finished) => {
                    self.slow.said = Some(Answer::Stop(StopReason::Finished));
                }
                Err(problem) => {
                    let optimizer = core.study().definition().optimizer.name.clone();
                    return Err(StudyError::Optimizer { optimizer, problem });
                }
            }
        }
        Ok(())
    }

    /// Asks for as many proposals as workers wait for, within the budget.
    fn ask_slow_optimizer(&mut self, core: &mut StateCore, wanted: usize) {
        let (Some(actor), Some(address)) = (&self.slow.actor, &self.address) else {
            return;
        };
        let left = core.study().policy().budget.evaluations_left(&core.study().spent());
        let n = wanted.min(usize::try_from(left).unwrap_or(usize::MAX));
        let is_wanted = n > 0 && !core.awaits_bound();
        if is_wanted && !self.slow.busy && self.slow.said.is_none() && !self.interrupted {
            self.slow.busy = true;
            let (events, reply_to) = (core.take_feed(), address.clone().recipient());
            actor.do_send(Propose { events, n, reply_to });
        }
    }

    /// Lets a bound on the regret be computed where one is due.
    fn ask_for_bound(&self, core: &mut StateCore) {
        if let Some(address) = &self.address
            && core.awaits_bound()
            && let Some(task) = core.regret_task()
        {
            task.start(address.clone().recipient());
        }
    }

    fn publish(&mut self) {
        if let Some(core) = &self.core {
            self.published.set(core.study(), core.process(), self.parked.len());
        }
    }
}

impl Actor for StateActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.set_mailbox_capacity(trialmill_core::limits::STATE_MAILBOX);
        self.address = Some(ctx.address());
    }
}

impl Handler<Execute> for StateActor {
    type Result = ();
    fn handle(&mut self, message: Execute, ctx: &mut Context<Self>) {
        // Any command may invalidate a slow optimizer's last answer.
        self.slow.said = None;
        self.inbox.push(message);
        self.wake(ctx);
    }
}

impl Handler<Inspect> for StateActor {
    type Result = ();
    fn handle(&mut self, inspect: Inspect, ctx: &mut Context<Self>) {
        self.inspections.push(inspect);
        self.wake(ctx);
    }
}

impl Handler<Proposed> for StateActor {
    type Result = ();
    fn handle(&mut self, proposed: Proposed, ctx: &mut Context<Self>) {
        self.slow.arrived.push(proposed);
        self.wake(ctx);
    }
}

impl Handler<Poke> for StateActor {
    type Result = ();
    fn handle(&mut self, _: Poke, ctx: &mut Context<Self>) {
        self.slow.said = None;
        self.wake(ctx);
    }
}

impl Handler<Bounded> for StateActor {
    type Result = ();
    fn handle(&mut self, bounded: Bounded, ctx: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.take_bound(&bounded);
        }
        self.wake(ctx);
    }
}

impl Handler<Interrupt> for StateActor {
    type Result = ();
    fn handle(&mut self, _: Interrupt, ctx: &mut Context<Self>) {
        self.interrupted = true;
        self.wake(ctx);
    }
}

impl Handler<TimeIsUp> for StateActor {
    type Result = ();
    fn handle(&mut self, TimeIsUp(worker): TimeIsUp, ctx: &mut Context<Self>) {
        self.out_of_time.push(worker);
        self.wake(ctx);
    }
}

impl Handler<Listen> for StateActor {
    type Result = ();
    fn handle(&mut self, Listen(listener): Listen, _: &mut Context<Self>) {
        if let Some(core) = &mut self.core {
            core.listen(listener);
        }
    }
}

impl Handler<Flush> for StateActor {
    type Result = ();
    fn handle(&mut self, _: Flush, ctx: &mut Context<Self>) {
        let some_are_missing = self.inbox.len() < self.group_commit.answered;
        if some_are_missing && self.group_commit.since.elapsed() < self.group_commit.window {
            // Yield: the workers need this core to evaluate and report back.
            std::thread::yield_now();
            ctx.notify(Flush);
            return;
        }
        self.flush_sent = false;
        self.flush();
    }
}

impl Handler<Shutdown> for StateActor {
    type Result = ();
    fn handle(&mut self, Shutdown { done, leaves }: Shutdown, ctx: &mut Context<Self>) {
        self.interrupted = true;
        self.flush();
        if let Some(mut core) = self.core.take() {
            if self.lost.is_none()
                && leaves
                && let Err(error) = core.leave()
            {
                self.lose(error.into());
            }
            // The receiver may be gone; then the state is not needed.
            let _ = done.send(core.into_study());
        }
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
