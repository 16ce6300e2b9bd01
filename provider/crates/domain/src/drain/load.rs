//! What runs on an engine, by its Prometheus page.

use thiserror::Error;

/// Requests that an engine works at, counted by Dynamo for each endpoint.
const IN_FLIGHT: &str = "dynamo_component_inflight_requests";

/// How much of vLLM's KV cache is taken.
const KV_CACHE: &str = "vllm:kv_cache_usage_perc";

/// What every metric of vLLM begins with.
const VLLM: &str = "vllm:";

/// What an engine works at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Load {
    /// Requests in flight.
    pub requests: f64,
    /// Whether it holds KV that somebody is still to fetch.
    pub holds_kv: bool,
}

impl Load {
    /// Reads an engine's page. What it is said by the page itself: the machine may run something else than the
    /// configuration says by now.
    ///
    /// # Errors
    /// When it does not say what is in flight: nobody may conclude from that that nothing is.
    pub fn parse(page: &str) -> Result<Self, UnreadableMetrics> {
        let (mut requests, mut kv) = (None, None);
        let (mut is_prefill, mut is_vllm) = (false, false);
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            is_vllm |= line.starts_with(VLLM);
            if let Some(Sample { labels, value }) = sample(line, IN_FLIGHT)? {
                if has_label(labels, "dynamo_endpoint", "generate") {
                    *requests.get_or_insert(0.0) += value;
                    is_prefill |= has_label(labels, "dynamo_component", "prefill");
                }
            } else if let Some(Sample { value, .. }) = sample(line, KV_CACHE)? {
                *kv.get_or_insert(0.0) += value;
            }
        }
        let missing = UnreadableMetrics::Missing;
        let requests = requests.ok_or(missing(IN_FLIGHT))?;
        // What is busy is busy, whatever else it does not say. And what vLLM's prefill has computed waits
        // there, no request any more, until a decode has room for it.
        let holds_kv = match is_vllm && is_prefill && requests <= 0.0 {
            true => kv.ok_or(missing(KV_CACHE))? > 0.0,
            false => false,
        };
        Ok(Self { requests, holds_kv })
    }

    /// Whether it may go without anybody missing it.
    pub fn is_empty(&self) -> bool {
        self.requests <= 0.0 && !self.holds_kv
    }
}

/// A page that does not say what an engine works at.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum UnreadableMetrics {
    /// Another page, or another version of Dynamo or of the engine.
    #[error("its metrics have no `{0}` of the endpoint `generate`")]
    Missing(&'static str),
    /// Not in Prometheus' format.
    #[error("`{0}` has no number that can be read")]
    Value(&'static str),
}

struct Sample<'a> {
    labels: &'a str,
    value: f64,
}

/// The sample in a line, if it is one of this name.
fn sample<'a>(line: &'a str, name: &'static str) -> Result<Option<Sample<'a>>, UnreadableMetrics> {
    let Some(rest) = line.strip_prefix(name) else { return Ok(None) };
    let (labels, value) = if let Some(labels) = rest.strip_prefix('{') {
        labels.rsplit_once('}').ok_or(UnreadableMetrics::Value(name))?
    } else if rest.starts_with(' ') {
        ("", rest)
    } else {
        // Another name that begins so.
        return Ok(None);
    };
    // A timestamp may follow.
    let value = value.split_ascii_whitespace().next().and_then(|value| value.parse::<f64>().ok());
    let value = value.filter(|value| value.is_finite() && *value >= 0.0);
    Ok(Some(Sample { labels, value: value.ok_or(UnreadableMetrics::Value(name))? }))
}

fn has_label(labels: &str, name: &str, value: &str) -> bool {
    labels.split(',').any(|label| label.trim() == format!("{name}=\"{value}\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As a prefill worker of Dynamo 1.6.1 writes it, without most of it.
    const PREFILL: &str = r#"# HELP dynamo_component_inflight_requests Number of requests currently being processed by work handler
# TYPE dynamo_component_inflight_requests gauge
dynamo_component_inflight_requests{dynamo_component="prefill",dynamo_endpoint="generate",dynamo_namespace="dynamo",worker_id="47d5a22a1122c81a"} 2
dynamo_component_inflight_requests{dynamo_component="prefill",dynamo_endpoint="worker_kv_query_source_148ed6eda03dd6",dynamo_namespace="dynamo",worker_id="47d5a22a1122c81a"} 1
# HELP dynamo_component_uptime_seconds Total uptime of the component
# TYPE dynamo_component_uptime_seconds gauge
dynamo_component_uptime_seconds{worker_id="47d5a22a1122c81a"} 5.905971635
# HELP vllm:kv_cache_usage_perc KV-cache usage. 1 means 100 percent usage.
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{engine="0",model_name="tiny"} 0.0036630036630036
"#;

    fn load(page: &str) -> Result<(f64, bool, bool), UnreadableMetrics> {
        let load = Load::parse(page)?;
        Ok((load.requests, load.holds_kv, load.is_empty()))
    }

    #[test]
    fn what_runs_is_counted() {
        assert_eq!(load(PREFILL), Ok((2.0, false, false)));
        // The other endpoint is the router's, which asks for KV events; and the prefilled KV waits for a decode.
        let idle = PREFILL.replace("c81a\"} 2", "c81a\"} 0");
        assert_eq!(load(&idle), Ok((0.0, true, false)));
        let fetched = idle.replace("0.0036630036630036", "0.0");
        assert_eq!(load(&fetched), Ok((0.0, false, true)));
        let of_ranks =
            format!("{fetched}vllm:kv_cache_usage_perc{{engine=\"1\"}} 0.25 1796002603\n");
        assert_eq!(load(&of_ranks), Ok((0.0, true, false)));
    }

    /// What a decode keeps is a cache, and so is what others than vLLM keep.
    #[test]
    fn who_holds_kv_that_somebody_is_to_fetch() {
        let idle = PREFILL.replace("c81a\"} 2", "c81a\"} 0");
        let decode = idle.replace("component=\"prefill\"", "component=\"backend\"");
        assert_eq!(load(&decode), Ok((0.0, false, true)));
        let mocker = idle.replace("vllm:", "mocker:");
        assert_eq!(load(&mocker), Ok((0.0, false, true)));
    }

    #[test]
    fn a_page_that_does_not_say_it_is_no_empty_engine() {
        let missing = Err(UnreadableMetrics::Missing(IN_FLIGHT));
        for page in ["", "<html></html>", "dynamo_component_inflight_requests_total 0\n"] {
            assert_eq!(load(page), missing, "{page}");
        }
        let others = PREFILL.replace("dynamo_endpoint=\"generate\"", "dynamo_endpoint=\"load\"");
        assert_eq!(load(&others), missing);
        let without_kv = PREFILL.replace(KV_CACHE, "vllm:another");
        assert_eq!(load(&without_kv), Ok((2.0, false, false)));
        let missing = Err(UnreadableMetrics::Missing(KV_CACHE));
        let idle = without_kv.replace("c81a\"} 2", "c81a\"} 0");
        assert_eq!(load(&idle), missing);
        for number in ["", "-1", "NaN", "+Inf", "two"] {
            let page = PREFILL.replace("c81a\"} 2", &format!("c81a\"}} {number}"));
            assert_eq!(load(&page), Err(UnreadableMetrics::Value(IN_FLIGHT)), "{number}");
        }
    }
}
