//! How many machines a group has, or within which bounds it is scaled and by what. It is written on each of
//! its machines, so that whoever scales them and whoever declares them act on one truth.

use crate::planner::Count;
use std::fmt;
use std::str::FromStr;

/// The size of a group.
#[derive(Clone, Debug, PartialEq)]
pub enum Scale {
    /// Exactly so many machines.
    Fixed(u32),
    /// As many as are needed.
    Within(Scaling),
}

/// Within which bounds, and by what.
#[derive(Clone, Debug, PartialEq)]
pub struct Scaling {
    /// The smallest number of machines.
    pub min: u32,
    /// The greatest.
    pub max: u32,
    /// What is measured, as in `rps`.
    pub metric: String,
    /// How much of it each machine is to have.
    pub target: f64,
}

/// What is no [`Scale`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a count nor `MIN..MAX METRIC TARGET`")]
pub struct InvalidScale(String);

impl Scale {
    /// How many machines are right.
    pub fn count(&self) -> Count {
        match self {
            Self::Fixed(count) => Count::Fixed(*count),
            Self::Within(Scaling { min, max, .. }) => Count::Within { min: *min, max: *max },
        }
    }

    /// The least number that is right.
    pub fn least(&self) -> u32 {
        match self.count() {
            Count::Fixed(count) => count,
            Count::Within { min, .. } => min,
        }
    }

    /// Whether the count may move by itself.
    pub fn is_scaled(&self) -> bool {
        matches!(self, Self::Within(_))
    }
}

impl fmt::Display for Scale {
    fn fmt(&self, text: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(count) => write!(text, "{count}"),
            Self::Within(Scaling { min, max, metric, target }) => {
                write!(text, "{min}..{max} {metric} {target}")
            }
        }
    }
}

impl FromStr for Scale {
    type Err = InvalidScale;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let scaling = || {
            let mut words = text.split(' ');
            let (min, max) = words.next()?.split_once("..")?;
            let (metric, target) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
            let (min, max) = (min.parse().ok()?, max.parse().ok()?);
            words.next().is_none().then_some(Scaling { min, max, metric, target })
        };
        match (text.parse(), scaling()) {
            (Ok(count), _) => Ok(Self::Fixed(count)),
            (Err(_), Some(scaling)) => Ok(Self::Within(scaling)),
            (Err(_), None) => Err(InvalidScale(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_none_is_refused() {
        for text in ["", "-1", "1..", "1..2", "1..2 rps", "1..2 rps x", "1..2 rps 3 4", "two"] {
            assert_eq!(text.parse::<Scale>(), Err(InvalidScale(text.to_owned())));
        }
    }

    proptest! {
        #[test]
        fn its_text_reads_back(min: u32, max: u32, metric in "[a-z_]{1,12}", target in 0.001_f64..1e9) {
            let scaled = Scale::Within(Scaling { min, max, metric, target });
            for scale in [Scale::Fixed(min), scaled] {
                prop_assert_eq!(scale.to_string().parse::<Scale>(), Ok(scale));
            }
        }
    }
}
