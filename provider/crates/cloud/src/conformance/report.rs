//! What an examination has found, rule by rule.

use std::fmt;

/// What was found about one rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The cloud keeps it.
    Kept,
    /// The cloud does not, and what was found instead.
    Broken(String),
    /// It was not examined to its end, and why: the cloud has no such thing, or the test no means.
    NotExamined(String),
}

/// The verdicts on a cloud. `Display` lists them all, a line each.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Report(Vec<(&'static str, Verdict)>);

impl Report {
    /// Whether no rule was found to be broken.
    pub fn is_kept(&self) -> bool {
        !self.0.iter().any(|(_, verdict)| matches!(verdict, Verdict::Broken(_)))
    }

    /// The rules that were not examined to their ends, with the reasons.
    pub fn not_examined(&self) -> Vec<(&'static str, &str)> {
        let verdicts = self.0.iter();
        verdicts
            .filter_map(|(rule, verdict)| match verdict {
                Verdict::NotExamined(why) => Some((*rule, why.as_str())),
                Verdict::Kept | Verdict::Broken(_) => None,
            })
            .collect()
    }

    pub(super) fn add(&mut self, rule: &'static str, verdict: Verdict) {
        self.0.push((rule, verdict));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (rule, verdict) in &self.0 {
            match verdict {
                Verdict::Kept => writeln!(f, "kept          {rule}")?,
                Verdict::Broken(found) => writeln!(f, "NOT KEPT      {rule}: {found}")?,
                Verdict::NotExamined(why) => writeln!(f, "not examined  {rule}: {why}")?,
            }
        }
        Ok(())
    }
}
