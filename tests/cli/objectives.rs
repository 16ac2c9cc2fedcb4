//! What is maximised, what objectives are called, and that both are shown as they were given.

use serde_json::json;

use crate::support::Trialmill;

/// There was no maximising: an accuracy had to be reported as its negative, and was shown as that.
#[test]
fn the_greatest_is_the_best_where_the_study_maximises() {
    let study = Trialmill::new(12);
    let file = study.read("study.yaml");
    study.write("study.yaml", &(file.clone() + "direction: maximize\n"));
    study.run_study(&[], "echo $TRIALMILL_PARAM_x").exits(0);
    let trials = study.trials();
    let given: Vec<f64> =
        trials.iter().map(|t| t["report"]["objective"].as_f64().unwrap()).collect();
    let most = given.iter().copied().fold(0.0, f64::max);
    assert_eq!(study.json(&["best", "s"])["report"]["objective"], json!(most));
    assert_eq!(study.status()["best"]["config"]["x"], json!(most));
    assert_eq!(study.status()["objectives"], json!([{"direction": "maximize"}]));
    study.run(&["best", "s"]).exits(0).says(&[&format!("best       {most:?} by trial")]);
    study.run(&["status", "s"]).exits(0).says(&["objective  maximize"]);
    let table = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    assert!(table.starts_with("id,state,previous_trial_id,config.x,objective,cost"), "{table}");
    // A copy is the same, and the file without the word is not another study.
    study.run(&["convert", "s", "copy", "--layout", "journal"]).exits(0);
    assert_eq!(study.json(&["best", "copy"])["report"]["objective"], json!(most));
    study.write("study.yaml", &file);
    study.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
    study.write("study.yaml", &(file + "direction: minimize\n"));
    let refused = study.run(&["create", "study.yaml", "--dir", "s"]).exits(3);
    refused.says(&["another objective", "there:  maximize", "wanted: minimize"]);
}

#[test]
fn objectives_with_names_are_given_and_shown_by_name() {
    let study = Trialmill::new(9);
    let file = study.read("study.yaml") + "objectives: {accuracy: maximize, latency: minimize}\n";
    study.write("study.yaml", &file);
    let script = "echo \"{\\\"latency\\\": 2, \\\"accuracy\\\": $TRIALMILL_PARAM_x}\"";
    study.run_study(&["--evaluations", "3"], script).exits(0);
    let best = study.json(&["best", "s"]);
    let most =
        study.trials().iter().map(|t| t["config"]["x"].as_f64().unwrap()).fold(0.0, f64::max);
    assert_eq!(best[0]["report"]["objectives"], json!({"accuracy": most, "latency": 2.0}));
    assert_eq!(best.as_array().unwrap().len(), 1);
    study.run(&["best", "s"]).says(&[&format!("accuracy {most:?}, latency 2.0 by trial")]);
    let table = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    assert!(table.contains("config.x,objective.accuracy,objective.latency,cost"), "{table}");
    let first = study.json(&["trials", "s", "--sort", "accuracy", "--limit", "1"]);
    assert_eq!(first[0]["config"]["x"].as_f64(), Some(most), "the best first");
    // By hand, in any order; and what is missing or unknown is named.
    study.run(&["set", "s", "--evaluations", "9"]).exits(0);
    study.run(&["ask", "s"]).exits(0);
    let told = |options: &[&str]| study.run(&[&["tell", "s", "4"], options].concat());
    told(&["--objective", "accuracy=2"]).exits(2).says(&["all are needed"]);
    told(&["--objective", "speed=2"]).exits(2).says(&["'speed' is none of the study's"]);
    told(&["--objective", "latency=1", "--objective", "accuracy=2"]).exits(0);
    assert_eq!(study.json(&["best", "s"])[0]["id"], json!("4"));
    // Fewer are a crash that names both.
    study.run(&["ask", "s"]).exits(0);
    study.run(&["tell", "s", "5", "--objective", "1"]).exits(0);
    let why = study.json(&["trials", "s", "5"])[0]["report"]["err"].to_string();
    assert!(why.contains("maximize accuracy, minimize latency"), "{why}");
}

