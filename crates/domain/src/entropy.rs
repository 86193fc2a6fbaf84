//! Randomness as a port.

use rand::TryRng;

/// Where random bytes come from: the operating system in production, a seed in tests.
pub trait Entropy: Send + Sync + 'static {
    /// Fills `buffer` with random bytes.
    fn fill(&self, buffer: &mut [u8]);
}

/// `N` random bytes from any source, also from a `dyn Entropy`.
pub fn bytes<const N: usize>(entropy: &dyn Entropy) -> [u8; N] {
    let mut buffer = [0; N];
    entropy.fill(&mut buffer);
    buffer
}

/// A uniformly drawn number below `bound`, without modulo bias (UC-03): values from the last, incomplete
/// block of the generator's range are thrown away.
///
/// # Panics
/// When `bound` is zero.
pub fn below(entropy: &dyn Entropy, bound: u32) -> u32 {
    assert!(bound > 0, "no number lies below zero");
    let last_whole = u32::MAX - (u32::MAX % bound + 1) % bound;
    loop {
        let drawn = u32::from_be_bytes(bytes(entropy));
        if drawn <= last_whole {
            return drawn % bound;
        }
    }
}

/// The operating system's generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, buffer: &mut [u8]) {
        // A machine without a working generator cannot issue codes; going on would mean guessable ones.
        rand::rngs::SysRng.try_fill_bytes(buffer).expect("the operating system's random generator works");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(Vec<u32>, std::sync::Mutex<usize>);

    impl Entropy for Fixed {
        fn fill(&self, buffer: &mut [u8]) {
            let mut at = self.1.lock().unwrap();
            buffer.copy_from_slice(&self.0[*at].to_be_bytes());
            *at += 1;
        }
    }

    /// UC-03: a value from the incomplete last block is drawn again.
    #[test]
    fn the_incomplete_last_block_is_thrown_away() {
        let source = Fixed(vec![u32::MAX, 31], std::sync::Mutex::new(0));
        assert_eq!(below(&source, 30), 1);
        let exact = Fixed(vec![u32::MAX], std::sync::Mutex::new(0));
        assert_eq!(below(&exact, 32), 31);
    }
}
