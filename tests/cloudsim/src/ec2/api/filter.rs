//! Filters of describing calls: each must be met, by any of its values; `*` stands for anything.

use super::query::Query;
use crate::datacentre::Tags;
use crate::ec2::refusal::Refusal;

/// The filters of one request.
#[derive(Debug)]
pub(super) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    pub(super) fn of(query: &Query) -> Self {
        let filters = query.members("Filter").into_iter();
        Self(
            filters
                .map(|filter| {
                    (filter.text("Name").unwrap_or_default().to_owned(), filter.texts("Value"))
                })
                .collect(),
        )
    }

    /// Whether an object passes: `value` answers what it has under a filter's name, `None` for a name
    /// that this call does not know, which is the caller's mistake.
    pub(super) fn pass(
        &self,
        tags: &Tags,
        value: impl Fn(&str) -> Option<Vec<String>>,
    ) -> Result<bool, Refusal> {
        for (name, wanted) in &self.0 {
            let found = match name.strip_prefix("tag:") {
                Some(key) => tags.get(key).cloned().into_iter().collect(),
                None if name == "tag-key" => tags.keys().cloned().collect(),
                None => value(name).ok_or_else(|| {
                    Refusal::new("InvalidParameterValue", format!("The filter '{name}' is invalid"))
                })?,
            };
            if !found.iter().any(|found| wanted.iter().any(|wanted| is_like(found, wanted))) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Whether a text is like a pattern, whose stars stand for anything.
fn is_like(text: &str, pattern: &str) -> bool {
    let Some((begin, rest)) = pattern.split_once('*') else { return text == pattern };
    let Some(text) = text.strip_prefix(begin) else { return false };
    (0..=text.len())
        .filter(|index| text.is_char_boundary(*index))
        .any(|index| is_like(&text[index..], rest))
}

#[cfg(test)]
mod tests {
    use super::is_like;

    #[test]
    fn patterns() {
        for (text, pattern, like) in [
            ("abc", "abc", true),
            ("abc", "ab", false),
            ("abc", "a*", true),
            ("abc", "*c", true),
            ("abc", "a*c*", true),
            ("abc", "b*", false),
            ("Base (24.04) 7", "Base (24.04) *", true),
        ] {
            assert_eq!(is_like(text, pattern), like, "{text} {pattern}");
        }
    }
}
