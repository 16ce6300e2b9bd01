use super::*;
use expect_test::{Expect, expect};
use proptest::prelude::*;

fn file(path: &str, content: &str) -> BootFile {
    BootFile { path: path.to_owned(), mode: 0o755, content: content.to_owned() }
}

fn document() -> BootDocument {
    BootDocument {
        files: vec![
            file("/etc/disagg/env", "A=1\n"),
            file("/etc/systemd/system/a@.service", "[Service]\n"),
            file("/opt/disagg/a", "#!/bin/sh\nprintf '\u{7f}'\n"),
        ],
        units: vec!["a@0.service".to_owned(), "b.service".to_owned()],
        spec: "{\"made\":\"from\"}".to_owned(),
    }
}

#[test]
fn a_document_is_a_cloud_config() {
    expect![[r##"
        #cloud-config
        {"write_files":[{"path":"/etc/disagg/env","permissions":"0755","content":"A=1\n"},{"path":"/etc/disagg/spec.json","permissions":"0600","content":"{\"made\":\"from\"}"},{"path":"/etc/systemd/system/a@.service","permissions":"0755","content":"[Service]\n"},{"path":"/opt/disagg/a","permissions":"0755","encoding":"b64","content":"IyEvYmluL3NoCnByaW50ZiAnfycK"}],"runcmd":[["systemctl","daemon-reload"],["systemctl","enable","--now","a@0.service","b.service"]]}
    "##]]
    .assert_eq(&document().cloud_config_text());
}

#[test]
fn it_comes_back_compressed_or_not() {
    let document = document();
    let text = document.cloud_config_text();
    for bytes in [document.to_cloud_config(), gzip::quick(text.as_bytes()), text.into_bytes()] {
        assert_eq!(BootDocument::from_cloud_config(&bytes).unwrap(), document);
    }
    // No time in the header of the gzip.
    assert_eq!(document.to_cloud_config()[4..8], [0; 4]);
}

fn refused(text: &str, expect: Expect) {
    let error = BootDocument::from_cloud_config(text.as_bytes()).unwrap_err();
    let mut text = error.to_string();
    if let Some(cause) = std::error::Error::source(&error) {
        text += &format!(": {cause}");
    }
    expect.assert_eq(&text);
}

#[test]
fn whatever_a_vm_would_do_otherwise_is_refused() {
    let with_file =
        |file: &str| format!("#cloud-config\n{{\"write_files\": [{{{file}}}], \"runcmd\": []}}");
    let with_command = |command: &str| {
        let spec = r#"{"path": "/etc/disagg/spec.json", "permissions": "0600", "content": "{}"}"#;
        format!("#cloud-config\n{{\"write_files\": [{spec}], \"runcmd\": [[{command}]]}}")
    };
    refused("#!/bin/sh\n", expect!["it does not begin with `#cloud-config`"]);
    refused(
        "#cloud-config\npackages: [x]\n",
        expect![
            "it is not JSON of the shape that this release writes: expected value at line 1 column 1"
        ],
    );
    refused(
        "#cloud-config\n{\"packages\": [\"jq\"]}",
        expect![
            "it is not JSON of the shape that this release writes: unknown field `packages`, expected `write_files` or `runcmd` at line 1 column 11"
        ],
    );
    refused(
        &with_file(r#""path": "/a", "owner": "x""#),
        expect![
            "it is not JSON of the shape that this release writes: unknown field `owner`, expected one of `path`, `permissions`, `encoding`, `content` at line 1 column 39"
        ],
    );
    for (path, encoding, content, permissions) in [
        ("/a/../b", "b64", "", "0644"),
        ("a", "b64", "", "0644"),
        ("/", "b64", "", "0644"),
        ("/a", "gz", "", "0644"),
        ("/a", "b64", "?", "0644"),
        ("/a", "b64", "/w==", "0644"),
        ("/a", "b64", "", "0999"),
    ] {
        let text = format!(
            r#""path": "{path}", "encoding": "{encoding}", "content": "{content}", "permissions": "{permissions}""#
        );
        let error = BootDocument::from_cloud_config(with_file(&text).as_bytes()).unwrap_err();
        assert!(
            matches!(&error, ForeignDocument::File { path: named, .. } if named == path),
            "{error}"
        );
    }
    refused(
        &with_command(r#""systemctl", "enable", "--now""#),
        expect![[
            r#"its command ["systemctl", "enable", "--now"] is not one of `systemctl daemon-reload` and `systemctl enable --now UNIT.service…`"#
        ]],
    );
    refused(
        &with_command(r#""reboot""#),
        expect![[
            r#"its command ["reboot"] is not one of `systemctl daemon-reload` and `systemctl enable --now UNIT.service…`"#
        ]],
    );
    refused(
        "#cloud-config\n{\"write_files\":[],\"runcmd\":[]}",
        expect!["it has no `/etc/disagg/spec.json`"],
    );
    assert!(BootDocument::from_cloud_config(&[0x1f, 0x8b, 0, 0]).is_err());
}

#[test]
fn an_instance_that_cannot_be_read_is_named() {
    let id = InstanceId("i-1".to_owned());
    let of = |user_data: Option<&[u8]>| BootDocument::of_instance("GetUserData", &id, user_data);
    assert_eq!(of(Some(&document().to_cloud_config())).unwrap(), document());
    let errors = [of(None), of(Some(b"#!/bin/sh\n"))].map(|answer| {
        let error = answer.unwrap_err();
        assert_eq!(error.kind, ErrorKind::Unreadable);
        error.to_string()
    });
    expect![[r#"
        GetUserData of i-1 failed: its user data is not ours: it is not there
        GetUserData of i-1 failed: its user data is not ours: it does not begin with `#cloud-config`"#]]
    .assert_eq(&errors.join("\n"));
}

#[test]
fn a_small_file_that_unpacks_to_a_large_one_is_refused() {
    let bomb = gzip::quick(&vec![b' '; LARGEST as usize + 1]);
    let error = BootDocument::from_cloud_config(&bomb).unwrap_err();
    assert!(matches!(error, ForeignDocument::Huge), "{error}");
}

#[test]
fn what_is_too_large_is_named() {
    let mut large = document();
    // Text that does not compress well.
    let noise = (0..20_000_u64).map(|number| number.wrapping_mul(0x9E37_79B9_7F4A_7C15));
    large.spec = noise.map(|number| format!("{number:x}")).collect();
    let size = large.to_cloud_config().len();
    assert_eq!(large.check_size(size), Ok(()));
    let error = large.check_size(size - 1).unwrap_err();
    assert_eq!((error.size, error.limit), (size, size - 1));
    assert_eq!((error.largest.as_str(), error.largest_size), (SPEC_PATH, large.spec.len()));
    assert_eq!(document().check_size(1000), Ok(()));
}

proptest! {
    #[test]
    fn whatever_is_in_it_comes_back(
        contents in prop::collection::vec((any::<String>(), 0..0o1000_u32, any::<bool>()), 0..4),
        units in prop::collection::vec("[a-z][a-z@0-9-]{0,8}\\.service", 0..3),
        spec in any::<String>(),
    ) {
        let files = contents.into_iter().enumerate().map(|(index, (content, mode, is_setting))| {
            let directory = if is_setting { "/etc/disagg" } else { "/opt" };
            BootFile { path: format!("{directory}/{index}"), mode, content }
        });
        let document = BootDocument { files: files.collect(), units, spec };
        let bytes = document.to_cloud_config();
        prop_assert!(bytes.len().max(document.cloud_config_text().len()) <= document.most_bytes());
        prop_assert_eq!(BootDocument::from_cloud_config(&bytes).unwrap(), document);
    }

    #[test]
    fn no_bytes_are_too_strange(bytes in any::<Vec<u8>>()) {
        let _ = BootDocument::from_cloud_config(&bytes);
    }
}
