use super::*;
use expect_test::{Expect, expect};

const ROUTER: &str = "\
[    0.000000] Linux version 6.1.0
disagg-state boot=b1 role=router status=starting etcd=up nats=down frontend=down chat=none workers=-
cloud-init: disagg-state is not a line of ours
disagg-state boot=b1 role=router status=ready etcd=up nats=up frontend=up chat=ok workers=127.0.0.11*1,127.0.0.12*2
";

fn check_state(console: &str, expected: Expect) {
    let text = latest_state(console).map_or("none".to_owned(), |state| {
        let ready = if state.is_ready() { "ready" } else { "not ready" };
        format!("{ready}, boot {}: {state}; {:?}", state.boot, state.workers())
    });
    expected.assert_eq(&text);
}

fn check_failure(console: &str, expected: Expect) {
    let text = failure(console).map_or("none".to_owned(), |failure| {
        let BootFailure { phase, attempts, code, lines } = failure;
        format!("{phase} {attempts} times, code {code}: {lines:?}")
    });
    expected.assert_eq(&text);
}

#[test]
fn latest_line_counts() {
    check_state("", expect!["none"]);
    check_state("login: ", expect!["none"]);
    check_state(
        ROUTER,
        expect![
            "ready, boot b1: router ready (etcd=up nats=up frontend=up chat=ok workers=127.0.0.11*1,127.0.0.12*2); {127.0.0.11: 1, 127.0.0.12: 2}"
        ],
    );
    let first: String = ROUTER.lines().take(3).collect::<Vec<_>>().join("\r\n");
    check_state(
        &first,
        expect![
            "not ready, boot b1: router starting (etcd=up nats=down frontend=down chat=none workers=-); {}"
        ],
    );
    check_state(
        "disagg-state boot=b2 role=decode status=registered engines=8/8",
        expect!["ready, boot b2: decode registered (engines=8/8); {}"],
    );
    check_state(
        "disagg-state boot=b2 role=worker status=running engines=1/1\ndisagg-state boot=b2 ro",
        expect!["ready, boot b2: worker running (engines=1/1); {}"],
    );
}

#[test]
fn the_journal_may_put_its_prefix_before() {
    check_state(
        "[   12.345678] disagg-ready[410]: disagg-state boot=b role=prefill status=starting engines=0/1\r",
        expect!["not ready, boot b: prefill starting (engines=0/1); {}"],
    );
    check_state(
        "[   12.345678] ready[410]: disagg-state boot=b role=prefill status=starting engines=0/1",
        expect!["not ready, boot b: prefill starting (engines=0/1); {}"],
    );
    check_state("a prompt said disagg-state boot=b role=prefill status=ready", expect!["none"]);
}

const FAILED: &str = "\
disagg-state boot=b1 role=decode status=starting engines=0/1
disagg-state boot=b1 role=decode status=failed phase=engine attempts=3 code=1
disagg-log Traceback (most recent call last):
[   99.000000] a line of the kernel
disagg-log
disagg-log   ValueError: no such model
disagg-end
";

#[test]
fn reports() {
    check_failure("", expect!["none"]);
    check_failure(ROUTER, expect!["none"]);
    check_failure(
        FAILED,
        expect![[
            r#"engine 3 times, code 1: ["Traceback (most recent call last):", "", "  ValueError: no such model"]"#
        ]],
    );
    let cut = FAILED.strip_suffix("disagg-end\n").unwrap();
    check_failure(cut, expect!["none"]);
    let starting_again =
        format!("{FAILED}disagg-state boot=b1 role=decode status=starting engines=0/1\n");
    check_failure(
        &starting_again,
        expect![[
            r#"engine 3 times, code 1: ["Traceback (most recent call last):", "", "  ValueError: no such model"]"#
        ]],
    );
    check_state(FAILED, expect!["not ready, boot b1: decode starting (engines=0/1); {}"]);
}

