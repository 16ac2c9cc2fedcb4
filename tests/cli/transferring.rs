//! `warm_start`: a study that begins with what others found.

use serde_json::Value as Json;

use crate::support::Trialmill;

/// Best at lr = 0.01 and three layers; `{kind}` only where the space has it.
const SCRIPT: &str = r#"awk -v lr="$TRIALMILL_PARAM_lr" -v n="$TRIALMILL_PARAM_layers" \
  'BEGIN { u = log(lr) - log(0.01); print u * u + (n - 3) * (n - 3) }'"#;

const SPACE: &str = "lr: {type: float, lower: 1e-5, upper: 1.0, log: true}, layers: {type: int, lower: 1, upper: 8}";

impl Trialmill {
    /// Runs a study of this space in `dir`.
    fn tune(&self, dir: &str, space: &str, more: &str, evaluations: u32) -> crate::support::Ran {
        self.write("script.sh", SCRIPT);
        let text = format!(
            "space: {{{space}}}\noptimizer: auto\nseed: 7\nbudget: {{evaluations: {evaluations}}}\nworkers: 1\n\
             {more}\n"
        );
        let file = format!("{dir}.yaml");
        self.write(&file, &text);
        self.run(&["run", &file, "--dir", dir, "-q", "--", "sh", "script.sh"])
    }

    fn configs(&self, dir: &str) -> Vec<Json> {
        let rows = self.json(&["trials", dir]);
        rows.as_array().unwrap().iter().map(|row| row["config"].clone()).collect()
    }
}

#[test]
fn a_study_begins_with_what_another_found_and_neither_lists_nor_charges_it() {
    let study = Trialmill::new(0);
    study.tune("old", SPACE, "", 20).exits(0);
    let before = study.read("old/journal.jsonl");
    // Another parameter, a narrower and a wider one.
    let space = "lr: {type: float, lower: 1e-4, upper: 10.0, log: true}, layers: {type: int, lower: 1, upper: 5}, \
                 kind: {type: categorical, choices: [a, b]}";
    study.tune("new", space, "warm_start: [old]", 8).exits(0);
    assert_eq!(study.read("old/journal.jsonl"), before, "the other study was written to");
    let status = study.json(&["status", "new"]);
    let source = &status["warm_start"][0];
    assert_eq!(source["directory"], "old");
    assert_eq!(
        (&source["of"], &source["parameters"]),
        (&20.into(), &serde_json::json!(["lr", "layers"]))
    );
    let taken = source["trials"].as_u64().unwrap();
    assert!(taken > 5 && taken < 20, "those outside the new bounds are left out: {taken}");
    study.run(&["status", "new"]).exits(0).says(&["began with", "of 20 trials of old: lr, layers"]);
    // What was best there comes first; and the eight evaluations are this study's own.
    let configs = study.configs("new");
    assert_eq!((configs.len(), &status["spent"]["evaluations"]), (8, &8.into()));
    let best = study.json(&["best", "old"]);
    assert_eq!(configs[0]["lr"], best["config"]["lr"]);
    assert_eq!(configs[0]["layers"], best["config"]["layers"]);
    study.run(&["check", "new"]).exits(0);
}

/// What was read is part of the study: the other directory may be gone, or have grown.
#[test]
fn a_resumed_study_goes_on_as_the_uninterrupted_one_though_the_other_is_gone() {
    let study = Trialmill::new(0);
    study.tune("old", SPACE, "", 16).exits(0);
    study.tune("whole", SPACE, "warm_start: old", 14).exits(0);
    study.tune("parts", SPACE, "warm_start: old", 6).exits(0);
    std::fs::rename(study.path("old"), study.path("moved")).unwrap();
    study.tune("parts", SPACE, "warm_start: old", 14).exits(0);
    assert_eq!(study.configs("parts"), study.configs("whole"));
    study.tune("alone", SPACE, "", 14).exits(0);
    assert_ne!(study.configs("alone"), study.configs("whole"));
    // What a study began with does not change.
    study.tune("parts", SPACE, "warm_start: [moved]", 14).exits(3).says(&[
        "warm start",
        "moved",
        "old",
    ]);
    study.tune("alone", SPACE, "warm_start: [moved]", 14).exits(3).says(&["warm start", "nothing"]);
    // Without a word about it, it goes on.
    study.tune("parts", SPACE, "", 15).exits(0);
    assert_eq!(study.configs("parts").len(), 15);
}

#[test]
fn a_directory_of_neps_is_as_good() {
    let study = Trialmill::new(0);
    study.tune("old", SPACE, "", 12).exits(0);
    study.run(&["convert", "old", "neps", "--layout", "neps"]).exits(0);
    study.tune("one", SPACE, "warm_start: [old]", 10).exits(0);
    study.tune("other", SPACE, "warm_start: [neps]", 10).exits(0);
    assert_eq!(study.configs("one"), study.configs("other"));
}

#[test]
fn what_cannot_be_begun_with_is_said_and_nothing_is_created() {
    let study = Trialmill::new(0);
    study.tune("old", SPACE, "", 3).exits(0);
    let other = "x: {type: float, lower: 0.0, upper: 1.0}";
    let outside = "lr: {type: float, lower: 50.0, upper: 60.0}, layers: {type: int, lower: 1, upper: 8}, \
                   kind: {type: categorical, choices: [a, b]}";
    let fails: &[(&str, &str, &[&str])] = &[
        (SPACE, "warm_start: [nowhere]", &["warm_start: nowhere", "it does not exist"]),
        (other, "warm_start: [old]", &["warm_start: old", "no parameter of it"]),
        (SPACE, "warm_start: 5", &["warm_start: a list of directories is needed"]),
        (
            SPACE,
            "warm_start: old\nobjectives: {error: minimize, size: minimize}",
            &["warm_start: old", "another number of objectives"],
        ),
    ];
    for (space, more, says) in fails {
        study.tune("new", space, more, 3).exits(2).says(says);
        assert!(!study.path("new").exists(), "{more}");
    }
    study.tune("some", outside, "warm_start: [old]", 3).exits(0);
    let status = study.json(&["status", "some"]);
    assert_eq!(status["warm_start"][0]["parameters"], serde_json::json!(["layers"]));
    for optimizer in ["random_search", "grid_search", "sobol", "hyperband"] {
        let more = format!("warm_start: [old]\noptimizer: {optimizer}");
        let space = match optimizer {
            "hyperband" => {
                format!("{SPACE}, epochs: {{type: int, lower: 1, upper: 9, fidelity: true}}")
            }
            _ => SPACE.to_string(),
        };
        let file = format!("space: {{{space}}}\nseed: 7\nbudget: {{evaluations: 3}}\n{more}\n");
        study.write("plain.yaml", &file);
        let run = ["run", "plain.yaml", "--dir", "new", "-q", "--", "sh", "script.sh"];
        study.run(&run).exits(2).says(&["learns nothing from other studies", optimizer]);
        assert!(!study.path("new").exists(), "{optimizer}");
    }
}
