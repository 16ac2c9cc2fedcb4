//! The program as its users meet it: real processes, real directories, real signals.
//!
//! Each test is named after what its user is afraid of. Nothing here waits for a fixed time; what
//! has to happen is waited for with [`support::eventually`].
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "cli/other_world.rs"]
mod other_world;
#[path = "cli/support.rs"]
mod support;

#[path = "cli/asking.rs"]
mod asking;
#[path = "cli/benching.rs"]
mod benching;
#[path = "cli/bringing.rs"]
mod bringing;
#[path = "cli/checking.rs"]
mod checking;
#[path = "cli/classes.rs"]
mod classes;
#[path = "cli/clocks.rs"]
mod clocks;
#[path = "cli/crashes.rs"]
mod crashes;
#[path = "cli/disk.rs"]
mod disk;
#[path = "cli/dying.rs"]
mod dying;
#[path = "cli/elsewhere.rs"]
mod elsewhere;
#[path = "cli/evaluations.rs"]
mod evaluations;
#[path = "cli/exporting.rs"]
mod exporting;
#[path = "cli/holding.rs"]
mod holding;
#[path = "cli/keeping.rs"]
mod keeping;
#[path = "cli/listing.rs"]
mod listing;
#[path = "cli/looking.rs"]
mod looking;
#[path = "cli/moving.rs"]
mod moving;
#[path = "cli/numbers.rs"]
mod numbers;
#[path = "cli/objectives.rs"]
mod objectives;
#[path = "cli/pictures.rs"]
mod pictures;
#[path = "cli/refusing.rs"]
mod refusing;
#[path = "cli/results.rs"]
mod results;
#[path = "cli/serving.rs"]
mod serving;
#[path = "cli/sharing.rs"]
mod sharing;
#[path = "cli/slots.rs"]
mod slots;
#[path = "cli/spaces.rs"]
mod spaces;
#[path = "cli/steps.rs"]
mod steps;
#[path = "cli/stopping.rs"]
mod stopping;
#[path = "cli/transferring.rs"]
mod transferring;
#[path = "cli/values.rs"]
mod values;
#[path = "cli/watching.rs"]
mod watching;