#[test]
fn a_report_is_over_when_the_machine_is_up_or_booted_again() {
    for after in [
        "disagg-state boot=b1 role=decode status=registered engines=1/1",
        "disagg-state boot=b2 role=decode status=starting engines=0/1",
    ] {
        check_failure(&format!("{FAILED}{after}\n"), expect!["none"]);
    }
}

#[test]
fn the_latest_report_counts() {
    let later = FAILED.replace("phase=engine", "phase=model").replace("code=1", "code=28");
    check_failure(
        &format!("{FAILED}{later}"),
        expect![[
            r#"model 3 times, code 28: ["Traceback (most recent call last):", "", "  ValueError: no such model"]"#
        ]],
    );
}

#[test]
fn lines_are_shown_without_what_moves_a_terminal() {
    for (line, expected) in [
        ("plain, with\ta tab", "plain, with\ta tab"),
        ("[\u{1b}[0;32m  OK  \u{1b}[0m] Started\r", "[  OK  ] Started"),
        ("\u{1b}[!p\u{1b}]104\u{7}\u{1b}[?7hend", "104end"),
        ("cut off \u{1b}[0;", "cut off "),
    ] {
        assert_eq!(plain(line), expected);
    }
}

#[test]
fn a_worker_says_which_port_does_not_let_it_in() {
    let port = |line: &str| {
        let state = latest_state(line).expect("a state");
        state.waiting_for().map(str::to_owned)
    };
    let line = "disagg-state boot=b role=decode status=starting engines=0/1";
    assert_eq!(port(line), None);
    assert_eq!(
        port(&format!("{line} waiting_for=10.0.0.5:2379")).as_deref(),
        Some("10.0.0.5:2379")
    );
}

#[test]
fn a_router_says_whom_it_has_refused_and_why() {
    let state = latest_state(
        "disagg-state boot=b role=router status=ready etcd=up nats=up frontend=up chat=ok \
         workers=10.0.0.11*1 refused=10.0.0.12*2:kv_block_size:32:64,10.0.0.13*1:files:17:4",
    )
    .expect("a state");
    assert_eq!(state.workers().len(), 1);
    let words: Vec<String> =
        state.refused().iter().map(|(ip, refusal)| format!("{ip}: {refusal}")).collect();
    expect![[r#"
        10.0.0.12: its KV block size is 32, and 64 on those that the router accepted first
        10.0.0.13: its model's files, as the chat template, are others"#]]
    .assert_eq(&words.join("\n"));
    let none = latest_state("disagg-state boot=b role=router status=ready workers=-");
    assert_eq!(none.expect("a state").refused(), BTreeMap::new());
}

#[test]
fn a_worker_says_how_far_its_download_is() {
    let state = |download: &str| {
        let line = "disagg-state boot=b role=decode status=starting engines=0/1";
        latest_state(&format!("{line} download={download}")).expect("a state")
    };
    for (word, expected) in [
        ("64424509440/130012345678", Some("64.4 of 130.0 GB (49 %)")),
        ("0/0", Some("0.0 of 0.0 GB (0 %)")),
        (
            "18446744073709551615/18446744073709551615",
            Some("18446744073.7 of 18446744073.7 GB (100 %)"),
        ),
        ("12", None),
        ("a/b", None),
        ("-1/2", None),
    ] {
        let text = state(word).download().map(|download| download.to_string());
        assert_eq!(text.as_deref(), expected, "{word}");
    }
    assert_eq!(latest_state(ROUTER).and_then(|state| state.download()), None);
}

#[test]
fn a_router_names_the_proxy_that_is_in_its_way() {
    let line = "disagg-state boot=b role=router status=ready chat=none workers=10.0.0.11*1";
    let state = latest_state(&format!("{line} proxy=http_proxy")).expect("a state");
    assert_eq!(state.proxy(), Some("http_proxy"));
    assert_eq!(latest_state(line).expect("a state").proxy(), None);
}
