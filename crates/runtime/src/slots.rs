//! What the commands of a process share: each worker gets its part of the GPUs, of the cores, or of a list
//! that the user gives.

use std::collections::HashMap;
use std::fmt;

use nix::sched::{CpuSet, sched_getaffinity};
use nix::unistd::Pid;
use serde::{Deserialize, Deserializer};

use trialmill_core::error::Error;

/// The variables that say which GPUs a process sees: of CUDA, of ROCm, and of oneAPI's Level Zero.
const GPUS: [&str; 3] = ["CUDA_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES", "ZE_AFFINITY_MASK"];
/// The variables that say how many threads the usual libraries take.
const THREADS: [&str; 5] = [
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "RAYON_NUM_THREADS",
];
/// The variable that has a worker's part, whatever it is of.
const SLOT: &str = "TRIALMILL_SLOT";

/// What is divided among the workers of a process.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Slots {
    /// Nothing: all see everything.
    #[default]
    None,
    /// The GPUs that this process sees.
    Gpus,
    /// The cores that it may run on.
    Cores,
    /// These, whatever they are.
    List(Vec<String>),
}

/// The part of one worker.
#[derive(Debug, Clone, Default)]
pub(crate) struct Share {
    /// Variables for its commands, where neither the user nor the study has set them.
    pub(crate) threads: Vec<(&'static str, String)>,
    /// Variables for its commands, in any case.
    pub(crate) variables: Vec<(&'static str, String)>,
    /// The cores that its commands run on; all, if not said.
    pub(crate) cores: Option<CpuSet>,
}

/// The parts of all workers of a process.
#[derive(Debug, Default)]
pub(crate) struct Shares(Vec<Share>);

impl std::str::FromStr for Slots {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "gpus" => Ok(Slots::Gpus),
            "cores" => Ok(Slots::Cores),
            "none" => Ok(Slots::None),
            list => Self::list(list.split(',')),
        }
    }
}

impl Slots {
    fn list<S: AsRef<str>>(items: impl Iterator<Item = S>) -> Result<Self, String> {
        let items: Vec<String> = items.map(|item| item.as_ref().trim().to_string()).collect();
        let is_bad = |item: &String| item.is_empty() || item.contains('\0');
        match items.is_empty() || items.iter().any(is_bad) {
            true => Err("write gpus, cores, none, or a list such as 0,1,4,5".into()),
            false => Ok(Slots::List(items)),
        }
    }

    /// How many workers there are to be where nobody has said it.
    ///
    /// # Errors
    /// No GPU is to be seen.
    pub fn workers(&self) -> Result<Option<usize>, Error> {
        Ok(match self {
            Slots::None | Slots::Cores => None,
            Slots::Gpus => gpus(&environment)?.iter().map(|(_, all)| all.len()).max(),
            Slots::List(items) => Some(items.len()),
        })
    }
}

impl<'de> Deserialize<'de> for Slots {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "gpus, cores, none, or a list such as [0, 1]")]
        enum Given {
            Text(String),
            Number(u64),
            List(Vec<serde_json::Value>),
        }
        let slots = match Given::deserialize(from)? {
            Given::Text(text) => text.parse(),
            Given::Number(number) => Self::list([number.to_string()].iter()),
            Given::List(list) => Self::list(list.iter().map(|item| match item {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            })),
        };
        slots.map_err(serde::de::Error::custom)
    }
}

impl Shares {
    /// Divides what there is among this many workers.
    ///
    /// # Errors
    /// No GPU is to be seen, or the system does not say which cores there are.
    pub(crate) fn of(slots: &Slots, workers: usize) -> Result<Self, Error> {
        Self::with(slots, workers, &cores()?, &environment)
    }

