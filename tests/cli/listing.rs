//! Trials as a person lists them.

use crate::support::Trialmill;

#[test]
fn trials_are_listed_in_the_order_and_number_that_is_asked_for() {
    let study = Trialmill::new(5);
    let script = "[ $TRIALMILL_TRIAL_ID = 2 ] && exit 1; \
                  echo \"{\\\"objective\\\": $TRIALMILL_PARAM_x, \\\"cost\\\": 1e300}\"";
    study.run_study(&[], script).exits(0);
    let ids = |options: &[&str]| -> Vec<String> {
        let said = study.run(&[&["trials", "s"], options].concat()).exits(0).stdout;
        said.lines().map(|line| line.split(' ').next().unwrap().to_string()).collect()
    };
    let mut by_x: Vec<(f64, String)> = study
        .trials()
        .iter()
        .filter(|trial| trial["state"] == "success")
        .map(|trial| (trial["config"]["x"].as_f64().unwrap(), trial["id"].as_str().unwrap().into()))
        .collect();
    by_x.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut wanted: Vec<String> = by_x.into_iter().map(|(_, id)| id).collect();
    // What has no objective comes last.
    wanted.push("2".into());
    assert_eq!(ids(&["--sort", "objective"]), wanted);
    assert_eq!(ids(&["--sort", "objective", "--limit", "2"]), wanted[..2]);
    assert_eq!(ids(&["--reverse"]), ["5", "4", "3", "2", "1"]);
    assert_eq!(ids(&[]), ["1", "2", "3", "4", "5"]);
    let listed = study.json(&["trials", "s", "--sort", "x", "--limit", "1"]);
    assert_eq!(listed.as_array().unwrap().len(), 1);
    study.run(&["trials", "s", "--sort", "objectve"]).exits(2).says(&["`objective`"]);
    let long = study.run(&["trials", "s", "--long", "--limit", "1"]).exits(0);
    long.says(&["started (UTC)", "seconds", "attempts", "p1-w1", "1e300", "s/trials/1"]);
    // No number is 301 digits long, and the best says where it is.
    let status = study.run(&["status", "s"]).exits(0).says(&["4e300 cost", "s/trials/"]);
    assert!(status.stdout.len() < 1_500, "{status:?}");
}

#[test]
fn what_is_not_used_or_not_there_gets_a_true_sentence() {
    let study = Trialmill::with_space("x: {lower: 0.0, upper: 1.0, prior: 0.5}", 1);
    let create = ["create", "study.yaml", "--dir", "s"];
    study.run(&create).exits(0).says(&["prior of 'x' is not used by random_search", "use_priors"]);
    let file = study.read("study.yaml");
    let (named, used) = ("random_search", "{name: random_search, use_priors: true}");
    study.write("study.yaml", &file.replace(named, used));
    study.run(&["create", "study.yaml", "--dir", "t"]).exits(0).says_nothing_of("not used");
    // A typo in a path is no damage.
    study.run(&["check", "nowhere"]).exits(3).says(&["does not exist"]).says_nothing_of("DAMAGE");
    study.run(&["retry", "s"]).exits(0).says(&["no trial failed or crashed"]);
}
