//! `{{ variable }}` in the strings of a manifest.

use crate::variables::Variables;

/// Puts the values of variables into `text`.
pub(crate) fn resolve(text: &str, variables: &Variables) -> Result<String, String> {
    let mut resolved = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        resolved.push_str(&rest[..start]);
        let after = &rest[start + 2..];
        let end = after
            .find("}}")
            .ok_or_else(|| format!("`{text}` has `{{{{` without `}}}}`"))?;
        let name = after[..end].trim();
        match variables.value(name) {
            Ok(Some(value)) => resolved.push_str(value),
            // A required variable without a value is its own fault; do not report it once more here.
            Ok(None) => {}
            Err(error) => return Err(format!("`{text}`: {error}")),
        }
        rest = &after[end + 2..];
    }
    resolved.push_str(rest);
    Ok(resolved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_replace_names_and_faults_name_the_text() {
        let variables = Variables::for_test(&[("a", "1"), ("b_c", "{{ a }}")]);
        assert_eq!(resolve("", &variables).unwrap(), "");
        assert_eq!(
            resolve("x-{{ a }}-{{b_c}}", &variables).unwrap(),
            "x-1-{{ a }}"
        );
        assert!(resolve("{{ a", &variables).unwrap_err().contains("without"));
        assert!(
            resolve("{{ nope }}", &variables)
                .unwrap_err()
                .contains("nope")
        );
    }
}
