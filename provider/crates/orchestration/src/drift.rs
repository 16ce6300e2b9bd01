//! Findings that resources share: what about an object's tags and settings is not as it was made. Pure.

use cloud::{Instance, Tags, tag};

/// What became of the first tag that is not as it should be; none when all are. The digest stands
/// for what is baked in, which nobody can change by writing a tag: whose is another was made of
/// something else.
pub(crate) fn changed_tag(found: &Tags, expected: &Tags) -> Option<String> {
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

/// What became of a machine's settings, and what `otherwise` becomes of one that cannot be put right
/// while it runs; none when all are as they were.
pub(crate) fn changed_settings(instance: &Instance, otherwise: &str) -> Option<String> {
    let texts: Vec<&str> = instance.findings.iter().map(|finding| finding.text.as_str()).collect();
    let next = if needs_another(instance) { otherwise } else { "the next apply puts that back" };
    (!texts.is_empty()).then(|| format!("{}; {next}", texts.join(", and ")))
}

/// Whether no repair makes this machine what it was.
pub(crate) fn needs_another(instance: &Instance) -> bool {
    instance.findings.iter().any(|finding| !finding.repairable)
}
