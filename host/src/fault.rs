//! Faults found before anything is served: collected, then reported all together.

use std::cell::RefCell;
use std::fmt;

/// Why the host did not start: every fault found, one line each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartError {
    faults: Vec<String>,
}

impl StartError {
    /// The faults, each a sentence that says what is wrong and, where it can, what to do.
    pub fn faults(&self) -> &[String] {
        &self.faults
    }

    pub(crate) fn one(fault: impl Into<String>) -> Self {
        Self {
            faults: vec![fault.into()],
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [only] = self.faults.as_slice() {
            return f.write_str(only);
        }
        write!(f, "{} faults", self.faults.len())?;
        for fault in &self.faults {
            write!(f, "\n  - {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for StartError {}

/// The faults found so far. Readers share it, so that one bad key does not hide the next.
#[derive(Debug, Default)]
pub(crate) struct Faults(RefCell<Vec<String>>);

impl Faults {
    pub fn add(&self, fault: impl Into<String>) {
        let fault = fault.into();
        let mut faults = self.0.borrow_mut();
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// Takes the value of a fallible step, or notes its error.
    pub fn take<T, E: fmt::Display>(&self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(error.to_string())).ok()
    }

    /// Ends a stage: an error with everything found so far, if anything was.
    pub fn check(&self) -> Result<(), StartError> {
        let faults = self.0.borrow().clone();
        if faults.is_empty() {
            Ok(())
        } else {
            Err(StartError { faults })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_fault_is_one_line_and_many_are_a_list() {
        let faults = Faults::default();
        assert!(faults.check().is_ok());
        faults.add("a is wrong");
        assert_eq!(faults.check().unwrap_err().to_string(), "a is wrong");
        faults.add("b is wrong");
        faults.add("b is wrong");
        assert_eq!(
            faults.check().unwrap_err().to_string(),
            "2 faults\n  - a is wrong\n  - b is wrong"
        );
    }
}
