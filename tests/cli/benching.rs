//! What `bench` says of a node: every figure is there, and nothing is left behind.

use crate::support::Trialmill;

#[test]
fn a_measurement_says_everything_and_leaves_nothing() {
    let study = Trialmill::new(1);
    std::fs::create_dir(study.path("disk")).unwrap();
    let arguments = ["bench", "disk", "--workers", "2", "--trials", "50", "--batch", "2"];
    let measured = study.json(&arguments);
    let rows = measured["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 3);
    for row in rows {
        assert_eq!((&row["layout"], &row["workers"]), (&"journal".into(), &2.into()));
        for name in ["trials_per_second", "ask_p50_us", "ask_p99_us", "report_p50_us"] {
            assert!(row[name].as_f64().unwrap() > 0.0, "{name}: {row}");
        }
        let on_disk = row["kept"] != "memory";
        assert_eq!(row["bytes_per_trial"].as_u64().is_some_and(|bytes| bytes > 100), on_disk);
        assert_eq!(row["open_s"].is_f64(), on_disk);
    }
    let parts = measured["microseconds_of_one_worker"].as_object().unwrap();
    assert!(parts.contains_key(measured["limit"].as_str().unwrap()), "{measured}");
    for part in ["sync", "lock", "serialisation"] {
        assert!(parts.contains_key(part), "{part}");
    }
    let share = measured["evaluation_share"].as_f64().unwrap();
    assert!(share > 0.0, "{share}");
    assert_eq!(std::fs::read_dir(study.path("disk")).unwrap().count(), 0);
}

#[test]
fn several_processes_share_the_work_and_are_compared_with_one() {
    let study = Trialmill::new(1);
    std::fs::create_dir(study.path("disk")).unwrap();
    let arguments = ["bench", "disk", "--processes", "2", "--workers", "1", "--trials", "200"];
    let measured = study.json(&[&arguments[..], &["--durability", "buffered"]].concat());
    let row = &measured["rows"][0];
    assert!(row["against_one_process"].as_f64().unwrap() > 0.0, "{measured}");
    assert!((0.0..=1.0).contains(&row["least_share"].as_f64().unwrap()), "{measured}");
    study.run(&["bench", "disk", "--durability", "sinced"]).exits(2).says(&["buffered"]);
    study.run(&["bench", "disk", "--layout", "nebs"]).exits(2).says(&["journal"]);
}
