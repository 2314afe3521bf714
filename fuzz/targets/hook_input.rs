//! Any bytes on a hook's stdin: never a panic, and what is wrong with them is told without quoting them.

#![no_main]

use cmat::hook_input::HookInput;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match HookInput::read(bytes, 1 << 20) {
        Ok(told) => {
            let text = [told.session_id, told.reason].into_iter().flatten();
            assert!(text.map(|text| text.len()).sum::<usize>() <= bytes.len());
        }
        Err(error) => {
            let message = error.to_string();
            let without_place =
                message.trim_end_matches(|c: char| c.is_ascii_digit() || ", column".contains(c));
            assert_eq!(
                without_place,
                "expected the JSON object that Claude Code sends, got something else at line"
            );
        }
    }
});
