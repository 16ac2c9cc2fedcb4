//! The problems of `functions.json`, by the formulas of its README.

use std::collections::BTreeMap;
use std::f64::consts::PI;
use std::sync::Arc;

use crate::own;
use crate::tables::Table;
use serde::Deserialize;
use serde_json::Value as Json;
use trialmill_search::{Condition, Dimension, Fidelity, Kind, Point, Prior, Space};

/// One parameter as `functions.json` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(crate) enum Parameter {
    Float { name: String, lower: f64, upper: f64, log: bool },
    Int { name: String, lower: i64, upper: i64, log: bool },
    Categorical { name: String, choices: Vec<String> },
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct FidelityOf {
    lower: f64,
    upper: f64,
}

/// One problem.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Problem {
    pub(crate) name: String,
    params: Vec<Parameter>,
    pub(crate) optimum: f64,
    pub(crate) budget: usize,
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) reference: Vec<f64>,
    #[serde(default)]
    fidelity: Option<FidelityOf>,
    #[serde(default)]
    prior: Option<Json>,
    /// For a parameter, the one that it waits for and the places of the choices that this must have.
    #[serde(default)]
    when: BTreeMap<String, (String, Vec<usize>)>,
    /// The table that its values are in, if it has no formula.
    #[serde(default)]
    table: Option<String>,
    #[serde(skip)]
    trained: Option<Arc<Table>>,
    #[cfg(test)]
    #[serde(default)]
    pub(crate) checks: Vec<Json>,
}

#[derive(Deserialize)]
struct File {
    problems: Vec<Problem>,
    #[serde(default)]
    tables: BTreeMap<String, Arc<Table>>,
}

/// All problems of the file, those of our own that are less additive, and the tables of real trainings.
pub(crate) fn all() -> Result<Vec<Problem>, serde_json::Error> {
    let text = include_str!("../../../crates/search/testdata/functions.json");
    let own = include_str!("../own.json");
    let digits = include_str!("../digits.json");
    let mut problems = Vec::new();
    for text in [text, own, digits] {
        let file: File = serde_json::from_str(text)?;
        problems.extend(file.problems.into_iter().map(|problem| {
            let trained = problem.table.as_ref().and_then(|name| file.tables.get(name)).cloned();
            Problem { trained, ..problem }
        }));
    }
    Ok(problems)
}

impl Parameter {
    fn name(&self) -> &str {
        match self {
            Parameter::Float { name, .. }
            | Parameter::Int { name, .. }
            | Parameter::Categorical { name, .. } => name,
        }
    }

    fn dimension(&self) -> Dimension {
        Dimension::new(match self {
            Parameter::Float { .. } => Kind::Float,
            Parameter::Int { lower, upper, log, .. } => {
                Kind::Int { lower: *lower, upper: *upper, log: *log }
            }
            Parameter::Categorical { choices, .. } => Kind::Categorical { choices: choices.len() },
        })
    }

    fn value(&self, unit: f64) -> f64 {
        match self {
            Parameter::Float { lower, upper, log: true, .. } => {
                (lower.ln() + unit * (upper.ln() - lower.ln())).exp().clamp(*lower, *upper)
            }
            Parameter::Float { lower, upper, .. } => lower + unit * (upper - lower),
            Parameter::Int { lower, .. } => *lower as f64 + self.dimension().level(unit) as f64,
            Parameter::Categorical { .. } => self.dimension().level(unit) as f64,
        }
    }

    /// A value of the file: a number, or which choice a text is.
    fn read(&self, config: &Json) -> f64 {
        let json = &config[self.name()];
        match self {
            Parameter::Categorical { choices, .. } => {
                choices.iter().position(|c| Some(c.as_str()) == json.as_str()).unwrap_or(0) as f64
            }
            _ => json.as_f64().unwrap_or(f64::NAN),
        }
    }

    fn unit(&self, value: f64) -> f64 {
        match self {
            Parameter::Float { lower, upper, log: true, .. } => {
                (value / lower).ln() / (upper / lower).ln()
            }
            Parameter::Float { lower, upper, .. } => (value - lower) / (upper - lower),
            Parameter::Int { lower, .. } => {
                self.dimension().at_level((value - *lower as f64) as u64)
            }
            Parameter::Categorical { .. } => self.dimension().at_level(value as u64),
        }
    }
}

