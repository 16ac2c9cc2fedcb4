//! Malicious pickles: each is refused, or becomes an inert graph that names what it would call.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::super::{Item, Pickle, PickleError, read, write};
use super::*;

/// What reading a pickle must give.
enum Outcome {
    /// A graph that contains a class or function of this module and name.
    Names(&'static str, &'static str),
    /// An error with this in its message.
    Refused(&'static str),
    /// A graph without any class.
    Data,
}
use Outcome::{Data, Names, Refused};

const GADGETS: &[(&[u8], Outcome)] = &[
    // Calls with REDUCE; the name is on two lines, or on the stack.
    (b"\x80\x02cos\nsystem\nX\x02\x00\x00\x00id\x85R.", Names("os", "system")),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R.", Names("os", "system")),
    (b"\x80\x04\x8c\x05posix\x8c\x06system\x93\x8c\x02id\x85R.", Names("posix", "system")),
    (b"\x80\x04\x8c\x02nt\x8c\x06system\x93\x8c\x03dir\x85R.", Names("nt", "system")),
    (b"\x80\x04\x8c\x02os\x8c\x05popen\x93\x8c\x02id\x85R.", Names("os", "popen")),
    (b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93\x8c\x031+1\x85R.", Names("builtins", "eval")),
    (b"\x80\x04\x8c\x08builtins\x8c\x04exec\x93\x8c\x041+1;\x85R.", Names("builtins", "exec")),
    (b"\x80\x02c__builtin__\neval\nX\x03\x00\x00\x001+1\x85R.", Names("__builtin__", "eval")),
    (b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93](\x8c\x02ide\x85R.", Names("subprocess", "Popen")),
    (b"\x80\x04\x8c\x0asubprocess\x8c\x0ccheck_output\x93\x8c\x02id\x85R.", Names("subprocess", "check_output")),
    (b"\x80\x04\x8c\x05runpy\x8c\x0b_run_module\x93\x8c\x03pdb\x85R.", Names("runpy", "_run_module")),
    (b"\x80\x04\x8c\x08builtins\x8c\x0a__import__\x93\x8c\x02os\x85R.", Names("builtins", "__import__")),
    (b"\x80\x04\x8c\x06ctypes\x8c\x04CDLL\x93\x8c\x04a.so\x85R.", Names("ctypes", "CDLL")),
    (b"\x80\x04\x8c\x06pickle\x8c\x05loads\x93C\x04\x80\x04N.\x85R.", Names("pickle", "loads")),
    (b"\x80\x04\x8c\x0dtorch.storage\x8c\x10_load_from_bytes\x93C\x04\x80\x04N.\x85R.", Names("torch.storage", "_load_from_bytes")),
    // A call of what another call returned.
    (b"\x80\x04\x8c\x08builtins\x8c\x07getattr\x93\x8c\x02os\x8c\x04path\x93\x8c\x06system\x86R\x8c\x02id\x85R.", Names("builtins", "getattr")),
    // A name with dots.
    (b"\x80\x04\x8c\x02os\x8c\x0epath.os.system\x93\x8c\x02id\x85R.", Names("os", "path.os.system")),
    // Names from the memo, and a class that DUP and POP move.
    (b"\x80\x04\x8c\x06system\x94\x8c\x02os\x940h\x01h\x00\x93\x8c\x02id\x85R.", Names("os", "system")),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x94N0h\x00\x8c\x02id\x85R.", Names("os", "system")),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x932\x8c\x02id\x85R\x86.", Names("os", "system")),
    // A call whose result is dropped, so that something harmless remains.
    (b"\x80\x04N\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R0.", Data),
    (b"\x80\x04](\x8c\x02os\x8c\x06system\x93\x8c\x02id\x85R1.", Data),
    // NEWOBJ, NEWOBJ_EX and BUILD.
    (b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93\x8c\x02id\x85\x81.", Names("subprocess", "Popen")),
    (b"\x80\x04\x8c\x0asubprocess\x8c\x05Popen\x93\x8c\x02id\x85}\x8c\x05shell\x88s\x92.", Names("subprocess", "Popen")),
    (b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81}\x8c\x0c__setstate__\x8c\x02os\x8c\x06system\x93sb.", Names("os", "system")),
    (b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81}\x8c\x0c__setstate__\x8c\x02os\x8c\x06system\x93sb\x8c\x02idb.", Refused("second state")),
    (b"\x80\x04\x8c\x01m\x8c\x01C\x93}\x8c\x01x\x8c\x02os\x8c\x06system\x93sb.", Refused("no object")),
    // In Python, APPEND and SETITEM call methods of their target.
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ida.", Refused("no list")),
    (b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81\x8c\x02ida.", Names("m", "C")),
    (b"\x80\x04\x8c\x01m\x8c\x01C\x93)\x81(K\x01\x90.", Refused("no set")),
    // Persistent ids, the extension registry, buffers, and the calls of protocol 0.
    (b"\x80\x02Pos.system\n.", Refused("PERSID")),
    (b"\x80\x02X\x02\x00\x00\x00osQ.", Refused("BINPERSID")),
    (b"\x80\x02\x82\x01.", Refused("EXT1")),
    (b"\x80\x02\x83\x01\x00.", Refused("EXT2")),
    (b"\x80\x02\x84\x01\x00\x00\x00.", Refused("EXT4")),
    (b"\x80\x05\x97.", Refused("NEXT_BUFFER")),
    (b"\x80\x05\x98.", Refused("READONLY_BUFFER")),
    (b"\x80\x02(X\x02\x00\x00\x00idios\nsystem\n.", Refused("INST")),
    (b"\x80\x02(cos\nsystem\nX\x02\x00\x00\x00ido.", Refused("OBJ")),
    (b"cos\nsystem\n(S'id'\ntR.", Refused("protocol 2")),
    (b"\x80\x02cos\nsystem\n(S'id'\ntR.", Refused("STRING")),
    (b"\x80\x04\xff.", Refused("0xff")),
    (b"\x80\x04N\x80\x04.", Refused("PROTO")),
    (b"\x80\x06N.", Refused("protocol 6")),
    // A pickle within bytes is bytes.
    (b"\x80\x04C\x14\x80\x04cos\nsystem\nC\x02id\x85R..", Data),
    // Huge declared lengths, for which a naive reader would allocate memory.
    (b"\x80\x04\x8d\x00\x00\x00\x00\x01\x00\x00\x00", Refused("length")),
    (b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.", Refused("length")),
    (b"\x80\x04\x8e\xff\xff\xff\xff\xff\xff\xff\x7f.", Refused("length")),
    (b"\x80\x05\x96\x00\x00\x00\x00\x01\x00\x00\x00.", Refused("length")),
    (b"\x80\x04X\xff\xff\xff\xff.", Refused("length")),
    (b"\x80\x04B\xff\xff\xff\xff.", Refused("length")),
    (b"\x80\x04\x8b\xff\xff\xff\xff.", Refused("length")),
    (b"\x80\x04\x95\xff\xff\xff\xff\xff\xff\xff\xffN.", Refused("frame")),
    (b"\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00N.", Refused("frame")),
    (b"\x80\x04\x95\x20\x00\x00\x00\x00\x00\x00\x00N\x95\x02\x00\x00\x00\x00\x00\x00\x00N.", Refused("frame")),
    // Memo indices that are far too large, or not in use.
    (b"\x80\x02Nr\xff\xff\xff\xff.", Refused("memo")),
    (b"\x80\x02Nq\x01.", Refused("memo")),
    (b"\x80\x02j\xff\xff\xff\xff.", Refused("memo")),
    (b"\x80\x02h\x00.", Refused("memo")),
    // Reaching below the stack, or below a mark.
    (b"\x80\x04.", Refused("stack")),
    (b"\x80\x040.", Refused("stack")),
    (b"\x80\x04\x94.", Refused("stack")),
    (b"\x80\x04N\x86.", Refused("stack")),
    (b"\x80\x04](a.", Refused("stack")),
    (b"\x80\x04N(\x85.", Refused("stack")),
    (b"\x80\x04(e.", Refused("stack")),
    (b"\x80\x04]e.", Refused("mark")),
    (b"\x80\x041.", Refused("mark")),
    (b"\x80\x04}(Nu.", Refused("key")),
    // Values of the wrong type for a class, its name or its arguments.
    (b"\x80\x04K\x01K\x02\x93.", Refused("no string")),
    (b"\x80\x04K\x01)R.", Refused("plain value")),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93K\x01R.", Refused("no tuple")),
    (b"\x80\x04\x8c\x02os\x8c\x06system\x93)K\x01\x92.", Refused("no dict")),
    (b"\x80\x04\x8c\x02\xff\xfe.", Refused("UTF-8")),
    (b"\x80\x02c\xff\nx\n.", Refused("UTF-8")),
];

#[test]
fn a_malicious_pickle_is_refused_or_names_what_it_would_call() {
    for (bytes, outcome) in GADGETS {
        let shown = bytes.escape_ascii().to_string();
        match (read(bytes), outcome) {
            (Ok((pickle, _)), Names(module, name)) => {
                let named = reachable(&pickle);
                let mut named = named.iter().filter_map(|it| pickle.class(*it));
                assert!(named.any(|it| it == (module, name)), "{shown}");
                assert_survives_writing(&pickle);
            }
            (Ok((pickle, length)), Data) => {
                assert_eq!(length, bytes.len(), "{shown}");
                assert!(reachable(&pickle).iter().all(|it| pickle.class(*it).is_none()), "{shown}");
                assert_survives_writing(&pickle);
            }
            (Err(error @ PickleError::Bad { .. }), Refused(why)) => {
                assert!(error.to_string().contains(why), "{shown}: {error}");
            }
            (result, _) => panic!("{shown}: {result:?}"),
        }
    }
}

/// Checks that the graph survives being written and read.
fn assert_survives_writing(pickle: &Pickle<'_>) {
    let bytes = written(pickle);
    assert_same(pickle, &read(&bytes).unwrap().0);
}

fn quickly<T>(what: &str, work: impl FnOnce() -> T) -> T {
    // Measures this thread's CPU time, so that a busy machine does not look like a hang.
    let spent = || Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap());
    let began = spent();
    let result = work();
    let took = spent().checked_sub(began).unwrap();
    assert!(took < Duration::from_secs(30), "{what} took {took:?}");
    result
}

#[test]
fn nesting_of_a_million_is_read_copied_dropped_and_not_written() {
    let million = 1_000_000;
    let lists = [&b"\x80\x04"[..], &vec![b']'; million], &vec![b'a'; million - 1], b"."].concat();
    let tuples = [&b"\x80\x04)"[..], &vec![0x85; million], b"."].concat();
    let dicts =
        [&b"\x80\x04"[..], &b"}N".repeat(million), b"N", &vec![b's'; million], b"."].concat();
    let calls = [&b"\x80\x04"[..], &b"ca\nb\n".repeat(million), b")R", b"."].concat();
    let states = [
        &b"\x80\x04ca\nb\n\x940"[..],
        &b"h\x00)\x81".repeat(million),
        &vec![b'b'; million - 1],
        b".",
    ]
    .concat();
    for bytes in [lists, tuples, dicts, calls, states] {
        quickly("a million", || {
            let (pickle, length) = read(&bytes).unwrap();
            assert_eq!(length, bytes.len());
            let mut copy = Pickle::new();
            copy.copy_from(&pickle, pickle.root());
            let deep = reachable(&pickle).len() >= million;
            assert_eq!(write(&pickle, &mut Vec::new()).is_err(), deep);
        });
    }
    let marks = [&b"\x80\x04"[..], &vec![b'('; million], b"."].concat();
    assert!(matches!(read(&marks), Err(PickleError::Bad { .. })));
}

#[test]
fn a_memo_bomb_stays_as_small_as_it_is_written() {
    // Each list contains the one before it ten times: 10^200 items if they were expanded.
    let mut bytes = b"\x80\x04]\x94".to_vec();
    for level in 0..200 {
        bytes.extend(b"](");
        bytes.extend([b'h', level].repeat(10));
        bytes.extend(b"e\x94");
    }
    bytes.push(b'.');
    quickly("a memo bomb", || {
        let (pickle, _) = read(&bytes).unwrap();
        assert_eq!(reachable(&pickle).len(), 201);
        let mut copy = Pickle::new();
        let root = copy.copy_from(&pickle, pickle.root());
        copy.set_root(root);
        let again = written(&copy);
        assert!(again.len() <= bytes.len(), "{}", again.len());
        assert_same(&pickle, &read(&again).unwrap().0);
    });
    // A long value that is looked up in the memo often.
    let long = [
        &b"\x80\x04]\x8b\xa0\x86\x01\x00"[..],
        &[1].repeat(100_000),
        b"\x94(",
        &b"h\x00".repeat(100_000),
        b"t0.",
    ]
    .concat();
    let (pickle, _) = read(&long).unwrap();
    assert_eq!(pickle.get(pickle.root()), &Item::BigInt(vec![1; 100_000].into()));
}

#[test]
fn bytes_of_any_kind_are_read_or_refused() {
    let seed = rand::random::<u64>();
    println!("seed {seed}");
    let mut random: rand::rngs::Xoshiro256PlusPlus = rand::SeedableRng::seed_from_u64(seed);
    let samples = samples::files();
    let mut read_well = 0;
    for round in 0..4_000 {
        let (_, bytes) = &samples[round % samples.len()];
        let mut bytes = bytes[..bytes.len().min(2_000)].to_vec();
        for _ in 0..rand::RngExt::random_range(&mut random, 1..4) {
            let at = rand::RngExt::random_range(&mut random, 0..bytes.len());
            bytes[at] = rand::RngExt::random(&mut random);
        }
        if let Ok((pickle, length)) = read(&bytes) {
            assert!(length <= bytes.len() && pickle.items.len() <= bytes.len() + 4);
            assert_survives_writing(&pickle);
            read_well += 1;
        }
    }
    assert!(read_well > 100, "only {read_well}");
}
