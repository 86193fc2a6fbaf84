//! Codes: their alphabets, how they are drawn, shown and read back, and whether they are strong enough.

use aws_lc_rs::constant_time::verify_slices_are_equal;
use device_grant_protocol::{DeviceCode, UserCode};

use crate::entropy::{Entropy, below};

const DIGITS: &str = "0123456789";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const LOWER_WITHOUT_VOWELS: &str = "bcdfghjklmnpqrstvwxz";
/// Shown to people: no quotes, backslash or backtick, and no dash, which groups.
const SPECIALS: &str = "!#$%&()*+,./:;<=>?@[]^_{|}~";
/// What needs no escaping in a URL beside letters and digits (RFC 3986 section 2.3).
const URL_SAFE_SPECIALS: &str = "-._~";
const GROUP: usize = 4;
/// How many groups new user codes may grow by when more are live, or guessed at, than their length is good for.
pub const MAX_GROWTH: usize = 2;
/// Stands where a character is hidden.
const HIDDEN: char = '•';

/// What is wrong with a format.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FormatError {
    /// A letter of the format has no meaning.
    #[error("the format letter {0:?} is none of # a A b B !")]
    UnknownLetter(char),
    /// Nothing to draw from.
    #[error("the format is empty")]
    Empty,
    /// Too short or too long to handle.
    #[error("the length {0} is not between 1 and {max}", max = CodeFormat::MAX_LENGTH)]
    Length(usize),
}

/// An alphabet and a length, in the format letters of the original sample.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeFormat {
    alphabet: Vec<char>,
    length: usize,
    grouped: bool,
}

impl CodeFormat {
    /// The longest code.
    pub const MAX_LENGTH: usize = 128;

    /// A user code: `length` significant characters, shown in groups of four if `grouped`.
    pub fn user_code(letters: &str, length: usize, grouped: bool) -> Result<Self, FormatError> {
        Self::new(letters, length, grouped && !letters.contains('!'), SPECIALS)
    }

    /// A device code: URL-safe, never grouped.
    pub fn device_code(letters: &str, length: usize) -> Result<Self, FormatError> {
        Self::new(letters, length, false, URL_SAFE_SPECIALS)
    }

    fn new(letters: &str, length: usize, grouped: bool, specials: &str) -> Result<Self, FormatError> {
        let mut alphabet: Vec<char> = Vec::new();
        for letter in letters.chars() {
            let characters = match letter {
                '#' => DIGITS.to_owned(),
                'a' => LOWER.to_owned(),
                'A' => LOWER.to_ascii_uppercase(),
                'b' => LOWER_WITHOUT_VOWELS.to_owned(),
                'B' => LOWER_WITHOUT_VOWELS.to_ascii_uppercase(),
                '!' => specials.to_owned(),
                other => return Err(FormatError::UnknownLetter(other)),
            };
            alphabet.extend(characters.chars());
        }
        alphabet.sort_unstable();
        alphabet.dedup();
        if alphabet.is_empty() {
            return Err(FormatError::Empty);
        }
        if length == 0 || length > Self::MAX_LENGTH {
            return Err(FormatError::Length(length));
        }
        Ok(Self { alphabet, length, grouped })
    }

    /// Draws a device code.
    pub fn draw_device_code(&self, entropy: &dyn Entropy) -> DeviceCode {
        DeviceCode::new(self.draw(entropy))
    }

    /// Draws a user code in its canonical form: no groups.
    pub fn draw_user_code(&self, entropy: &dyn Entropy) -> UserCode {
        UserCode::new(self.draw(entropy))
    }

    fn draw(&self, entropy: &dyn Entropy) -> String {
        let symbols = u32::try_from(self.alphabet.len()).expect("an alphabet has fewer than 2^32 letters");
        (0..self.length).map(|_| self.alphabet[below(entropy, symbols) as usize]).collect()
    }

    /// The code as a person sees it: `WDJB-MJHT`.
    pub fn display(&self, code: &UserCode) -> String {
        self.in_groups(code.expose().chars())
    }

    /// The code with its last `hidden` characters kept back: `WDJB-MJ••`.
    pub fn display_hiding(&self, code: &UserCode, hidden: usize) -> String {
        let length = code.expose().chars().count();
        let shown = code.expose().chars().take(length.saturating_sub(hidden));
        self.in_groups(shown.chain(std::iter::repeat(HIDDEN)).take(length))
    }

    fn in_groups(&self, characters: impl Iterator<Item = char>) -> String {
        let characters: Vec<char> = characters.collect();
        if !self.grouped {
            return characters.into_iter().collect();
        }
        characters.chunks(GROUP).map(String::from_iter).collect::<Vec<_>>().join("-")
    }

    /// This format with `groups` more groups of four.
    pub fn longer(&self, groups: usize) -> Self {
        Self { length: self.length + groups * GROUP, ..self.clone() }
    }

