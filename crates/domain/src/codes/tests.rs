use proptest::prelude::*;

use super::*;
use crate::entropy::SystemEntropy;

fn default_format() -> CodeFormat {
    CodeFormat::user_code("#B", 8, true).unwrap()
}

/// UC-01: eight characters of 30 symbols without vowels, shown as two groups of four; bare codes by a setting.
#[test]
fn default_user_codes_have_two_groups_of_four() {
    let (grouped, bare) = (default_format(), CodeFormat::user_code("#B", 8, false).unwrap());
    assert_eq!(grouped.alphabet.len(), 30);
    for _ in 0..1000 {
        let code = grouped.draw_user_code(&SystemEntropy);
        let shown = grouped.display(&code);
        assert_eq!(shown.len(), 9);
        let significant: Vec<char> = shown.chars().filter(|c| *c != '-').collect();
        assert!(significant.iter().all(|c| "0123456789BCDFGHJKLMNPQRSTVWXZ".contains(*c)), "{shown}");
        assert_eq!(shown.chars().nth(4), Some('-'));
        assert_eq!(bare.display(&code), code.expose());
    }
}

/// UC-04: any case, with or without dashes, spaces and other punctuation, also typographic ones.
#[test]
fn typing_is_forgiven() {
    for typed in [
        "wdjbmjht",
        "WDJB MJHT",
        "wdjb–mjht",
        " WDJB-MJHT ",
        "WDJB\u{a0}MJHT",
        "w.d.j.b_m/j,h!t",
        "W D J B M J H T",
    ] {
        assert_eq!(default_format().read(typed).expect(typed).expose(), "WDJBMJHT");
    }
}

/// UC-04: where the alphabet mixes cases the input is exact but for blanks and our dashes.
#[test]
fn mixed_case_is_exact() {
    let format = CodeFormat::user_code("aA", 4, true).unwrap();
    assert_eq!(format.read(" aB cD ").unwrap().expose(), "aBcD");
    assert!(format.read("aBcD!").is_none());
    assert!(format.read("aBc1").is_none());
}

/// UC-05: no other script's letter becomes one of ours by folding.
#[test]
fn foreign_letters_are_no_letters() {
    let format = CodeFormat::user_code("#B", 3, false).unwrap();
    for typed in ["\u{212a}KS", "\u{17f}KB", "ßKB", "\u{0412}KS", "ıKB", "ＫKB"] {
        assert!(format.read(typed).is_none(), "{typed:?} has only two letters of ours");
    }
    let with_i = CodeFormat::user_code("A", 1, false).unwrap();
    assert!(with_i.read("ı").is_none() && with_i.read("ſ").is_none());
}

/// UC-03: every position is uniform: chi-square over 100,000 codes.
#[test]
fn every_position_is_drawn_uniformly() {
    let format = default_format();
    let mut counts = vec![[0u32; 30]; 8];
    for _ in 0..100_000 {
        for (position, letter) in format.draw_user_code(&SystemEntropy).expose().chars().enumerate() {
            counts[position][format.alphabet.iter().position(|c| *c == letter).unwrap()] += 1;
        }
    }
    let expected = 100_000.0 / 30.0;
    for (position, counts) in counts.iter().enumerate() {
        let chi: f64 = counts.iter().map(|n| (f64::from(*n) - expected).powi(2) / expected).sum();
        // 29 degrees of freedom: beyond 100 lies less than one in a hundred million.
        assert!(chi < 100.0, "position {position}: {chi}");
    }
}

/// UC-02: strength is counted on the folded alphabet; weak ones are told from strong ones, confusable pairs named.
#[test]
fn weak_formats_are_recognised() {
    let strength =
        |letters, length| GuessStrength::of(&CodeFormat::user_code(letters, length, true).unwrap(), 40, 1000);
    assert!(strength("#B", 8).is_enough());
    assert!(!strength("#B", 4).is_enough());
    assert!(!strength("#", 9).is_enough());
    assert!(strength("#", 12).is_enough());
    let folded = CodeFormat::user_code("aA", 8, true).unwrap();
    assert!((folded.bits() - 26f64.log2() * 8.0).abs() < 1e-9);
    assert_eq!(CodeFormat::user_code("#A", 8, true).unwrap().confusable_pairs(), [('0', 'O'), ('1', 'I')]);
    assert!(default_format().confusable_pairs().is_empty());
}