    fn with(
        slots: &Slots,
        workers: usize,
        cores: &[usize],
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Error> {
        let all_cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
        let lists = match slots {
            Slots::None => return Ok(Shares::default()),
            Slots::Gpus => gpus(environment)?,
            Slots::Cores => vec![("", all_cores.clone())],
            Slots::List(items) => vec![("", items.clone())],
        };
        for (_, all) in lists.iter().filter(|(_, all)| all.len() < workers) {
            tracing::warn!(
                "{workers} workers share {}: {}",
                match slots {
                    Slots::Gpus => "fewer GPUs",
                    Slots::Cores => "fewer cores",
                    _ => "fewer slots",
                },
                all.join(",")
            );
        }
        let one = |worker: usize| {
            let parts = lists.iter().map(|(name, all)| (*name, part(all, worker, workers)));
            let parts: Vec<(&str, &[String])> = parts.collect();
            let own = parts.first().map_or(&[][..], |(_, own)| own);
            let mut share = Share::default();
            share.variables.push((SLOT, own.join(",")));
            if *slots == Slots::Gpus {
                share.variables.extend(GPUS.iter().filter_map(|gpus| {
                    let (_, own) = parts.iter().find(|(name, _)| name == gpus)?;
                    Some((*gpus, own.join(",")))
                }));
            }
            let mut threads = (cores.len() / workers).max(1);
            if *slots == Slots::Cores {
                threads = own.len();
                let mut set = CpuSet::new();
                let numbers = own.iter().filter_map(|core| core.parse().ok());
                let is_set = numbers.into_iter().all(|core| set.set(core).is_ok());
                share.cores = is_set.then_some(set);
            }
            share.threads = THREADS.map(|name| (name, threads.to_string())).to_vec();
            share
        };
        Ok(Shares((0..workers).map(one).collect()))
    }

    /// That of a worker; nothing where nothing is divided.
    pub(crate) fn get(&self, worker: usize) -> Option<&Share> {
        self.0.get(worker)
    }

    /// The parts of all of them, as they are said to others.
    pub(crate) fn slots(&self) -> Vec<String> {
        let own = |share: &Share| share.variables.first().map(|(_, own)| own.clone());
        let each = self.0.iter().filter_map(own);
        let mut all: Vec<String> =
            each.flat_map(|own| own.split(',').map(String::from).collect::<Vec<_>>()).collect();
        all.sort();
        all.dedup();
        all
    }
}

/// The part of one worker: as many of the list as of the others, one after another; or the same for
/// several where the list is too short.
fn part(all: &[String], worker: usize, workers: usize) -> &[String] {
    match (all.len(), worker % all.len().max(1)) {
        (0, _) => &[],
        (n, at) if n < workers => &all[at..=at],
        (n, _) => &all[worker * n / workers..(worker + 1) * n / workers],
    }
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The GPUs that this process sees, by the variable that says so; where none does, those of the machine.
fn gpus(
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(&'static str, Vec<String>)>, Error> {
    let split = |text: String| {
        let list = text.split(',').map(|one| one.trim().to_string());
        list.take_while(|one| !one.is_empty() && one != "-1" && one != "NoDevFiles").collect()
    };
    let said: Vec<(&str, Vec<String>)> =
        GPUS.iter().filter_map(|name| Some((*name, split(environment(name)?)))).collect();
    let found = if said.is_empty() { installed() } else { said };
    match found.iter().any(|(_, all)| !all.is_empty()) {
        true => Ok(found.into_iter().filter(|(_, all)| !all.is_empty()).collect()),
        false => Err(Error::Setting(
            "slots: no GPU is to be seen here: set CUDA_VISIBLE_DEVICES, ROCR_VISIBLE_DEVICES or \
             ZE_AFFINITY_MASK, or name them: slots: [0, 1]"
                .into(),
        )),
    }
}

/// The GPUs of the machine: NVIDIA's by their device files, AMD's by what their driver says.
fn installed() -> Vec<(&'static str, Vec<String>)> {
    let names = |dir: &str| {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
    };
    let devices = names("/dev");
    let mut nvidia: Vec<u32> =
        devices.iter().filter_map(|name| name.strip_prefix("nvidia")?.parse().ok()).collect();
    nvidia.sort_unstable();
    let nodes = "/sys/class/kfd/kfd/topology/nodes";
    let is_gpu = |node: &String| {
        let id = std::fs::read_to_string(format!("{nodes}/{node}/gpu_id"));
        id.is_ok_and(|id| id.trim().parse().is_ok_and(|id: u64| id > 0))
    };
    let amd = names(nodes).iter().filter(|node| is_gpu(node)).count();
    let shown = |all: Vec<u32>| all.iter().map(ToString::to_string).collect();
    vec![(GPUS[0], shown(nvidia)), (GPUS[1], shown((0..u32::try_from(amd).unwrap_or(0)).collect()))]
}

/// The cores that this process may run on.
fn cores() -> Result<Vec<usize>, Error> {
    let set = sched_getaffinity(Pid::from_raw(0))
        .map_err(|error| Error::Setting(format!("slots: the cores cannot be known: {error}")))?;
    let all = (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false));
    Ok(all.collect())
}

impl fmt::Display for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Slots::None => f.write_str("none"),
            Slots::Gpus => f.write_str("gpus"),
            Slots::Cores => f.write_str("cores"),
            Slots::List(items) => f.write_str(&items.join(",")),
        }
    }
}

