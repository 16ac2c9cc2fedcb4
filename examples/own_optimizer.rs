//! An optimizer of your own: successive halving. Many configurations are trained a little, the
//! best third of them three times as long, and so on up the ladder.
//!
//! ```text
//! cargo run --release --example own_optimizer [-- DIRECTORY]
//! ```
//!
//! What it proposes follows from the trials alone, so the study can be stopped, resumed and shared.
//! Each trial goes on from the checkpoint of the one that it continues.

use std::error::Error;
use std::fs;
use std::path::Path;

use trialmill::{
    BoxError, Optimizer, OptimizerInfo, Parameter, Proposal, Report, RunningTrial, SamplingRequest,
    SearchSpace, State, Study, Suggestion, Trial, TrialId, Trials,
};

/// On rung 0 are `width` configurations. On each next rung are the best of the one below, `eta`
/// times fewer, at `eta` times the fidelity.
struct SuccessiveHalving {
    width: usize,
    eta: usize,
}

impl Optimizer for SuccessiveHalving {
    fn info(&self) -> OptimizerInfo {
        OptimizerInfo::new("successive_halving", [("width", self.width), ("eta", self.eta)])
    }

    fn ask(&mut self, request: &SamplingRequest<'_>) -> Result<Proposal, BoxError> {
        let (fidelity, _) = request.space().fidelity().ok_or("the space has no fidelity")?;
        let mut below = Vec::new();
        for rung in (0..).take_while(|rung| self.eta.pow(*rung) <= self.width) {
            let scale = self.eta.pow(rung);
            let (width, epochs) = (self.width / scale, scale as i64);
            let here = on_rung(request.trials(), rung);
            let missing = width.saturating_sub(here.len()).min(request.n());
            let draw = |at| {
                let mut rng = request.rng(at);
                let config = request.space().config(|(_, p)| p.sample(&mut rng));
                let id = Some(TrialId::Rung((here.len() + at) as u64 + 1, 0));
                Suggestion { config: config.with(fidelity, epochs), id, previous: None }
            };
            let climb = |trial: &Trial| {
                let id = TrialId::Rung(trial.id.number()?, rung);
                let is_new = request.trials().get(&id).is_none();
                let (config, previous) = (trial.config.with(fidelity, epochs), trial.id.clone());
                is_new.then_some(Suggestion { config, id: Some(id), previous: Some(previous) })
            };
            // A trial that failed does not climb, and nobody waits for it.
            let best = below.into_iter().filter(|trial: &&Trial| trial.state == State::Success);
            let new: Vec<Suggestion> = match rung {
                0 => (0..missing).map(draw).collect(),
                _ => best.take(width).filter_map(climb).take(missing).collect(),
            };
            if !new.is_empty() {
                return Ok(Proposal::Evaluate(new));
            }
            if here.iter().any(|trial| matches!(trial.state, State::Pending | State::Evaluating)) {
                return Ok(Proposal::Wait);
            }
            below = here;
        }
        Ok(Proposal::Finished)
    }
}

/// The trials on a rung, the best first.
fn on_rung(trials: &Trials, rung: u32) -> Vec<&Trial> {
    let is_here = |trial: &&Trial| matches!(trial.id, TrialId::Rung(_, own) if own == rung);
    let mut here: Vec<&Trial> = trials.iter().filter(is_here).collect();
    let objective = |trial: &Trial| trial.objective().unwrap_or(f64::INFINITY);
    here.sort_by(|a, b| objective(a).total_cmp(&objective(b)));
    here
}

/// Rolls a ball to the bottom of a bowl for some epochs, on from where the checkpoint says it is.
fn train(trial: &RunningTrial) -> Result<Report, BoxError> {
    let (rate, momentum) = (trial.config().float("rate")?, trial.config().float("momentum")?);
    let epochs = trial.config().int("epochs")?;
    // Our own checkpoint, if an earlier attempt left one; else that of the trial we continue.
    let read = |dir: &Path| serde_json::from_slice(&fs::read(dir.join("checkpoint")).ok()?).ok();
    let places = [Some(trial.dir()?), trial.previous_dir()];
    let checkpoint: Option<(i64, f64, f64)> = places.into_iter().flatten().find_map(read);
    let (first, mut x, mut speed) = checkpoint.unwrap_or((0, 1.0, 0.0));
    for _ in first..epochs {
        speed = momentum * speed - rate * 2.0 * x;
        x += speed;
    }
    if x.abs() > 1.0 {
        return Ok(Report::failed("it left the bowl").cost((epochs - first) as f64));
    }
    fs::write(trial.dir()?.join("checkpoint"), serde_json::to_vec(&(epochs, x, speed))?)?;
    Ok(Report::objective(x * x).cost((epochs - first) as f64))
}

fn main() -> Result<(), Box<dyn Error>> {
    let directory = std::env::args().nth(1).unwrap_or_else(|| "runs/own_optimizer".into());
    let space = SearchSpace::new([
        ("rate", Parameter::float(1e-3, 3.0).log()),
        ("momentum", Parameter::float(0.0, 0.9)),
        ("epochs", Parameter::int(1, 27).fidelity()),
    ])?;
    let optimizer = SuccessiveHalving { width: 27, eta: 3 };
    let outcome = Study::builder(directory).space(space).optimizer(optimizer).seed(7).run(train)?;

    println!("{outcome}\n\nrung  trials  failed  the best");
    for rung in 0.. {
        let here = on_rung(outcome.study().trials(), rung);
        let failed = here.iter().filter(|trial| trial.state != State::Success).count();
        let Some(best) = here.first() else { break };
        println!("{rung:>4}  {:>6}  {failed:>6}  {}: {}", here.len(), best.id, best.config);
    }
    println!("{} epochs were trained in all", outcome.study().spent().cost);
    Ok(())
}