impl Problem {
    /// Its space.
    pub(crate) fn space(&self) -> Space {
        let dimension = |p: &Parameter| {
            let belief = self.prior.as_ref();
            let prior = belief.map(|b| Prior { centre: p.unit(p.read(b)), confidence: 0.5 });
            Dimension { prior, ..p.dimension() }
        };
        let fidelity = self.fidelity.as_ref();
        let fidelity = fidelity.map(|f| Fidelity { lower: f.lower, upper: f.upper, whole: true });
        let dimensions = self.params.iter().map(dimension).collect();
        Space { dimensions, fidelity, conditions: self.conditions() }
    }

    fn conditions(&self) -> Vec<Condition> {
        let place = |name: &str| self.params.iter().position(|p| p.name() == name);
        let condition = |(name, (other, choices)): (&String, &(String, Vec<usize>))| {
            let other = place(other)?;
            let at = |choice: &usize| self.params[other].dimension().at_level(*choice as u64);
            let on = vec![(other, choices.iter().map(at).collect())];
            Some(Condition { dimension: place(name)?, on })
        };
        self.when.iter().filter_map(condition).collect()
    }

    /// The values of a point.
    pub(crate) fn values(&self, point: &Point) -> Vec<f64> {
        self.params.iter().zip(point).map(|(p, x)| p.value(*x)).collect()
    }

    #[cfg(test)]
    pub(crate) fn read(&self, config: &Json) -> Vec<f64> {
        self.params.iter().map(|p| p.read(config)).collect()
    }

    /// What an evaluation gives, and what it would give without noise.
    pub(crate) fn evaluate(&self, x: &[f64], epochs: f64) -> (Vec<f64>, Vec<f64>) {
        if let Some(table) = &self.trained {
            let percent = table.percent_wrong(x, epochs);
            return (vec![percent], vec![percent]);
        }
        let base = self.name.split("-prior").next().unwrap_or_default();
        let exact = match base {
            "sphere5" => x.iter().zip(S5).map(|(a, b)| (a - b) * (a - b)).sum(),
            "rosenbrock5" => rosenbrock(x),
            "branin" => branin(x[0], x[1]),
            "hartmann3" => hartmann(x, &A3, &P3),
            "hartmann6" => hartmann(x, &A6, &P6),
            "noisy-hartmann6" => {
                let exact = hartmann(x, &A6, &P6);
                return (vec![exact + 0.2 * gauss(x, 5)], vec![exact]);
            }
            "ackley10" => ackley(&x.iter().zip(S10).map(|(a, b)| a - b).collect::<Vec<_>>()),
            "rastrigin4" => rastrigin(&x.iter().zip(S4).map(|(a, b)| a - b).collect::<Vec<_>>()),
            "levy8" => levy(x),
            "mixed8" => mixed8(x),
            "nas9" => nas9(x),
            "active5of20" => active5(x),
            name if own::is_one(name) => own::value(name, x),
            "curves-aligned" | "curves-crossing" => {
                let (noisy, exact) = curve(x, epochs, base == "curves-crossing");
                return (vec![noisy], vec![exact]);
            }
            "zdt1-6" => return (zdt1(x), zdt1(x)),
            "dtlz2-6" => return (dtlz2(x), dtlz2(x)),
            _ => f64::NAN,
        };
        (vec![exact], vec![exact])
    }
}

fn splitmix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn unit(list: &[u64]) -> f64 {
    let hash = list.iter().fold(0, |hash, i| splitmix(hash ^ i));
    (hash >> 11) as f64 * 2f64.powi(-53)
}

fn gauss(values: &[f64], seed: u64) -> f64 {
    let hash = values.iter().fold(splitmix(seed), |hash, x| splitmix(hash ^ x.to_bits()));
    let u = ((hash >> 11) as f64 + 0.5) * 2f64.powi(-53);
    let w = (splitmix(hash) >> 11) as f64 * 2f64.powi(-53);
    (-2.0 * u.ln()).sqrt() * (2.0 * PI * w).cos()
}

const A3: [[f64; 3]; 4] =
    [[3.0, 10.0, 30.0], [0.1, 10.0, 35.0], [3.0, 10.0, 30.0], [0.1, 10.0, 35.0]];
const P3: [[f64; 3]; 4] = [
    [3689.0, 1170.0, 2673.0],
    [4699.0, 4387.0, 7470.0],
    [1091.0, 8732.0, 5547.0],
    [381.0, 5743.0, 8828.0],
];
pub(crate) const A6: [[f64; 6]; 4] = [
    [10.0, 3.0, 17.0, 3.5, 1.7, 8.0],
    [0.05, 10.0, 17.0, 0.1, 8.0, 14.0],
    [3.0, 3.5, 1.7, 10.0, 17.0, 8.0],
    [17.0, 8.0, 0.05, 10.0, 0.1, 14.0],
];
pub(crate) const P6: [[f64; 6]; 4] = [
    [1312.0, 1696.0, 5569.0, 124.0, 8283.0, 5886.0],
    [2329.0, 4135.0, 8307.0, 3736.0, 1004.0, 9991.0],
    [2348.0, 1451.0, 3522.0, 2883.0, 3047.0, 6650.0],
    [4047.0, 8828.0, 8732.0, 5743.0, 1091.0, 381.0],
];
const S4: [f64; 4] = [1.1, -0.7, 2.3, -1.9];
const S5: [f64; 5] = [1.7, -2.3, 0.6, 3.1, -0.9];
const S10: [f64; 10] = [5.5, -8.25, 2.125, 11.0, -4.375, 7.75, -10.5, 1.25, -6.0, 3.625];

