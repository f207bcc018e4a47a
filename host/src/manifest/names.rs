//! Spin's rules for the names in a manifest. They are stricter than those for the names that a component asks for
//! at run time: each word must begin with a letter.

/// A component's id: words of letters and digits with `-` in between.
pub(super) fn check_component(id: &str) -> Result<(), String> {
    check(id, '-')
}

/// A variable: words of lower-case letters and digits with `_` in between.
pub(super) fn check_variable(name: &str) -> Result<(), String> {
    check(name, '_')?;
    match name.chars().any(|c| c.is_ascii_uppercase()) {
        true => Err(format!("{name:?}: must be lower-case")),
        false => Ok(()),
    }
}

/// The label of a database or a store: words with `-`, or with `_`, in between.
pub(super) fn check_label(label: &str) -> Result<(), String> {
    check(label, '-').or_else(|_| check(label, '_'))
}

fn check(name: &str, delimiter: char) -> Result<(), String> {
    let is_word = |word: &str| {
        let has_case = |is: fn(&char) -> bool| word.chars().any(|c| is(&c));
        let mixed = has_case(char::is_ascii_lowercase) && has_case(char::is_ascii_uppercase);
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric())
            && !mixed
    };
    match name.split(delimiter).all(is_word) {
        true => Ok(()),
        false => Err(format!(
            "{name:?}: must be words of letters and digits, each beginning with a letter and of one case, with {delimiter:?} in between"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_spins_rules() {
        for good in ["a", "abc", "a1b2c3", "a_b", "a_b1_c"] {
            check_variable(good).unwrap();
        }
        for bad in [
            "", "aX", "A", "1bc", "_x", "x.y", "x_", "a__b", "x-y", "a_1",
        ] {
            check_variable(bad).unwrap_err();
        }
        for good in ["a-b", "A-b", "ab1"] {
            check_component(good).unwrap();
        }
        for bad in ["a_b", "a-1", "aB"] {
            check_component(bad).unwrap_err();
        }
        for good in ["a_b", "a-b", "default"] {
            check_label(good).unwrap();
        }
        for bad in ["a_b-c", "a 1"] {
            check_label(bad).unwrap_err();
        }
    }
}