/// Variables of a share that a command gets: those for threads only where nobody has set them.
pub(crate) fn variables<'a>(
    share: &'a Share,
    is_set: &dyn Fn(&str) -> bool,
) -> HashMap<&'static str, &'a str> {
    let threads = share.threads.iter().filter(|(name, _)| !is_set(name));
    share.variables.iter().chain(threads).map(|(name, value)| (*name, value.as_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(slots: &Slots, workers: usize, set: &[(&str, &str)]) -> Result<Vec<Share>, Error> {
        let environment = |name: &str| {
            set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).to_string())
        };
        Shares::with(slots, workers, &[0, 1, 2, 3, 6, 7], &environment).map(|shares| shares.0)
    }

    fn value<'a>(share: &'a Share, name: &str) -> Option<&'a str> {
        let mut all = share.variables.iter().chain(&share.threads);
        all.find(|(own, _)| *own == name).map(|(_, value)| value.as_str())
    }

    /// Four workers and four GPUs: all trained on the first.
    #[test]
    fn each_worker_has_its_gpus_and_no_two_the_same_where_there_are_enough() {
        for (visible, workers, wanted) in [
            ("0,1,2,3", 4, vec!["0", "1", "2", "3"]),
            ("4,5,6,7", 2, vec!["4,5", "6,7"]),
            ("GPU-a, GPU-b,GPU-c", 2, vec!["GPU-a", "GPU-b,GPU-c"]),
            ("0,1", 3, vec!["0", "1", "0"]),
            ("0,1,-1,2", 2, vec!["0", "1"]),
        ] {
            let all = shares(&Slots::Gpus, workers, &[(GPUS[0], visible)]).unwrap();
            let own: Vec<_> = all.iter().map(|share| value(share, GPUS[0]).unwrap()).collect();
            assert_eq!(own, wanted, "{visible}");
            assert!(all.iter().all(|share| value(share, SLOT) == value(share, GPUS[0])));
            assert!(all.iter().all(|share| value(share, GPUS[1]).is_none()));
        }
        let both = [(GPUS[0], "0,1"), (GPUS[1], "2,3")];
        let all = shares(&Slots::Gpus, 2, &both).unwrap();
        assert_eq!((value(&all[1], GPUS[0]), value(&all[1], GPUS[1])), (Some("1"), Some("3")));
        for none in ["", "-1", "NoDevFiles"] {
            let error = shares(&Slots::Gpus, 2, &[(GPUS[0], none)]).unwrap_err().to_string();
            assert!(error.contains("CUDA_VISIBLE_DEVICES"), "{error}");
        }
    }

    #[test]
    fn cores_are_divided_and_so_are_the_threads() {
        let all = shares(&Slots::Cores, 3, &[]).unwrap();
        let own: Vec<_> = all.iter().map(|share| value(share, SLOT).unwrap()).collect();
        assert_eq!(own, ["0,1", "2,3", "6,7"]);
        assert!(all.iter().all(|share| value(share, "OMP_NUM_THREADS") == Some("2")));
        let set = all[2].cores.unwrap();
        assert!(set.is_set(6).unwrap() && set.is_set(7).unwrap() && !set.is_set(0).unwrap());
        let all = shares(&Slots::Cores, 8, &[]).unwrap();
        assert!(all.iter().all(|share| value(share, "MKL_NUM_THREADS") == Some("1")));
        // What the user has set stays.
        let kept = variables(&all[0], &|name| name == "OMP_NUM_THREADS");
        assert!(!kept.contains_key("OMP_NUM_THREADS") && kept["RAYON_NUM_THREADS"] == "1");
    }

    #[test]
    fn slots_are_words_or_a_list() {
        let list = |items: &[&str]| Slots::List(items.iter().map(ToString::to_string).collect());
        for (text, wanted) in [
            ("\"gpus\"", Slots::Gpus),
            ("\"cores\"", Slots::Cores),
            ("\"none\"", Slots::None),
            ("[0, \"1:2\"]", list(&["0", "1:2"])),
            ("\"a, b\"", list(&["a", "b"])),
            ("3", list(&["3"])),
        ] {
            assert_eq!(serde_json::from_str::<Slots>(text).unwrap(), wanted, "{text}");
        }
        for bad in ["\"\"", "[]", "\"a,,b\"", "{}"] {
            assert!(serde_json::from_str::<Slots>(bad).is_err(), "{bad}");
        }
        let all = shares(&list(&["a", "b"]), 2, &[]).unwrap();
        assert_eq!((value(&all[0], SLOT), value(&all[1], SLOT)), (Some("a"), Some("b")));
        assert!(shares(&Slots::None, 2, &[]).unwrap().is_empty());
    }
}