/// UC-06: the published figures are what the program computes.
#[test]
fn the_published_arithmetic_is_fresh() {
    let page = include_str!("../../../../docs/guessing.md");
    let (format, digits) = (default_format(), CodeFormat::user_code("#", 12, true).unwrap());
    let row = |live: u32| {
        let cells = [120, 40 * 10, 40 * 1000, 40 * 100_000].map(|guesses| {
            let any = GuessStrength::of(&format, guesses, live).any_code;
            format!("2^-{any:.1}")
        });
        format!("| {live} | {} |", cells.join(" | "))
    };
    let weakest = GuessStrength::of(&digits, 120, 10_000);
    assert!(
        weakest.is_enough()
            && !GuessStrength::of(&CodeFormat::user_code("#", 11, true).unwrap(), 120, 10_000).is_enough()
    );
    let told = [
        row(1),
        row(100),
        row(10_000),
        format!("2^-{:.1} and 2^-{:.1}", weakest.one_code, weakest.any_code),
        format!("at most **2^-{GUESS_BITS}**"),
        format!("at most **2^-{ANY_CODE_BITS}**"),
        budget(&format, 100),
        budget(&format, 1000),
        budget(&format, 10_000),
    ];
    for line in told {
        assert!(page.contains(&line), "docs/guessing.md does not say {line}");
    }
}

/// The row of the page that says how many misses are the last for which a code of `format` is good.
fn budget(format: &CodeFormat, live: u32) -> String {
    let is_enough = |missed| GuessStrength::of(format, missed, live).any_code >= ANY_CODE_BITS;
    let last = (1..=200_000).rev().find(|missed| is_enough(*missed)).unwrap();
    format!("| {live} | {last} |")
}

/// DA-10: device codes are URL-safe, at least 128 bits, and share no prefix.
#[test]
fn device_codes_are_strong_and_url_safe() {
    let format = CodeFormat::device_code("#aA!", 64).unwrap();
    assert!(format.bits() >= MIN_DEVICE_CODE_BITS);
    let codes: std::collections::BTreeSet<String> =
        (0..10_000).map(|_| format.draw_device_code(&SystemEntropy).expose().to_owned()).collect();
    assert_eq!(codes.len(), 10_000);
    let firsts: std::collections::BTreeSet<&str> = codes.iter().map(|code| &code[..8]).collect();
    assert_eq!(firsts.len(), 10_000, "eight characters already tell them apart");
    assert!(codes.iter().all(|c| { c.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) }));
}

#[test]
fn unknown_letters_and_odd_lengths_are_refused() {
    assert_eq!(CodeFormat::user_code("#x", 8, true), Err(FormatError::UnknownLetter('x')));
    assert_eq!(CodeFormat::user_code("", 8, true), Err(FormatError::Empty));
    assert_eq!(CodeFormat::user_code("#", 0, true), Err(FormatError::Length(0)));
}

proptest! {
    #[test]
    fn what_is_shown_reads_back(letters in prop::sample::subsequence(vec!["#", "a", "A", "b", "B", "!"], 1..=6), length in 1usize..40, grouped: bool) {
        let format = CodeFormat::user_code(&letters.concat(), length, grouped).unwrap();
        let code = format.draw_user_code(&SystemEntropy);
        let shown = format.display(&code);
        let read = format.read(&shown).expect("our own display is readable");
        prop_assert_eq!(read.expose(), code.expose());
    }

    #[test]
    fn no_input_makes_reading_panic(typed in "\\PC{0,60}") {
        let _ = default_format().read(&typed);
    }
}

/// SEC-14: the end of a code is hidden, and read back with the same forbearance as a code.
#[test]
fn the_end_of_a_code_can_be_asked_for() {
    let format = CodeFormat::user_code("#B", 8, true).unwrap();
    let code = UserCode::new("WDJBMJHT");
    assert_eq!(format.display_hiding(&code, 3), "WDJB-M•••");
    assert_eq!(format.display_hiding(&code, 0), format.display(&code));
    for right in ["JHT", "jht", " j-h.t ", "WDJB-MJHT"] {
        assert!(format.is_end_of(&code, 3, right), "{right}");
    }
    for wrong in ["", "HT", "MJHT", "JHB", "JHTT", "•••", "WDJB"] {
        assert!(!format.is_end_of(&code, 3, wrong), "{wrong}");
    }
    let exact = CodeFormat::user_code("aA", 4, true).unwrap();
    assert!(exact.is_end_of(&UserCode::new("abCD"), 2, "CD"));
    assert!(!exact.is_end_of(&UserCode::new("abCD"), 2, "cd"));
}