pub(crate) fn hartmann<const N: usize>(x: &[f64], a: &[[f64; N]; 4], p: &[[f64; N]; 4]) -> f64 {
    let term = |i: usize| {
        let e: f64 = (0..N).map(|j| a[i][j] * (x[j] - 1e-4 * p[i][j]).powi(2)).sum();
        [1.0, 1.2, 3.0, 3.2][i] * (-e).exp()
    };
    -(0..4).map(term).sum::<f64>()
}

pub(crate) fn rosenbrock(x: &[f64]) -> f64 {
    x.windows(2).map(|w| 100.0 * (w[1] - w[0] * w[0]).powi(2) + (1.0 - w[0]).powi(2)).sum()
}

fn branin(x: f64, y: f64) -> f64 {
    let bend = y - 5.1 / (4.0 * PI * PI) * x * x + 5.0 / PI * x - 6.0;
    bend * bend + 10.0 * (1.0 - 1.0 / (8.0 * PI)) * x.cos() + 10.0
}

fn ackley(z: &[f64]) -> f64 {
    let d = z.len() as f64;
    let square: f64 = z.iter().map(|v| v * v).sum();
    let waves: f64 = z.iter().map(|v| (2.0 * PI * v).cos()).sum();
    -20.0 * (-0.2 * (square / d).sqrt()).exp() - (waves / d).exp() + 20.0 + std::f64::consts::E
}

fn rastrigin(z: &[f64]) -> f64 {
    10.0 * z.len() as f64 + z.iter().map(|v| v * v - 10.0 * (2.0 * PI * v).cos()).sum::<f64>()
}

pub(crate) fn levy(x: &[f64]) -> f64 {
    let w: Vec<f64> = x.iter().map(|v| 1.0 + (v - 1.0) / 4.0).collect();
    let last = w[w.len() - 1];
    let middle = |w: &f64| (w - 1.0).powi(2) * (1.0 + 10.0 * (PI * w + 1.0).sin().powi(2));
    (PI * w[0]).sin().powi(2)
        + w[..w.len() - 1].iter().map(middle).sum::<f64>()
        + (last - 1.0).powi(2) * (1.0 + (2.0 * PI * last).sin().powi(2))
}

fn mixed8(x: &[f64]) -> f64 {
    let (lr, decay, dropout, layers, width) = (x[0], x[1], x[2], x[3], x[4]);
    let (k, activation, batch) = (x[5] as usize, x[6] as usize, x[7]);
    let (h, b) = (width.log2(), batch.log2());
    let slope = if k < 2 { 0.1 } else { 0.05 };
    let ideal = [-0.7, -1.3, -2.7, -2.5][k] - 0.15 * (h - 7.0) + slope * (b - 6.0);
    let u = lr.log10() - ideal;
    let mut f = 0.05 + [0.08, 0.04, 0.02, 0.0][k] + 0.15 * u * u / (1.0 + 0.25 * u * u);
    if u > 1.2 {
        f += 0.5 * (u - 1.2);
    }
    let v = decay.log10() + if k == 3 { 2.0 } else { 4.0 };
    f += 0.02 * v * v / (1.0 + 0.1 * v * v);
    let q = 0.5 * layers + h - 9.5;
    f +=
        if q < 0.0 { 0.03 * q * q / (1.0 + 0.1 * q * q) } else { 0.02 * q * (1.0 - dropout / 0.6) };
    f += 0.3 * (dropout - (0.05 * (q + 2.5)).clamp(0.0, 0.5)).powi(2);
    f += match activation {
        0 => 0.01,
        1 => 0.02 * (layers - 4.0).max(0.0),
        _ if k == 0 => 0.03,
        _ => 0.0,
    };
    f + 0.002 * (b - 5.5).powi(2)
}

