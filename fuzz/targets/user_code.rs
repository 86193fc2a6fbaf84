//! User codes: one canonical form, which is what people are shown.
#![no_main]

use std::sync::LazyLock;

use device_grant_domain::codes::CodeFormat;
use libfuzzer_sys::fuzz_target;

static FORMATS: LazyLock<Vec<CodeFormat>> = LazyLock::new(|| {
    let formats = [("#B", 8, true), ("#", 9, true), ("a", 7, false), ("aA#", 10, true), ("!aA", 6, true)];
    formats
        .map(|(letters, length, grouped)| CodeFormat::user_code(letters, length, grouped).expect("good"))
        .into()
});

fuzz_target!(|input: (u8, u8, &str)| {
    let (which, count, typed) = input;
    let format = &FORMATS[usize::from(which) % FORMATS.len()];
    let Some(code) = format.read(typed) else { return };
    assert_eq!(format.read(code.expose()).expect("canonical").expose(), code.expose());
    assert_eq!(
        format.read(&format.display(&code)).expect("what is shown is readable").expose(),
        code.expose()
    );
    assert!(format.is_end_of(&code, usize::from(count), typed), "the whole code ends with itself");
    let length = code.expose().len();
    let count = usize::from(count) % length + 1;
    assert!(format.is_end_of(&code, count, &code.expose()[length - count..]));
    assert!(!format.is_end_of(&code, count, ""));
    let other = if code.expose().ends_with(char::is_numeric) { "b" } else { "2" };
    assert!(!format.is_end_of(&code, 1, other), "another end");
    let hidden = format.display_hiding(&code, count);
    assert!(hidden.chars().filter(|c| *c == '•').count() == count);
});