#[test]
fn what_cannot_be_meant_is_refused_in_other_tools_words_too() {
    let study = Trialmill::new(2);
    let file = study.read("study.yaml");
    for (line, says) in [
        ("direction: max", "`maximize`"),
        ("direction: up", "minimize, maximize"),
        ("directions: [maximize]", "here it is `direction`"),
        ("maximize: true", "here it is `direction: maximize`"),
        ("objectives: {accuracy: maximize}\ndirection: maximize", "leave one of the two out"),
        ("objectives: {cost: minimize}", "means something else"),
        ("objectives: maximize", "a mapping of names"),
    ] {
        study.write("study.yaml", &format!("{file}{line}\n"));
        study.run(&["create", "study.yaml", "--dir", "s"]).exits(2).says(&[says]);
    }
    study.write("study.yaml", &format!("{file}direction: maximize\n"));
    for layout in ["neps", "neps-0.14", "neps-0.13", "neps-0.12"] {
        let create = ["create", "study.yaml", "--dir", "n", "--layout", layout];
        study.run(&create).exits(2).says(&["NePS only minimises"]);
        assert!(!study.path("n").exists());
    }
    study.run(&["create", "study.yaml", "--dir", "s"]).exits(0);
    study.run(&["convert", "s", "n", "--layout", "neps"]).exits(2).says(&["only minimises"]);
}

/// A model that does not fit into memory was the best one.
#[test]
fn what_violates_a_constraint_is_never_the_best() {
    let study = Trialmill::new(20);
    let file = study.read("study.yaml") + "direction: maximize\nconstraints: [above_half]\n";
    study.write("study.yaml", &file);
    let script = "echo \"{\\\"objective\\\": $TRIALMILL_PARAM_x, \\\"above_half\\\": \
                  $(awk \"BEGIN {print $TRIALMILL_PARAM_x - 0.5}\")}\"";
    study.run_study(&[], script).exits(0);
    let x = |trial: &serde_json::Value| trial["config"]["x"].as_f64().unwrap();
    let trials = study.trials();
    let most = trials.iter().map(x).filter(|x| *x <= 0.5).fold(0.0, f64::max);
    let over = trials.iter().map(x).filter(|x| *x > 0.5).count();
    assert!(most > 0.0 && over > 0, "seed 7 draws both");
    assert_eq!(x(&study.json(&["best", "s"])), most);
    assert_eq!(study.status()["infeasible"], json!(over));
    let table = study.run(&["trials", "s", "--csv"]).exits(0).stdout;
    assert!(table.contains("config.x,objective,constraint.above_half,cost"), "{table}");
    // After convert, and in another process, the same.
    study.run(&["convert", "s", "copy", "--layout", "journal"]).exits(0);
    assert_eq!(x(&study.json(&["best", "copy"])), most);
    // A result without it is a crash that names it; by hand it is given by name.
    study.run(&["set", "s", "--evaluations", "30"]).exits(0);
    study.run(&["ask", "s", "-n", "2"]).exits(0);
    study.run(&["tell", "s", "21", "--objective", "9"]).exits(0);
    let why = study.json(&["trials", "s", "21"])[0]["report"]["err"].to_string();
    assert!(why.contains("above_half"), "{why}");
    let told = ["tell", "s", "22", "--objective", "9", "--constraint", "above_half=0"];
    study.run(&told).exits(0);
    assert_eq!(study.json(&["best", "s"])["id"], json!("22"));
    let constraints = study.json(&["trials", "s", "22"])[0]["report"]["constraints"].clone();
    assert_eq!(constraints, json!({"above_half": 0.0}));
    study.run(&["convert", "s", "n", "--layout", "neps"]).exits(2);
    study
        .run(&["status", "s"])
        .exits(0)
        .says(&["maximize, above_half <= 0", "violate a constraint"]);
}
