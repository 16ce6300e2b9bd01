"""judge.py DIRECTORY: what cloud-init itself makes of every DIRECTORY/*.user-data.

Runs inside an image, as root of a throw-away overlay: what the user data would write is really
written, by cloud-init's own module, to where it belongs. Prints one JSON object a line: first
{"cloud-init": VERSION}, then {"name", "findings"} for each file. The scripts
of all machines are left in DIRECTORY/scripts/ for other tools."""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml
from cloudinit import helpers, user_data, util, version
from cloudinit.config import cc_write_files, schema

JUDGED = pathlib.Path(sys.argv[1])
# What our user data may write to.
CONFIGURATION = pathlib.Path("/etc/disagg")
SCRIPTS = pathlib.Path("/opt/disagg")
UNITS = pathlib.Path("/etc/systemd/system")
OURS = [CONFIGURATION, SCRIPTS, UNITS]
# What an image has there already.
BAKED = {SCRIPTS / "runtime", SCRIPTS / "models"}
ENABLE = ["systemctl", "enable"]
SCHEMA = schema.get_schema()


class Finding(Exception):
    """What is wrong, and ends the judgement of one file."""


class StrictLoader(yaml.SafeLoader):
    """cloud-init's reader takes the last of two equal keys without a word."""


def mapping_without_duplicates(loader, node, deep=False):
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for key in keys:
        if keys.count(key) > 1:
            raise Finding(f"the key {key!r} is there twice")
    return yaml.SafeLoader.construct_mapping(loader, node, deep)


StrictLoader.add_constructor("tag:yaml.org,2002:map", mapping_without_duplicates)


def tool(*command, stdin=None):
    """Runs a tool; whatever it prints is a finding, and so is a failure."""
    run = subprocess.run(command, input=stdin, capture_output=True, text=True)
    output = (run.stdout + run.stderr).strip()
    if output or run.returncode:
        yield f"{' '.join(command)}: {output or f'exit code {run.returncode}'}"


def cloud_config(raw):
    """The one part of it, as cloud-init reads it."""
    with tempfile.TemporaryDirectory() as scratch:
        paths = helpers.Paths({"cloud_dir": scratch, "run_dir": scratch, "templates_dir": scratch})
        message = user_data.UserDataProcessor(paths).process(raw)
        parts = [part for part in message.walk() if not part.is_multipart()]
    if [part.get_content_type() for part in parts] != ["text/cloud-config"]:
        raise Finding(f"it is not one cloud-config: {[part.get_content_type() for part in parts]}")
    body = parts[0].get_payload(decode=True).decode("utf-8")
    try:
        config = yaml.load(body, StrictLoader)
    except yaml.YAMLError as error:
        raise Finding(f"it is not YAML: {error}") from error
    # YAML 1.1 has its own ideas of `yes`, `0640`, `1:30`, and of some characters.
    try:
        plain = json.loads(body.split("\n", 1)[1])
    except ValueError as error:
        raise Finding(f"its body is not JSON: {error}") from error
    if config != plain:
        raise Finding("cloud-init reads something else than what the JSON says")
    return config


def schema_findings(config):
    try:
        schema.validate_cloudconfig_schema(config, SCHEMA, strict=True, log_details=False)
    except schema.SchemaValidationError as error:
        for problem in error.schema_errors:
            yield f"schema: {problem.path}: {problem.message}"


def clear():
    """Takes away what the last user data wrote."""
    for directory in OURS:
        for path in directory.glob("*"):
            if path in BAKED or (directory == UNITS and not path.name.startswith("disagg-")):
                continue
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def written_files(config):
    """Writes its files, and tells how they differ from what it says."""
    for file in config.get("write_files", []):
        path = pathlib.Path(file["path"])
        if path.parent not in OURS:
            yield f"{path} is none of our places"
    cc_write_files.write_files("write_files", config.get("write_files", []), "root:root")
    for file in config.get("write_files", []):
        status = pathlib.Path(file["path"]).stat()
        if status.st_mode & 0o7777 != int(file["permissions"], 8) or status.st_uid != 0:
            yield f"{file['path']} has mode {status.st_mode & 0o7777:o} and owner {status.st_uid}"


def shell_findings(seen):
    """What bash, or Python, says of the scripts that no machine before had."""
    for path in sorted([*CONFIGURATION.glob("*"), *SCRIPTS.glob("*")]):
        text = path.read_bytes() if path.is_file() else b""
        if text.startswith((b"#!", b"# shellcheck shell=")) and (path, text) not in seen:
            seen.add((path, text))
            if b"python" in text.partition(b"\n")[0]:
                yield from tool("python3", "-c", "import ast, sys; ast.parse(open(sys.argv[1]).read())", str(path))
            else:
                yield from tool("bash", "-n", str(path))
            yield from unpack(path)


def unpack(path):
    """Leaves a script for other tools, beside those of all machines that it may source."""
    target = JUDGED / "scripts" / path.name
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        yield f"{path} is not that of other machines"
    shutil.copy(path, target)


def unit_findings(units, seen):
    """What systemd says of the units that are enabled and of what they start, once for each set."""
    paths = [path for path in [*SCRIPTS.glob("*"), *UNITS.glob("disagg-*")] if path.is_file()]
    machine = (*units, *sorted((path, path.read_bytes()) for path in paths))
    if machine in seen:
        return
    seen.add(machine)
    for unit in units:
        yield from tool("systemd-analyze", "verify", "--man=no", unit)


def judge(raw, seen):
    findings = []
    config = cloud_config(raw)
    findings += schema_findings(config)
    if findings:
        # With wrong types the modules would only raise.
        return findings
    clear()
    findings += written_files(config)
    # What scripts-user runs, in a shell that is not bash.
    findings += tool("sh", "-n", stdin=util.shellify(config.get("runcmd", [])))
    findings += shell_findings(seen)
    enables = [command for command in config.get("runcmd", []) if command[:2] == ENABLE]
    enabled = [word for command in enables for word in command[2:] if not word.startswith("-")]
    if not enabled:
        findings.append("it enables no unit")
    findings += unit_findings(enabled, seen)
    return findings


def main():
    print(json.dumps({"cloud-init": version.version_string()}))
    seen = set()
    for path in sorted(JUDGED.glob("*.user-data")):
        try:
            findings = judge(path.read_bytes(), seen)
        except Finding as finding:
            findings = [str(finding)]
        print(json.dumps({"name": path.stem, "findings": findings}))


main()
