//! Inputs out of good ones, the same in every run: bytes and pieces changed,
//! moved, repeated and left out, numbers at their limits, one input grown onto
//! another.

/// xorshift64*: enough to choose with, and the same everywhere.
pub struct Mutator {
    state: u64,
}

const NUMBERS: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    0xffff_ffff_ffff_ffff,
];

impl Mutator {
    pub fn new(seed: u64) -> Self {
        Self {
            state: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1,
        }
    }

    /// A number below `limit`, 0 where that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        self.state ^= self.state >> 12;
        self.state ^= self.state << 25;
        self.state ^= self.state >> 27;
        let number = self.state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or_default() % limit.max(1)
    }

    /// A start and an end within `length`.
    fn range(&mut self, length: usize) -> (usize, usize) {
        let start = self.below(length + 1);
        let most = (length - start).min(1 << self.below(12));
        (start, start + self.below(most + 1))
    }

    /// One of `corpus`, changed a few times; never longer than 64 KiB.
    pub fn input(&mut self, corpus: &[Vec<u8>], words: &[&str]) -> Vec<u8> {
        let mut bytes = corpus[self.below(corpus.len())].clone();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes, corpus, words);
        }
        bytes.truncate(64 << 10);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[Vec<u8>], words: &[&str]) {
        let length = bytes.len();
        let (start, end) = self.range(length);
        match self.below(9) {
            0 if length > 0 => bytes[start.min(length - 1)] ^= 1 << self.below(8),
            1 if length > 0 => {
                let byte = self.below(256).to_le_bytes()[0];
                bytes[start.min(length - 1)] = byte;
            }
            2 => drop(bytes.drain(start..end)),
            3 => {
                let copy = bytes[start..end].repeat(1 + self.below(8));
                let at = self.below(length + 1);
                drop(bytes.splice(at..at, copy));
            }
            4 => {
                let word = words[self.below(words.len())];
                drop(bytes.splice(start..start, word.bytes()));
            }
            5 => {
                let word = words[self.below(words.len())];
                drop(bytes.splice(start..end, word.bytes()));
            }
            6 => self.number(bytes, start),
            7 => bytes.truncate(start),
            _ => {
                let other = &corpus[self.below(corpus.len())];
                let (from, to) = self.range(other.len());
                drop(bytes.splice(start..start, other[from..to].iter().copied()));
            }
        }
    }

    /// A number at its limits over what is there, in either byte order.
    fn number(&mut self, bytes: &mut [u8], at: usize) {
        let number = NUMBERS[self.below(NUMBERS.len())];
        let size = [1, 2, 4, 8][self.below(4)];
        let (little, big) = (number.to_le_bytes(), number.to_be_bytes());
        let digits = if self.below(2) == 0 {
            &little[..size]
        } else {
            &big[8 - size..]
        };
        for (slot, digit) in bytes.iter_mut().skip(at).zip(digits) {
            *slot = *digit;
        }
    }
}
