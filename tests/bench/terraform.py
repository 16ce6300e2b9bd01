"""Terraform in a directory of its own, with the providers of one configuration.

Providers are installed as users install them, by `terraform init` from a mirror: Terraform then also
checks their hash at every command, as it does for users.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

from processes import Usage, run
from providers import PLATFORM, Provider

PLAN = ("plan", "-input=false", "-no-color", "-lock=false")
APPLY = ("apply", "-input=false", "-no-color", "-auto-approve")
DESTROY = ("destroy", "-input=false", "-no-color", "-auto-approve")


class Workspace:
    """A configuration that is ready to be planned and applied."""

    def __init__(
        self, directory: Path, configuration: str, provider: Provider | None = None, shimmed: bool = False,
        more_environment: dict[str, str] | None = None,
    ) -> None:
        self.more_environment = more_environment or {}
        self.directory = directory
        self.state_directory = directory / "cloud"
        self.shim_log = directory / "shim.jsonl"
        directory.mkdir(parents=True)
        mirror = directory / "mirror"
        mirror.mkdir()
        (directory / "terraform.rc").write_text(
            f'provider_installation {{\n  filesystem_mirror {{ path = "{mirror}" }}\n}}\n'
        )
        header = ""
        if provider:
            self._install(provider, mirror, shimmed)
            header = (
                "terraform {\n  required_providers {\n"
                f'    {provider.name} = {{ source = "{provider.source}", version = "{provider.version}" }}\n'
                "  }\n}\n\n"
            )
        (directory / "main.tf").write_text(header + configuration)
        self.terraform("init", "-input=false", "-no-color")

    def terraform(self, *arguments: str) -> Usage:
        """Runs Terraform, which has to succeed."""
        return run(["terraform", *arguments], self.environment, str(self.directory))

    @property
    def environment(self) -> dict[str, str]:
        """Terraform's environment: nothing of the caller's Terraform settings is left in it."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("TF_", "DISAGG_"))}
        cache = os.environ.get("DISAGG_CACHE_DIRECTORY")
        if cache:
            kept["DISAGG_CACHE_DIRECTORY"] = cache
        return kept | {
            "TF_CLI_CONFIG_FILE": str(self.directory / "terraform.rc"),
            "TF_IN_AUTOMATION": "1",
            "CHECKPOINT_DISABLE": "1",
            "DISAGG_STATE_DIRECTORY": str(self.state_directory),
        } | self.more_environment

    def forget(self) -> None:
        """Back to nothing applied. Only for resources with no process behind them."""
        for path in self.directory.glob("terraform.tfstate*"):
            path.unlink()
        shutil.rmtree(self.state_directory, ignore_errors=True)

    def state_bytes(self) -> int:
        return (self.directory / "terraform.tfstate").stat().st_size

    def planned_values(self) -> list[dict[str, Any]]:
        """What a plan knows of each resource."""
        self.terraform(*PLAN, "-out=plan.bin")
        shown = self.terraform("show", "-json", "plan.bin").output
        plan = json.loads(shown)
        return [resource["values"] for resource in plan["planned_values"]["root_module"]["resources"]]

    def provider_runs(self) -> list[dict[str, Any]]:
        """What the shim wrote down since it was last asked, one entry per start of the provider."""
        runs = [json.loads(line) for line in self.shim_log.read_text().splitlines()]
        self.shim_log.unlink()
        return runs

    def _install(self, provider: Provider, mirror: Path, shimmed: bool) -> None:
        package = mirror / "registry.terraform.io" / provider.source / provider.version / PLATFORM
        package.mkdir(parents=True)
        installed = package / provider.file_name
        if not shimmed:
            shutil.copy2(provider.binary, installed)
            return
        here = Path(__file__).parent
        installed.write_text(
            f"#!{sys.executable} -IS\n"
            f"import sys\nsys.path.insert(0, {str(here)!r})\n"
            f"import provider_shim\nprovider_shim.run({str(provider.binary)!r}, {str(self.shim_log)!r})\n"
        )
        installed.chmod(installed.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
