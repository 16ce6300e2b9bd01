//! Logging as the host wants it: one JSON object a line on standard error.
//!
//! Terraform filters by level itself, but pays for every line it gets; so nothing is written
//! unless somebody asked for logs.

use jiff::Timestamp;
use serde_json::{Map, Value};
use std::fmt::{Debug, Write as _};
use std::io::Write as _;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Starts logging, if it is asked for, and makes a panic known to the host.
pub(crate) fn init() {
    std::panic::set_hook(Box::new(|panic| {
        // The host knows a crash by this word at the beginning of a line.
        let _ = writeln!(std::io::stderr(), "panic: {panic}");
    }));
    let Some(level) = level() else { return };
    // What the libraries below say of HTTP/2 frames helps nobody who debugs a provider, and an SDK writes
    // whole requests, with all that a user has put into them. Each is a prefix.
    let noisy = ["aws_", "h2", "hyper", "rustls", "tonic", "tower", "reqwest", "mio"];
    let targets = Targets::new()
        .with_default(level)
        .with_targets(noisy.map(|name| (name, LevelFilter::WARN)));
    let subscriber = tracing_subscriber::registry().with(Hclog.with_filter(targets));
    let _ = tracing::subscriber::set_global_default(subscriber);
}

fn level() -> Option<LevelFilter> {
    let asked = ["TF_LOG_PROVIDER", "TF_LOG"].iter().find_map(|name| std::env::var(name).ok())?;
    match asked.to_ascii_uppercase().as_str() {
        "" | "OFF" => None,
        "ERROR" => Some(LevelFilter::ERROR),
        "WARN" => Some(LevelFilter::WARN),
        "INFO" => Some(LevelFilter::INFO),
        "DEBUG" => Some(LevelFilter::DEBUG),
        _ => Some(LevelFilter::TRACE),
    }
}

struct Hclog;

impl<S: Subscriber> Layer<S> for Hclog {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let line = line(Timestamp::now(), *metadata.level(), metadata.target(), |fields| {
            event.record(fields)
        });
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// One line. The host wants text in the `@` keys, and exactly six digits of the second.
fn line(now: Timestamp, level: Level, module: &str, record: impl FnOnce(&mut Fields)) -> String {
    let mut fields = Fields::default();
    record(&mut fields);
    let level = match level {
        Level::ERROR => "error",
        Level::WARN => "warn",
        Level::INFO => "info",
        Level::DEBUG => "debug",
        Level::TRACE => "trace",
    };
    let message = fields.values.remove("message").unwrap_or_default();
    let message = message.as_str().map_or_else(|| message.to_string(), str::to_owned);
    let mut object = Map::new();
    let mut put = |key: &str, text: String| object.insert(key.to_owned(), Value::String(text));
    put("@level", level.to_owned());
    put("@message", message);
    put("@timestamp", now.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string());
    put("@module", module.to_owned());
    object.extend(fields.values);
    let mut text = Value::Object(object).to_string();
    text.push('\n');
    text
}

#[derive(Default)]
struct Fields {
    values: Map<String, Value>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.values.insert(field.name().to_owned(), Value::String(text));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.values.insert(field.name().to_owned(), Value::String(value.to_owned()));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.values.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.values.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.values.insert(field.name().to_owned(), value.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_what_the_host_parses() {
        let now = Timestamp::from_microsecond(1_700_000_000_000_001).unwrap();
        let text = line(now, Level::INFO, "plugin::x", |fields| {
            fields.values.insert("message".to_owned(), "hello".into());
            fields.values.insert("count".to_owned(), 3.into());
        });
        expect_test::expect![[r#"
            {"@level":"info","@message":"hello","@module":"plugin::x","@timestamp":"2023-11-14T22:13:20.000001Z","count":3}
        "#]]
        .assert_eq(&text);
    }
}
