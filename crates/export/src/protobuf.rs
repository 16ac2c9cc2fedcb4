//! As much of protocol buffers as an event of TensorBoard needs, and the framing of its files.

use std::io::{self, Write};

/// A message while it is written.
#[derive(Debug, Clone, Default)]
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn varint(mut self, mut n: u64) -> Self {
        while n >= 128 {
            self.0.push(n as u8 | 128);
            n >>= 7;
        }
        self.0.push(n as u8);
        self
    }

    /// A whole number, a boolean or a word of a list.
    pub(crate) fn int(self, field: u64, n: u64) -> Self {
        self.varint(field << 3).varint(n)
    }

    pub(crate) fn double(self, field: u64, x: f64) -> Self {
        let mut message = self.varint(field << 3 | 1);
        message.0.extend(x.to_le_bytes());
        message
    }

    pub(crate) fn float(self, field: u64, x: f32) -> Self {
        let mut message = self.varint(field << 3 | 5);
        message.0.extend(x.to_le_bytes());
        message
    }

    pub(crate) fn bytes(self, field: u64, bytes: &[u8]) -> Self {
        let mut message = self.varint(field << 3 | 2).varint(bytes.len() as u64);
        message.0.extend(bytes);
        message
    }

    pub(crate) fn text(self, field: u64, text: &str) -> Self {
        self.bytes(field, text.as_bytes())
    }

    pub(crate) fn message(self, field: u64, inner: &Message) -> Self {
        self.bytes(field, &inner.0)
    }
}

/// Writes a record as TensorFlow frames it: its length, and the masked checksum of each part.
pub(crate) fn record(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    let length = (bytes.len() as u64).to_le_bytes();
    out.write_all(&length)?;
    out.write_all(&masked(&length).to_le_bytes())?;
    out.write_all(bytes)?;
    out.write_all(&masked(bytes).to_le_bytes())
}

fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli), which crc32fast does not have.
fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = !0_u32;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_castagnoli_s() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(Message::new().int(1, 300).0, [8, 0xac, 2]);
    }
}