    /// What a person typed, in canonical form; `None` if it cannot be a code, also not one that has grown.
    ///
    /// Where the alphabet is single-case and has no specials, ASCII case is folded and everything outside the
    /// alphabet is dropped (RFC 8628 section 6.1, UC-04, UC-05). Elsewhere only blanks and our own dashes are.
    pub fn read(&self, typed: &str) -> Option<UserCode> {
        let canonical = self.canonical(typed)?;
        let length = canonical.chars().count();
        let is_length = (0..=MAX_GROWTH).any(|groups| length == self.length + groups * GROUP);
        let fits = is_length && canonical.chars().all(|c| self.alphabet.contains(&c));
        fits.then(|| UserCode::new(canonical))
    }

    /// Whether `typed`, read as forgivingly as a code, is the last `count` characters of `code`, or the whole of it.
    pub fn is_end_of(&self, code: &UserCode, count: usize, typed: &str) -> bool {
        let Some(typed) = self.canonical(typed) else { return false };
        // Alphabets are ASCII, so bytes are characters.
        let code = code.expose().as_bytes();
        let end = &code[code.len().saturating_sub(count)..];
        let is = |expected| verify_slices_are_equal(expected, typed.as_bytes()).is_ok();
        // Not `||`: the time says nothing about which it was.
        is(end) | is(code)
    }

    /// Whether `typed` goes on for more than half of a code like `given`, which somebody else wrote.
    pub fn comes_from(&self, typed: &str, given: &str) -> bool {
        let (Some(typed), Some(given)) = (self.canonical(typed), self.canonical(given)) else { return false };
        let alike = typed.chars().zip(given.chars()).take_while(|(one, other)| one == other).count();
        alike * 2 > self.length
    }

    fn canonical(&self, typed: &str) -> Option<String> {
        // Longer input is refused before any work is done on it; each character may come with separators.
        if typed.len() > Self::MAX_LENGTH * 8 {
            return None;
        }
        let fold = |c: char| {
            if self.has_upper() { c.to_ascii_uppercase() } else { c.to_ascii_lowercase() }
        };
        let dropped = |c: char| c.is_whitespace() || (c == '-' && !self.alphabet.contains(&c));
        Some(if self.is_forgiving() {
            typed.chars().map(fold).filter(|c| self.alphabet.contains(c)).collect()
        } else {
            typed.chars().filter(|c| !dropped(*c)).collect()
        })
    }

    /// Bits of a code, counted on the folded alphabet: what a person who mixes up upper and lower case would see.
    pub fn bits(&self) -> f64 {
        let mut folded: Vec<char> = self.alphabet.iter().map(char::to_ascii_lowercase).collect();
        folded.sort_unstable();
        folded.dedup();
        // Both numbers are far below 2^52 and keep their value as f64.
        #[expect(clippy::cast_precision_loss, reason = "at most 128 letters and positions")]
        let (symbols, length) = (folded.len() as f64, self.length as f64);
        symbols.log2() * length
    }

    /// Pairs of the alphabet that people take for one another.
    pub fn confusable_pairs(&self) -> Vec<(char, char)> {
        let pairs = [('0', 'O'), ('0', 'o'), ('O', 'o'), ('1', 'l'), ('1', 'I'), ('l', 'I')];
        pairs.into_iter().filter(|(a, b)| self.alphabet.contains(a) && self.alphabet.contains(b)).collect()
    }

    /// Significant characters.
    pub const fn length(&self) -> usize {
        self.length
    }

    /// Digits only: a telephone's keypad is enough.
    pub fn is_numeric(&self) -> bool {
        self.alphabet.iter().all(char::is_ascii_digit)
    }

    /// Whether typing may be forgiven: one case, no specials.
    pub fn is_forgiving(&self) -> bool {
        let has_lower = self.alphabet.iter().any(char::is_ascii_lowercase);
        self.alphabet.iter().all(char::is_ascii_alphanumeric) && !(has_lower && self.has_upper())
    }

    /// Whether capital letters are among the alphabet.
    pub fn has_upper(&self) -> bool {
        self.alphabet.iter().any(char::is_ascii_uppercase)
    }
}

/// A device code must hold at least this many random bits (RFC 8628 section 5.2, DA-10).
pub const MIN_DEVICE_CODE_BITS: f64 = 128.0;
/// One guesser hits one given code with less than two to the minus this (design promise, UC-06).
pub const GUESS_BITS: f64 = 32.0;
/// One guesser hits any live code with less than two to the minus this.
pub const ANY_CODE_BITS: f64 = 16.0;

/// How strong a user code is against one guesser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GuessStrength {
    /// Bits of the code.
    pub bits: f64,
    /// `-log2` of the chance to hit one given code within its life.
    pub one_code: f64,
    /// `-log2` of the chance to hit any live code within a code's life.
    pub any_code: f64,
}

impl GuessStrength {
    /// The strength of `format` when one guesser gets `guesses` look-ups in a code's life and `live` codes are live.
    pub fn of(format: &CodeFormat, guesses: u32, live: u32) -> Self {
        let bits = format.bits();
        // No chance is greater than one.
        let one_code = (bits - f64::from(guesses.max(1)).log2()).max(0.0);
        Self { bits, one_code, any_code: (one_code - f64::from(live.max(1)).log2()).max(0.0) }
    }

    /// Whether a service may start with it.
    pub fn is_enough(&self) -> bool {
        self.one_code >= GUESS_BITS && self.any_code >= ANY_CODE_BITS
    }
}

#[cfg(test)]
mod tests;
