//! Reads a journal line by line to the end of its valid prefix, and judges what follows.
//!
//! Torn or damaged? What follows the prefix is *torn* if it contains no valid record that the prefix
//! lacks: then it is an append that never finished, was never acknowledged, and may be cut off. If
//! there is such a record, bytes before it were destroyed after they may have been acknowledged:
//! *damaged*, and nothing may be cut or appended.

use std::collections::HashMap;
use std::path::Path;

use super::Apply;
use super::decoders::Decoders;
use super::disk::Disk;
use trialmill_core::config::Names;
use trialmill_core::error::StoreError;
use trialmill_core::event::{LineError, verified};
use trialmill_core::limits::{MAX_LINE_BYTES, READ_CHUNK_BYTES};

/// Reads a journal line by line, and tracks where its valid prefix ends.
pub(super) struct Tail {
    decoders: Decoders,
    /// Where the valid prefix ends.
    pub(super) offset: u64,
    pub(super) next_seq: u64,
    buffer: Vec<u8>,
}

/// What follows the valid prefix.
pub(super) enum Rest {
    Nothing,
    /// No new valid record follows: a torn append, safe to cut off.
    Torn,
    /// Valid records follow.
    Damaged(String),
}

impl Tail {
    pub(super) fn new(names: Names) -> Self {
        Tail { decoders: Decoders::new(names), offset: 0, next_seq: 0, buffer: Vec::new() }
    }

    /// Continues reading where it stopped; returns what follows the valid prefix.
    pub(super) fn catch_up(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        apply: Apply<'_>,
    ) -> Result<Rest, StoreError> {
        let len = disk.len().map_err(StoreError::io("read", path))?;
        if len < self.offset {
            let problem = format!("{} bytes were there before, and are gone", self.offset);
            return Err(StoreError::Damaged { path: path.into(), offset: len, problem });
        }
        self.read_to(len, disk, path, apply)
    }

    /// The same up to an offset, which must not lie before the one where it stopped.
    pub(super) fn read_to(
        &mut self,
        len: u64,
        disk: &dyn Disk,
        path: &Path,
        apply: Apply<'_>,
    ) -> Result<Rest, StoreError> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let result = self.read_lines(disk, path, len, &mut buffer, apply);
        buffer.clear();
        buffer.shrink_to(READ_CHUNK_BYTES);
        self.buffer = buffer;
        result
    }

    fn read_lines(
        &mut self,
        disk: &dyn Disk,
        path: &Path,
        len: u64,
        buffer: &mut Vec<u8>,
        apply: Apply<'_>,
    ) -> Result<Rest, StoreError> {
        let mut read_to = self.offset;
        loop {
            let whole = memchr::memrchr(b'\n', buffer).map_or(0, |end| end + 1);
            for (bytes, decoded) in self.decoders.decode(&buffer[..whole]) {
                match decoded {
                    Ok((seq, event)) if seq == self.next_seq => {
                        apply(event)
                            .map_err(|source| StoreError::Study { path: path.into(), source })?;
                    }
                    Ok((seq, _)) => {
                        let problem = format!("record {} is missing, {seq} follows", self.next_seq);
                        return self.rest(disk, path, len, problem);
                    }
                    // Its checksum is correct, so it may have been acknowledged: it must not be cut
                    // off only because this version cannot interpret it.
                    Err(LineError::Content(problem)) => {
                        return Ok(Rest::Damaged(problem));
                    }
                    Err(error) => return self.rest(disk, path, len, error.to_string()),
                }
                self.offset += bytes;
                self.next_seq += 1;
            }
            buffer.drain(..whole);
            if read_to >= len {
                return Ok(if buffer.is_empty() { Rest::Nothing } else { Rest::Torn });
            }
            if buffer.len() > MAX_LINE_BYTES {
                return self.rest(disk, path, len, "a line has no end".into());
            }
            let want = READ_CHUNK_BYTES.min((len - read_to) as usize);
            let filled = buffer.len();
            buffer.resize(filled + want, 0);
            let got = disk
                .read_at(&mut buffer[filled..], read_to)
                .map_err(StoreError::io("read", path))?;
            buffer.truncate(filled + got);
            if got == 0 {
                return Ok(if buffer.is_empty() { Rest::Nothing } else { Rest::Torn });
            }
            read_to += got as u64;
        }
    }

    /// Checks whether valid records that the journal does not contain yet follow the first bad
    /// byte. A tail that was written twice contains only known records, and is harmless. A record
    /// with a known number but another content was written where locks do not work, and may have
    /// been acknowledged.
    fn rest(
        &self,
        disk: &dyn Disk,
        path: &Path,
        len: u64,
        problem: String,
    ) -> Result<Rest, StoreError> {
        let mut carry: Vec<u8> = Vec::new();
        let mut repeated: HashMap<u64, [u8; CRC_LEN]> = HashMap::new();
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        let mut at = self.offset;
        while at < len {
            let got = disk.read_at(&mut chunk, at).map_err(StoreError::io("read", path))?;
            if got == 0 {
                break;
            }
            at += got as u64;
            carry.extend_from_slice(&chunk[..got]);
            let whole = carry.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            for line in carry[..whole].split(|byte| *byte == b'\n') {
                if let Some((seq, crc)) = sound_end(line)
                    && (seq >= self.next_seq || *repeated.entry(seq).or_insert(crc) != crc)
                {
                    return Ok(Rest::Damaged(problem));
                }
            }
            carry.drain(..whole);
            drop_excess(&mut carry);
        }
        match repeated.is_empty() || self.has(disk, path, repeated)? {
            true => Ok(Rest::Torn),
            false => Ok(Rest::Damaged("a record's number comes twice, with two contents".into())),
        }
    }

    /// Whether the valid prefix has exactly these records, by number and checksum.
    fn has(
        &self,
        disk: &dyn Disk,
        path: &Path,
        mut records: HashMap<u64, [u8; CRC_LEN]>,
    ) -> Result<bool, StoreError> {
        let (mut carry, mut at, mut seq) = (Vec::new(), 0, 0);
        let mut chunk = vec![0; READ_CHUNK_BYTES];
        while at < self.offset {
            let want = chunk.len().min((self.offset - at) as usize);
            let got = disk.read_at(&mut chunk[..want], at).map_err(StoreError::io("read", path))?;
            if got == 0 {
                break;
            }
            at += got as u64;
            carry.extend_from_slice(&chunk[..got]);
            let mut used = 0;
            while let Some(end) = memchr::memchr(b'\n', &carry[used..]) {
                if sound_end(&carry[used..used + end]).map(|(_, crc)| crc)
                    == records.get(&seq).copied()
                {
                    records.remove(&seq);
                }
                seq += 1;
                used += end + 1;
            }
            carry.drain(..used);
        }
        Ok(records.is_empty())
    }
}

