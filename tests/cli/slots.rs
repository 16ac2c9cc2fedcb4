//! What the workers of a process share: GPUs, cores, or a list.

use std::process::Command;

use crate::support::{Ran, Running, Trialmill, eventually};

impl Trialmill {
    /// The study with this script and options, where these GPUs are to be seen.
    fn with_gpus(&self, gpus: &str, options: &[&str], script: &str) -> Command {
        let mut command = self.command(&self.study(options, script));
        for name in ["ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK", "OMP_NUM_THREADS"] {
            command.env_remove(name);
        }
        // What other tests give out is not ours.
        command.env("CUDA_VISIBLE_DEVICES", gpus).env("TMPDIR", self.path(""));
        command
    }
}

/// Four workers and four GPUs: a trial's number was all there was to choose by, and two trained on one.
#[test]
fn no_two_commands_have_the_same_gpu_at_a_time() {
    let study = Trialmill::new(24);
    let script = r#"mkdir "$HERE/gpu.$CUDA_VISIBLE_DEVICES" || echo both >> "$HERE/shared"
        sleep 0.02; rmdir "$HERE/gpu.$CUDA_VISIBLE_DEVICES"
        echo "$CUDA_VISIBLE_DEVICES $TRIALMILL_WORKER $TRIALMILL_SLOT $OMP_NUM_THREADS" >> "$HERE/seen"
        echo 1"#;
    // As many workers as GPUs where nobody says how many; what the user has set stays.
    let mut file = study.read("study.yaml").replace("workers: 1\n", "");
    file += "slots: gpus\n";
    study.write("study.yaml", &file);
    let mut command = study.with_gpus("GPU-4,GPU-5,GPU-6", &[], script);
    command.env("OMP_NUM_THREADS", "7");
    Ran::of(&mut command).exits(0).says(&["24 trials succeeded"]);
    assert_eq!(study.read("shared"), "");
    let mut seen = study.lines("seen");
    assert_eq!(seen.len(), 24);
    seen.sort();
    seen.dedup();
    let all = ["GPU-4 0 GPU-4 7", "GPU-5 1 GPU-5 7", "GPU-6 2 GPU-6 7"];
    assert!(seen.iter().all(|line| all.contains(&line.as_str())), "{seen:?}");
}

#[test]
fn a_command_runs_on_the_cores_of_its_worker_and_takes_as_many_threads() {
    let study = Trialmill::new(4);
    let script = r#"echo "$(sed -n 's/^Cpus_allowed_list:[^0-9]*//p' /proc/self/status)" \
        "$TRIALMILL_SLOT $OMP_NUM_THREADS $RAYON_NUM_THREADS" >> "$HERE/seen"; echo 1"#;
    let cores = std::thread::available_parallelism().unwrap().get().to_string();
    let mut command = study.with_gpus("0", &["--slots", "cores", "-w", &cores], script);
    command.env_remove("RAYON_NUM_THREADS");
    Ran::of(&mut command).exits(0);
    for line in study.lines("seen") {
        let words: Vec<&str> = line.split(' ').collect();
        assert_eq!(words[0], words[1], "{line}");
        assert_eq!(words[2..], ["1", "1"], "{line}");
    }
    assert_eq!(study.lines("seen").len(), 4);
}

/// Two runs on one machine took GPU 0 both, without a word.
#[test]
fn two_processes_that_give_out_the_same_gpus_say_so() {
    let study = Trialmill::new(2);
    let script = "echo > \"$HERE/begun\"; until [ -e \"$HERE/go\" ]; do sleep 0.01; done; echo 1";
    let options = ["--slots", "gpus", "-w", "1"];
    let first = Running::with_pipes(study.with_gpus("0,1", &options, script));
    eventually("it has begun", || study.path("begun").exists());
    let second = Running::with_pipes(study.with_gpus("1,2", &options, script));
    eventually("the second works too", || study.count("evaluating") == 2);
    study.write("go", "");
    first.end().exits(0).says_nothing_of("slots");
    second.end().exits(0).says(&["slots: process", "gives out gpus 1 too"]);
}

#[test]
fn a_list_is_given_out_as_it_is_and_what_is_no_slot_is_refused() {
    let study = Trialmill::new(2);
    let script = "echo $TRIALMILL_SLOT >> \"$HERE/seen\"; echo 1";
    Ran::of(&mut study.with_gpus("0", &["--slots", "left,right"], script)).exits(0);
    assert!(study.lines("seen").iter().all(|slot| ["left", "right"].contains(&slot.as_str())));
    for (gpus, slots, says) in
        [("", "gpus", "no GPU is to be seen"), ("0", "a,,b", "write gpus, cores")]
    {
        let options = ["--evaluations", "3", "--slots", slots];
        Ran::of(&mut study.with_gpus(gpus, &options, script)).exits(2).says(&[says]);
    }
}