fn nas9(x: &[f64]) -> f64 {
    const EDGES: [(usize, usize); 7] = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 0), (0, 3)];
    let o: Vec<u64> = x[..6].iter().map(|v| *v as u64).collect();
    let own: f64 = (0..6).map(|i| unit(&[17, 1, i as u64, o[i]])).sum();
    let pair = |(i, j): &(usize, usize)| unit(&[17, 2, *i as u64, *j as u64, o[*i], o[*j]]);
    let pairs: f64 = EDGES.iter().map(pair).sum();
    let count = |k: usize| {
        let m = 1.0 + (8.0 * unit(&[17, 3, k as u64, o[2 * k]])).floor();
        0.01 * (x[6 + k] - m).powi(2)
    };
    own / 6.0 + 0.6 * pairs / 7.0 + (0..3).map(count).sum::<f64>()
}

fn active5(x: &[f64]) -> f64 {
    let (a, b, c, d, e) = (x[3], x[7], x[8], x[12], x[18]);
    10.0 * (1.0 - (PI * a * b).sin())
        + 20.0 * (c - 0.35).powi(2)
        + 10.0 * (d - 0.7).abs()
        + 5.0 * (e - 0.2).powi(2)
}

fn curve(x: &[f64], epochs: f64, crossing: bool) -> (f64, f64) {
    let (a, w, h) = (x[0].log10(), x[1].log10(), x[2].log2());
    let (k, g) = (x[3] as usize, x[4] as usize);
    let u = a - [-1.2, -2.4, -3.0][k] + 0.1 * (h - 6.5);
    let v = w + 3.0 - 0.5 * g as f64;
    let end = 0.04
        + [0.02, 0.01, 0.0][k]
        + [0.05, 0.02, 0.0][g]
        + 0.08 * u * u / (1.0 + 0.3 * u * u)
        + 0.01 * v * v / (1.0 + 0.1 * v * v)
        + 0.008 * (h - 7.5).powi(2);
    let tau = if crossing {
        1.2 * [1.0, 2.0, 4.0][g]
            * 10f64.powf(-0.5 * u.clamp(-1.5, 1.0))
            * 2f64.powf(0.35 * (h - 6.0))
    } else {
        2.0
    };
    let exact = end + (0.9 - end) / (1.0 + epochs / tau).powf(1.2);
    (exact + 0.003 * gauss(&[x[0], x[1], x[2], k as f64, g as f64, epochs], 23), exact)
}

fn zdt1(x: &[f64]) -> Vec<f64> {
    let distance: f64 =
        x[1..].iter().zip([0.35, 0.6, 0.2, 0.75, 0.5]).map(|(x, s)| (x - s).abs()).sum();
    let g = 1.0 + 9.0 * distance / 5.0;
    vec![x[0], g * (1.0 - (x[0] / g).sqrt())]
}

fn dtlz2(x: &[f64]) -> Vec<f64> {
    let distance: f64 =
        x[2..].iter().zip([0.3, 0.65, 0.45, 0.7]).map(|(x, s)| (x - s).powi(2)).sum();
    let g = 1.0 + 4.0 * distance;
    let (p, q) = (0.5 * PI * x[0], 0.5 * PI * x[1]);
    vec![g * p.cos() * q.cos(), g * p.cos() * q.sin(), g * p.sin()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_value_of_the_file_agrees() {
        let mut checks = 0;
        for problem in all().unwrap() {
            let space = problem.space();
            for check in &problem.checks {
                let x = problem.read(&check["config"]);
                let (noisy, exact) =
                    problem.evaluate(&x, check["epochs"].as_f64().unwrap_or(f64::NAN));
                let same = |ours: &[f64], theirs: &Json| {
                    let theirs: Vec<f64> = match theirs {
                        Json::Array(list) => list.iter().map(|x| x.as_f64().unwrap()).collect(),
                        one => vec![one.as_f64().unwrap()],
                    };
                    assert_eq!(ours.len(), theirs.len());
                    for (a, b) in ours.iter().zip(theirs) {
                        assert!((a - b).abs() <= 1e-9 * b.abs(), "{}: {a} {b}", problem.name);
                    }
                };
                same(&noisy, &check["value"]);
                if !check["noise_free"].is_null() {
                    same(&exact, &check["noise_free"]);
                }
                // The way to the unit interval and back.
                let point: Point = problem.params.iter().zip(&x).map(|(p, x)| p.unit(*x)).collect();
                let mut snapped = point.clone();
                space.snap(&mut snapped);
                for (a, b) in problem.values(&snapped).iter().zip(&x) {
                    assert!((a - b).abs() <= 1e-9 * b.abs().max(1e-9), "{}: {a} {b}", problem.name);
                }
                checks += 1;
            }
        }
        assert!(checks >= 80, "{checks}");
    }
}
