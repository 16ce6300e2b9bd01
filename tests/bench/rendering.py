"""User data: rendered by the provider's own code, and by Terraform's functions, to the same document."""

from __future__ import annotations

import base64
import gzip
import json
import os
import subprocess
from pathlib import Path

from figures import Row, median, median_ratio
from processes import Failed, alternate, run
from terraform import PLAN, Workspace

RATE = ("user data, renders per second of CPU", 20.0)
OURS_COUNT = 2000
CORE_COUNT = 100


def rows(directory: Path, renderer: Path) -> list[Row]:
    report = json.loads(_rendered(renderer, 1))
    document, name = report["document"], report["name"]
    templated = _workspace(directory / "templated", document, name, CORE_COUNT)
    empty = _workspace(directory / "empty", document, name, 0)
    _check_same(directory / "one", document, name)

    def ours(_: None) -> float:
        return OURS_COUNT / json.loads(_rendered(renderer, OURS_COUNT))["cpu_seconds"]

    def core(_: None) -> float:
        return CORE_COUNT / (templated.terraform(*PLAN).cpu - empty.terraform(*PLAN).cpu)

    measures = {"ours": ours, "core": core}
    taken = alternate(7, measures, lambda measure: measure(None))
    return [
        Row(RATE[0], f"{median(taken['ours']):.0f}/s", f"core {median(taken['core']):.0f}/s",
            median_ratio(taken["ours"], taken["core"]), RATE[1], at_least=True, form="{:.1f}",
            notes=[
                f"a document of {len(document)} bytes; core: base64gzip(templatefile()) of the same document, "
                f"{CORE_COUNT} in one plan, less a plan without any",
            ]),
    ]


def _rendered(renderer: Path, count: int) -> str:
    return run([str(renderer), str(count)], os.environ).output


def _workspace(directory: Path, document: str, name: str, count: int) -> Workspace:
    """A plan that renders `count` documents and shows the sum of their lengths."""
    expression = f'sum(concat([0], [for i in range({count}) : length(base64gzip(templatefile("${{path.module}}/document.tftpl", {{ name = format("decode-%06d", i) }})))]))'
    workspace = Workspace(directory, f'output "characters" {{\n  value = {expression}\n}}\n')
    (directory / "document.tftpl").write_text(_template(document, name))
    return workspace


def _template(document: str, name: str) -> str:
    escaped = document.replace("${", "$${").replace("%{", "%%{")
    return escaped.replace(name, "${name}")


def _check_same(directory: Path, document: str, name: str) -> None:
    """Core's document has to be ours, byte for byte."""
    workspace = Workspace(directory, "")
    (directory / "document.tftpl").write_text(_template(document, name))
    expression = f'base64gzip(templatefile("document.tftpl", {{ name = "{name}" }}))'
    answer = subprocess.run(
        ["terraform", "console"], input=expression, cwd=directory, env=workspace.environment,
        capture_output=True, text=True, check=False,
    )
    if answer.returncode != 0:
        raise Failed(f"terraform console: {answer.stderr}")
    if gzip.decompress(base64.b64decode(answer.stdout.strip().strip('"'))).decode() != document:
        raise Failed("Terraform's templatefile() renders another document than the provider")
