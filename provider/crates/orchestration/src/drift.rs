//! What about an object's tags and settings is not as it was made. Pure.

use cloud::{Instance, Key, Tags, tag};
use domain::finding::Deviation;

/// What became of the first tag that is not as it should be; none when all are. The digest stands
/// for what is baked in, which nobody can change by writing a tag: whose is another was made of
/// something else.
pub(crate) fn changed_tag(found: &Tags, expected: &Tags) -> Option<Deviation> {
    let digest = Key::from(tag::DIGEST);
    let changed = |(key, value): &(Key, &String)| found.get(*key) != Some(*value);
    let mut changed: Vec<_> = expected.iter().filter(changed).collect();
    changed.sort_by_key(|(key, _)| *key != digest);
    let (key, was) = changed.first()?;
    Some(match found.get(*key) {
        Some(_) if *key == digest => Deviation::MadeFromAnother,
        now => Deviation::Tag { key: *key, now: now.cloned(), was: (*was).clone() },
    })
}

/// What became of a machine's settings; none when all are as they were.
pub(crate) fn changed_settings(instance: &Instance) -> Option<Deviation> {
    let found: Vec<String> = instance.findings.iter().map(|finding| finding.text.clone()).collect();
    let needs_another = needs_another(instance);
    (!found.is_empty()).then_some(Deviation::Settings { found, needs_another })
}

/// Whether no repair makes this machine what it was.
pub(crate) fn needs_another(instance: &Instance) -> bool {
    instance.findings.iter().any(|finding| !finding.repairable)
}
