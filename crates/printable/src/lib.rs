//! Text from others, made safe for a log or a terminal.
//!
//! Names, reasons, paths and messages come from clients and from the network. If they are printed
//! unchanged, a line break forges another line, an ANSI sequence rewrites the screen, and
//! bidirectional controls reorder a line.

use std::borrow::Cow;

/// The longest line, in bytes: longer than any line that is written on purpose, shorter than the
/// lines that hosts split.
pub const MAX_LINE: usize = 4_096;

/// The text as one line. Characters that are invisible, or change how the rest is shown, are
/// escaped as in JSON (`\u001b`), so a line of JSON stays JSON. A line that is too long is cut,
/// with a note of how much is missing.
pub fn one_line(text: &str) -> Cow<'_, str> {
    escape_within(text, MAX_LINE)
}

/// As [`one_line`], but never cut: for text that somebody has asked for.
pub fn escape(text: &str) -> Cow<'_, str> {
    escape_within(text, usize::MAX)
}

fn escape_within(text: &str, longest: usize) -> Cow<'_, str> {
    if text.len() <= longest && !text.chars().any(is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut line = String::with_capacity(text.len().min(longest) + 32);
    for (at, char) in text.char_indices() {
        if line.len() >= longest {
            line.push_str(&format!(" … ({} more bytes)", text.len() - at));
            break;
        }
        push(&mut line, char);
    }
    Cow::Owned(line)
}

/// As [`one_line`], but line breaks and tabs stay: for text that may have several lines.
pub fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        match char {
            '\n' | '\t' => out.push(char),
            char => push(&mut out, char),
        }
    }
    out
}

fn push(line: &mut String, char: char) {
    match char {
        '\n' => line.push_str("\\n"),
        '\r' => line.push_str("\\r"),
        '\t' => line.push_str("\\t"),
        char if is_escaped(char) => {
            let mut units = [0; 2];
            for unit in char.encode_utf16(&mut units) {
                line.push_str(&format!("\\u{unit:04x}"));
            }
        }
        char => line.push(char),
    }
}

/// Control characters (C0, DEL, C1), line and paragraph separators, and format characters: bidirectional
/// controls, zero-width and other invisible ones (Unicode's Cf, and what renders as nothing).
fn is_escaped(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{115f}'..='\u{1160}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_text_stays_as_it_is() {
        for text in ["", "Tea, 100 g", "Чайник é 茶 😀", r#"{"a":"b\n"}"#] {
            assert_eq!(one_line(text), text);
            assert!(matches!(one_line(text), Cow::Borrowed(_)));
        }
    }

    #[test]
    fn nothing_begins_a_new_line_or_moves_the_cursor() {
        for (text, line) in [
            ("a\nb", "a\\nb"),
            ("a\r\nb", "a\\r\\nb"),
            ("a\tb", "a\\tb"),
            ("\u{b}\u{c}\0", "\\u000b\\u000c\\u0000"),
            ("\u{1b}[2Kgone", "\\u001b[2Kgone"),
            ("\u{9b}31m\u{7f}\u{85}", "\\u009b31m\\u007f\\u0085"),
            ("\u{2028}\u{2029}", "\\u2028\\u2029"),
            ("\u{202e}txt.exe\u{2066}", "\\u202etxt.exe\\u2066"),
            ("a\u{200b}\u{ad}\u{feff}", "a\\u200b\\u00ad\\ufeff"),
            ("\u{e0041}", "\\udb40\\udc41"),
        ] {
            assert_eq!(one_line(text), line);
        }
    }

    #[test]
    fn what_is_too_long_is_cut_and_says_so() {
        let line = one_line(&"x".repeat(100_000)).into_owned();
        assert!(line.ends_with("x … (95904 more bytes)"), "{line}");
        let line = one_line(&"\u{1b}".repeat(100_000)).into_owned();
        assert!(line.len() < MAX_LINE + 64, "{}", line.len());
    }

    #[test]
    fn what_was_asked_for_is_whole() {
        let long = "x\n".repeat(100_000);
        assert_eq!(escape(&long), "x\\n".repeat(100_000));
    }

    #[test]
    fn several_lines_keep_their_breaks_only() {
        assert_eq!(lines("a\n\tb\r\u{1b}c"), "a\n\tb\\r\\u001bc");
    }
}
