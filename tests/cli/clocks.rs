//! Clocks that are wrong or jump: a laptop that wakes up in 1970, a time server that corrects by an
//! hour, two machines that never agree. Nothing is decided by the wall clock.

use crate::other_world::{Clocks, World};
use crate::support::{Trialmill, eventually, text};

const HOUR: i64 = 3_600;
const TEN_YEARS: i64 = 10 * 365 * 24 * HOUR;

/// How wrong a wall clock may be, in seconds.
fn wrong() -> Vec<i64> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let now = now.unwrap().as_secs() as i64;
    // In 1970; before it; and where nanoseconds in 64 bits, and seconds in 32 bits, have ended.
    vec![
        HOUR,
        -HOUR,
        TEN_YEARS,
        -TEN_YEARS,
        -now,
        -now - TEN_YEARS,
        30 * TEN_YEARS,
        200 * TEN_YEARS,
    ]
}

const SLOW: &str =
    r#"echo "$TRIALMILL_TRIAL_ID" >> "$HERE/begun"; sleep 0.02; echo "$TRIALMILL_TRIAL_ID""#;

fn wall(wall_s: i64) -> Clocks {
    Clocks { wall_s, ..Clocks::default() }
}

impl Trialmill {
    /// All verbs that show times, in a world and in ours.
    fn look_from(&self, world: &World) {
        for verb in [
            &["status", "s"][..],
            &["status", "s", "--json"],
            &["trials", "s"],
            &["trials", "s", "--csv"],
            &["best", "s"],
            &["check", "s"],
        ] {
            world.run(self, verb).exits(0);
            self.run(verb).exits(0);
        }
        for trial in self.trials() {
            let metadata = &trial["metadata"];
            for time in ["time_sampled", "time_started", "time_end"] {
                let time = metadata[time].as_f64().unwrap_or_else(|| panic!("{trial}"));
                assert!((0.0..1e11).contains(&time), "{trial}");
            }
            let took = trial["report"]["evaluation_duration"].as_f64().unwrap();
            assert!((0.0..60.0).contains(&took), "{trial}");
        }
    }

    #[track_caller]
    fn assert_each_once(&self, n: usize) {
        let trials = self.trials();
        assert_eq!((trials.len(), self.lines("begun").len()), (n, n));
        assert!(trials.iter().all(|trial| trial["state"] == "success"));
        assert!(trials.iter().all(|trial| trial["metadata"]["attempts"] == 1));
    }
}

#[test]
fn two_machines_whose_wall_clocks_differ_by_years_share_a_study() {
    for wrong in wrong() {
        let study = Trialmill::new(12);
        let Some(world) = World::new(&study, "wrong") else { return };
        world.set(wall(wrong));
        let options = ["--timeout", "60", "--seconds", "600"];
        let first = world.start(&study, &study.study(&options, SLOW));
        eventually("it has begun", || !study.lines("begun").is_empty());
        study.look_midway(&world);
        study.run(&["worker", "s", "-q", "-w", "1"]).exits(0);
        first.end().exits(0).says(&["12 trials succeeded"]).says_nothing_of("dead");
        study.assert_each_once(12);
        study.look_from(&world);
    }
}

impl Trialmill {
    /// Times since a trial began may be negative there.
    fn look_midway(&self, world: &World) {
        world.run(self, &["status", "s"]).exits(0);
        self.run(&["status", "s"]).exits(0);
    }
}

#[test]
fn a_wall_clock_that_jumps_all_the_time_ends_no_evaluation_and_no_run() {
    let study = Trialmill::new(60);
    let Some(world) = World::new(&study, "jumping") else { return };
    let options = ["-w", "2", "--timeout", "60", "--seconds", "600"];
    let mut first = world.start(&study, &study.study(&options, SLOW));
    eventually("it has begun", || !study.lines("begun").is_empty());
    let second = study.start(&["worker", "s", "-q", "-w", "1"]);
    let mut jumps = 0;
    for wrong in wrong().into_iter().cycle() {
        if first.has_ended() {
            break;
        }
        world.set(wall(wrong));
        jumps += 1;
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(jumps > 30, "{jumps} jumps");
    first.end().exits(0).says(&["60 trials succeeded"]).says_nothing_of("dead");
    second.end().exits(0);
    study.assert_each_once(60);
    study.look_from(&world);
    // Of one process no trial ends before it began, and none begins before those it began earlier.
    let mut before = f64::MIN;
    for trial in study.trials() {
        let time = |key: &str| trial["metadata"][key].as_f64().unwrap();
        if trial["metadata"]["evaluating_worker_id"].as_str().unwrap().starts_with("p1-") {
            assert!(before <= time("time_started"), "{trial}");
            assert!(time("time_started") <= time("time_end"), "{trial}");
            before = time("time_started");
        }
    }
    assert!(before > 0.0);
}

#[test]
fn a_caller_s_deadline_is_neither_fired_nor_held_by_the_wall_clock() {
    let study = Trialmill::new(3);
    study.create();
    let Some(world) = World::new(&study, "wrong") else { return };
    let take_back = || world.run(&study, &["worker", "s", "-q", "--seconds", "0", "--", "true"]);
    study.run(&["ask", "s", "--deadline", "3600"]).exits(0);
    for wrong in wrong() {
        world.set(wall(wrong));
        take_back();
        assert_eq!(study.states(), ["evaluating"], "a wall clock that is wrong by {wrong} s");
    }
    // An hour of this machine's life, which it may have slept through, while the wall clock went
    // back by ten years.
    for (boot_s, state) in [(HOUR - 60, "evaluating"), (HOUR + 60, "pending")] {
        world.set(Clocks { wall_s: -TEN_YEARS, monotonic_s: 0, boot_s });
        take_back();
        assert_eq!(study.states(), [state], "{boot_s} s later");
    }
    study.run(&["tell", "s", "1", "--objective", "1"]).exits(10);
    assert_eq!(text(&study.trials()[0]["state"]), "pending");
}