const CRC_LEN: usize = 8;

/// Keeps only the last bytes of a line without an end, as many as the longest record has: if a line
/// feed was damaged, a valid record may end a line that is too long to be a record.
fn drop_excess(line: &mut Vec<u8>) {
    line.drain(..line.len().saturating_sub(MAX_LINE_BYTES));
}

/// The number and checksum of the valid record that a line consists of, or ends with: the bytes of a
/// torn line may precede it without a line feed. A record's own values may look like the head of a
/// record, so every offset is tried.
fn sound_end(line: &[u8]) -> Option<(u64, [u8; CRC_LEN])> {
    sound_in(line).map(|Sound { seq, crc, .. }| (seq, crc))
}

/// A record with a correct checksum, wherever in the line it begins.
pub(super) struct Sound<'a> {
    pub(super) seq: u64,
    pub(super) crc: [u8; CRC_LEN],
    pub(super) record: &'a [u8],
}

/// Yields the valid records between two offsets.
pub(super) fn sound_records(
    disk: &dyn Disk,
    mut at: u64,
    end: u64,
    found: &mut dyn FnMut(Sound<'_>),
) -> std::io::Result<()> {
    let (mut carry, mut chunk) = (Vec::new(), vec![0; READ_CHUNK_BYTES]);
    while at < end {
        let want = chunk.len().min((end - at).try_into().unwrap_or(usize::MAX));
        let got = disk.read_at(&mut chunk[..want], at)?;
        if got == 0 {
            break;
        }
        at += got as u64;
        carry.extend_from_slice(&chunk[..got]);
        let whole = carry.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        carry[..whole].split(|byte| *byte == b'\n').filter_map(sound_in).for_each(&mut *found);
        carry.drain(..whole);
        drop_excess(&mut carry);
    }
    Ok(())
}

/// How every record begins.
const HEAD: &[u8] = b"{\"crc\":\"";

fn sound_in(line: &[u8]) -> Option<Sound<'_>> {
    // A tool that writes CRLF has rewritten the file: the records themselves are intact.
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    // Setting up a search costs more than the search of a short line.
    if line.len() < HEAD.len() + CRC_LEN {
        return None;
    }
    memchr::memmem::find_iter(line, HEAD)
        .map(|at| &line[at..])
        .filter(|record| {
            record.get(HEAD.len() + CRC_LEN..).is_some_and(|rest| rest.starts_with(b"\",\"seq\":"))
        })
        .take(MAX_HEADS_IN_A_LINE)
        .find(|record| verified(record).is_ok())
        .and_then(|record| {
            let crc = record[HEAD.len()..].first_chunk().copied()?;
            Some(Sound { seq: seq_of(record), crc, record })
        })
}

/// Bounds the work: a hostile line must not make us compute a checksum at each of its bytes.
const MAX_HEADS_IN_A_LINE: usize = 64;

fn seq_of(line: &[u8]) -> u64 {
    #[derive(serde::Deserialize)]
    struct Seq {
        seq: u64,
    }
    serde_json::from_slice::<Seq>(line).map_or(0, |line| line.seq)
}
