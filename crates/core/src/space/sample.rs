//! Draws from a parameter: anywhere in its domain, or around its prior.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::{Domain, Parameter};
use crate::config::Value;

impl Parameter {
    /// A uniform draw on the parameter's own scale.
    pub fn sample(&self, rng: &mut dyn Rng) -> Value {
        self.domain.from_unit(rng.random())
    }

    /// A draw around the prior, as NePS draws: normal on the parameter's scale, cut at the bounds; a
    /// choice is the prior with the trust as its probability, else one of the others. Without a
    /// prior, uniform.
    pub fn sample_around_prior(&self, rng: &mut dyn Rng) -> Value {
        let Some((prior, confidence)) = self.prior_value() else { return self.sample(rng) };
        if let Domain::Categorical { choices, ordered: false } = &self.domain {
            let keep = rng.random::<f64>() < confidence.share() || choices.len() < 2;
            if keep {
                return prior.clone();
            }
            // One of the others, all equally likely.
            let at = rng.random_range(0..choices.len() - 1);
            let mut others = choices.iter().filter(|choice| *choice != prior);
            return others.nth(at).unwrap_or(prior).clone();
        }
        let centre = self.domain.to_unit(prior);
        // A draw lands inside at least every third time, so 64 misses do not happen.
        for _ in 0..64 {
            let normal: f64 = rng.sample(StandardNormal);
            let unit = centre + confidence.spread() * normal;
            if (0.0..=1.0).contains(&unit) {
                return self.domain.from_unit(unit);
            }
        }
        prior.clone()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;
    use crate::space::Confidence;

    #[test]
    fn draws_stay_inside_and_whole_numbers_are_equally_likely() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let parameter = Parameter::int(1, 4);
        let mut seen = [0u32; 5];
        for _ in 0..40_000 {
            match parameter.sample(&mut rng) {
                Value::Int(x) => seen[x as usize] += 1,
                other => panic!("{other}"),
            }
        }
        assert!(seen[1..].iter().all(|n| (9_600..10_400).contains(n)), "{seen:?}");
        for _ in 0..1_000 {
            let x = Parameter::float(1e-3, 1e3).log().sample(&mut rng).as_f64().unwrap();
            assert!((1e-3..=1e3).contains(&x));
        }
    }

    /// The words low, medium and high meant other spreads than in NePS: one shared directory had two
    /// distributions.
    #[test]
    fn the_words_of_trust_mean_what_neps_means() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(3);
        let mut share = |parameter: Parameter, near: &dyn Fn(&Value) -> bool| {
            let draws = (0..20_000).filter(|_| near(&parameter.sample_around_prior(&mut rng)));
            draws.count() as f64 / 20_000.0
        };
        // NePS 0.17: P(|x - 0.5| < 0.1) of a normal draw with deviation 0.75, 0.5, 0.25, cut to [0, 1];
        // and the weight of the choice that is the prior.
        for (confidence, float, choice) in [
            (Confidence::Low, 0.214, 0.25),
            (Confidence::Medium, 0.232, 0.5),
            (Confidence::High, 0.326, 0.75),
        ] {
            let near = |value: &Value| value.as_f64().is_some_and(|x| (x - 0.5).abs() < 0.1);
            let parameter = Parameter::float(0.0, 1.0).prior(0.5).prior_confidence(confidence);
            let seen = share(parameter, &near);
            assert!((seen - float).abs() < 0.015, "{confidence:?}: {seen}");
            let parameter = Parameter::categorical(["a", "b", "c"]).prior("b");
            let seen =
                share(parameter.prior_confidence(confidence), &|value| *value == Value::from("b"));
            assert!((seen - choice).abs() < 0.015, "{confidence:?}: {seen}");
        }
    }

    #[test]
    fn draws_around_a_prior_are_nearer_to_it_the_more_it_is_trusted() {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(2);
        let mut distance = |confidence| {
            let p = Parameter::float(0.0, 1.0).prior(0.2).prior_confidence(confidence);
            let draw = |rng: &mut Xoshiro256PlusPlus| p.sample_around_prior(rng).as_f64().unwrap();
            (0..2_000).map(|_| (draw(&mut rng) - 0.2).abs()).sum::<f64>() / 2_000.0
        };
        let (low, medium, high) =
            (distance(Confidence::Low), distance(Confidence::Medium), distance(Confidence::High));
        assert!(low > medium && medium > high, "{low} {medium} {high}");
    }
}
