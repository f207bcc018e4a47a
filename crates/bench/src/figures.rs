//! What is measured, as text: one line of the table for each figure, its limit beside it.

use std::time::Duration;

/// A figure, what limits it, and what it should be.
pub struct Line {
    what: String,
    figure: String,
    limits: Vec<String>,
    aim: &'static str,
}

impl Line {
    pub fn new(what: impl Into<String>, figure: impl Into<String>) -> Line {
        Line {
            what: what.into(),
            figure: figure.into(),
            limits: vec![],
            aim: "",
        }
    }

    /// What the figure should reach.
    pub fn aim(mut self, aim: &'static str) -> Line {
        self.aim = aim;
        self
    }

    /// Something to be looked at beside the figure, without a ratio.
    pub fn beside(mut self, limit: impl Into<String>) -> Line {
        self.limits.push(limit.into());
        self
    }

    /// A limit in the figure's own unit; what is shown in brackets is the figure divided by it.
    pub fn limit(mut self, name: &str, limit: f64, shown: &str, figure: f64) -> Line {
        let ratio = figure / limit;
        let digits = if ratio < 0.1 { 3 } else { 2 };
        self.limits
            .push(format!("{name}: {shown} ({ratio:.digits$} ×)"));
        self
    }
}

/// The table, printed as it grows.
#[derive(Default)]
pub struct Table {
    lines: Vec<Line>,
}

impl Table {
    pub const HEAD: &str = "| what | figure | limit (figure ÷ limit) | aim |\n|---|---|---|---|";

    pub fn add(&mut self, line: Line) {
        if self.lines.is_empty() {
            println!("{}", Self::HEAD);
        }
        println!("{}", row(&line));
        self.lines.push(line);
    }

    /// The whole table, as Markdown.
    pub fn markdown(&self) -> String {
        let rows = self.lines.iter().map(row);
        let all: Vec<String> = [Self::HEAD.to_owned()].into_iter().chain(rows).collect();
        all.join("\n")
    }
}

fn row(line: &Line) -> String {
    let limits = line.limits.join("; ");
    format!(
        "| {} | {} | {limits} | {} |",
        line.what, line.figure, line.aim
    )
}

/// `13.4 ms`
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1000.0;
    match ms {
        ..0.1 => format!("{ms:.3} ms"),
        ..1.0 => format!("{ms:.2} ms"),
        ..100.0 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

/// `12 345/s`
pub fn per_second(rate: f64) -> String {
    if rate < 100.0 {
        format!("{rate:.1}/s")
    } else {
        format!("{}/s", grouped(rate.round() as u64))
    }
}

/// `12 345`
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// The middle one; `NaN` when there is none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The middle one of some times.
pub fn median_time(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_to_be_read() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_234_567), "1 234 567");
        assert_eq!(per_second(12.34), "12.3/s");
        assert_eq!(ms(Duration::from_micros(50)), "0.050 ms");
        assert_eq!(ms(Duration::from_millis(250)), "250 ms");
    }

    #[test]
    fn a_limit_shows_its_share() {
        let line = Line::new("orders", "50/s").limit("raw", 200.0, "200/s", 50.0);
        assert_eq!(row(&line), "| orders | 50/s | raw: 200/s (0.25 ×) |  |");
    }

    #[test]
    fn the_middle_is_the_middle() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!(median(vec![]).is_nan());
    }
}
