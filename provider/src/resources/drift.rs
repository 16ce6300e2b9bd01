//! Findings that resources share: what about an object's tags is not as it was made. Pure.

use cloud::{Tags, tag};

/// What became of the first tag that is not as it should be; none when all are. The digest stands
/// for what is baked in, which nobody can change by writing a tag: whose is another was made of
/// something else.
pub(super) fn changed_tag(found: &Tags, expected: &Tags) -> Option<String> {
    let changed = |(key, value): &(&String, &String)| found.get(*key) != Some(*value);
    let mut changed: Vec<_> = expected.iter().filter(changed).collect();
    changed.sort_by_key(|(key, _)| *key != tag::DIGEST);
    let (key, value) = changed.first()?;
    if *key == tag::DIGEST && found.contains_key(tag::DIGEST) {
        return Some(
            "made from another configuration than the state's, as after a roll that stopped; the next \
             apply brings all machines to one"
                .to_owned(),
        );
    }
    let now = found.get(*key).map_or_else(|| "gone".to_owned(), |value| format!("`{value}`"));
    Some(format!("its tag `{key}` is {now}; it will be `{value}` again"))
}
