//! Makes broken files out of sound ones, always the same ones for the same seed.

/// A small generator of numbers (splitmix64): the files must be the same on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() % (end as u64).max(1)) as usize
    }
}

/// Numbers at which readers break.
const EDGES: [u64; 20] = [
    0,
    1,
    2,
    7,
    8,
    9,
    63,
    64,
    255,
    65_535,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    u32::MAX as u64,
    1 << 32,
    1 << 40,
    (1 << 61) + 1,
    (1 << 63) - 1,
    1 << 63,
    u64::MAX,
];

/// Breaks a file in one to four ways; `others` lend pieces. The second value is the length that is claimed for it, where
/// that is not its own.
pub(crate) fn mutate(sound: &[u8], others: &[Vec<u8>], dice: &mut Dice) -> (Vec<u8>, Option<u64>) {
    let mut bytes = sound.to_vec();
    let mut claimed = None;
    for _ in 0..=dice.below(4) {
        let at = place(&bytes, dice);
        match dice.below(10) {
            0 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << dice.below(8);
                }
            }
            1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = dice.next() as u8;
                }
            }
            2..5 => write(&mut bytes, at, &EDGES[dice.below(EDGES.len())].to_le_bytes()),
            5 => write(&mut bytes, at, &(EDGES[dice.below(EDGES.len())] as u32).to_le_bytes()),
            6 => bytes.truncate(at),
            7 => {
                let end = (at + dice.below(64)).min(bytes.len());
                bytes.drain(at.min(end)..end);
            }
            8 => {
                let other = &others[dice.below(others.len())];
                let from = dice.below(other.len());
                let piece = other[from..(from + dice.below(128)).min(other.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => claimed = Some(EDGES[dice.below(EDGES.len())].max(bytes.len() as u64)),
        }
    }
    (bytes, claimed)
}

/// Somewhere in the file: mostly where a small number of 64 bits lies, as counts, lengths and shapes are.
fn place(bytes: &[u8], dice: &mut Dice) -> usize {
    let anywhere = dice.below(bytes.len());
    if dice.below(3) == 0 {
        return anywhere;
    }
    let is_small = |eight: &[u8]| eight[0] != 0 && eight[2..].iter().all(|byte| *byte == 0);
    let after = |from: usize| bytes.get(from..).and_then(|rest| rest.windows(8).position(is_small)).map(|at| from + at);
    after(anywhere).or_else(|| after(0)).unwrap_or(anywhere)
}

fn write(bytes: &mut [u8], at: usize, value: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(value) {
        *byte = *new;
    }
}
