//! Decodes many journal lines at once: a long journal is opened on all cores.

use trialmill_core::config::Names;
use trialmill_core::event::{Decoder, Event, LineError};
use trialmill_core::limits::{DECODE_THREAD_BYTES, DECODE_THREADS};

/// A line's length with its line feed, and its content.
pub(super) type Decoded = (u64, Result<(u64, Event), LineError>);

/// One decoder per thread, so that each keeps its own interned strings.
pub(super) struct Decoders(Vec<Decoder>);

impl Decoders {
    pub(super) fn new(names: Names) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        Decoders((0..threads.min(DECODE_THREADS)).map(|_| Decoder::new(names.clone())).collect())
    }

    /// Decodes whole lines, in order, at least up to the first bad one. Small inputs are decoded on
    /// the calling thread: starting threads pays only for large ones.
    pub(super) fn decode(&mut self, lines: &[u8]) -> Vec<Decoded> {
        let parts = (lines.len() / DECODE_THREAD_BYTES).clamp(1, self.0.len());
        let Some((own, others)) = self.0[..parts].split_first_mut() else { return Vec::new() };
        if others.is_empty() {
            return decode(own, lines);
        }
        let (first, mut rest) = split(lines, parts);
        std::thread::scope(|scope| {
            let mut threads = Vec::with_capacity(others.len());
            for (at, decoder) in others.iter_mut().enumerate() {
                let (part, remaining) = split(rest, parts - 1 - at);
                rest = remaining;
                threads.push(scope.spawn(move || decode(decoder, part)));
            }
            let mut decoded = decode(own, first);
            for thread in threads {
                match thread.join() {
                    Ok(part) => decoded.extend(part),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
            decoded
        })
    }
}

/// The first of so many equal parts, up to a line's end, and the rest.
fn split(lines: &[u8], parts: usize) -> (&[u8], &[u8]) {
    let fair = (lines.len() / parts).saturating_sub(1);
    let end = memchr::memchr(b'\n', &lines[fair..]).map_or(lines.len(), |end| fair + end + 1);
    lines.split_at(end)
}

fn decode(decoder: &mut Decoder, lines: &[u8]) -> Vec<Decoded> {
    let mut decoded = Vec::new();
    let mut used = 0;
    while let Some(end) = memchr::memchr(b'\n', &lines[used..]) {
        let line = decoder.decode(&lines[used..used + end]);
        // Stop at the first bad line: nothing after it is used, and a million empty lines take
        // memory.
        let is_bad = line.is_err();
        decoded.push((end as u64 + 1, line));
        if is_bad {
            break;
        }
        used += end + 1;
    }
    decoded
}
