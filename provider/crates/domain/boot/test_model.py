"""Runs the very scripts that download a model and start its engine: against a hub in memory with the vendor's own
client, and a `docker` that really drops to the image's user and shows it nothing but what is mounted.

The machine is a directory, as in `test`. It needs root, for the containers' namespaces.
"""

import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys
import tempfile
import textwrap
import time
import unittest

BOOT = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(BOOT / "stand_ins"))

from hub import Hub  # noqa: E402

MODEL = "openai/gpt-oss-120b"
ROUTER = "127.201.7.1"
# Above what the scripts are told to call a small file.
SMALL = 1000
LARGE = 150_000
SECRET = "hf_a secret"

# In the place of Dynamo: reads the model as an engine does that is kept from the hub, and leaves something in each
# cache that it was told of.
ENGINE = """
import json, os, pathlib, sys
from huggingface_hub import constants, snapshot_download
print(f"the model is {sys.argv[1]}", file=sys.stderr)
model, _, revision = sys.argv[1].partition("@")
if model.startswith("/"):
    snapshot = pathlib.Path(model)
else:
    snapshot = pathlib.Path(snapshot_download(model, revision=revision or None, local_files_only=True))
files = sorted(str(path.relative_to(snapshot)) for path in snapshot.rglob("*") if path.is_file())
for file in files:
    (snapshot / file).read_bytes()
kept = {}
for name, directory in os.environ.items():
    if name.endswith(("_CACHE_DIR", "_CACHE_ROOT", "_WORKSPACE_BASE", "_CACHE_PATH", "XDG_CACHE_HOME", "EXTENSIONS_DIR")):
        place = pathlib.Path(directory) / name
        kept[name] = place.exists()
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("compiled")
print(json.dumps({"model": model, "is_writable": os.access(snapshot, os.W_OK), "files": files, "kept": kept, "environment": dict(os.environ), "user": [os.getuid(), os.getgid()],
                  "offline": constants.HF_HUB_OFFLINE}))
"""


def noise(count):
    return os.urandom(count)


def weights(*names, size=LARGE):
    return {name: noise(size) for name in names}


SMALL_FILES = {"config.json": b'{"a": 1}', "tokenizer.json": b"{}", "README.md": b"about"}


class Models(unittest.TestCase):
    def setUp(self):
        self.place = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        # Whoever may pass through is the matter of the directories below.
        self.place.chmod(0o755)
        self.hub = self.enterContext(Hub())
        self.addCleanup(self.hub.shutdown)
        modules = self.place / "modules/dynamo"
        for engine in ("vllm", "sglang", "trtllm"):
            (modules / engine).mkdir(parents=True)
            (modules / engine / "__main__.py").write_text(textwrap.dedent(ENGINE))
        for port in (2379, 4222):
            self.enterContext(socket.create_server((ROUTER, port)))

    def vm(self, disk=None, **more):
        """The root of a machine whose scripts find everything where a VM has it; `disk` is its local NVMe disk."""
        root, environment = self.machine(**more)
        for directory in ("var/lib", "mnt/nvme"):
            (root / directory).mkdir(parents=True)
        shutil.copytree("/etc", root / "etc", symlinks=True, dirs_exist_ok=True)
        environment["DISAGG_ROOT"] = ""
        mounts = [f"mount --rbind {root}/{directory} /{directory}" for directory in ("opt", "etc", "run", "var/lib", "mnt")]
        if disk:
            mounts.append(f"mount --bind {disk} /mnt/nvme")
        inside = ["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(["set -e", *mounts, 'exec "$@"']), "vm"]
        return root, environment, inside

    def machine(self, engine="vllm", args=(), secrets=None, runtime="container", model=MODEL, **env):
        """The root of a machine, with the environment of its units."""
        root = pathlib.Path(tempfile.mkdtemp(dir=self.place))
        (root / "etc/disagg").mkdir(parents=True)
        (root / "run/disagg").mkdir(parents=True)
        (root / "opt").mkdir()
        shutil.copytree(BOOT / "scripts", root / "opt/disagg")
        (root / "etc/disagg/engine-0.env").write_text('CUDA_VISIBLE_DEVICES="0"\n')
        (root / "etc/disagg/engine-0.args").write_text("".join(f"{line}\n" for line in ("${DISAGG_MODEL_PATH}", *args)))
        if secrets:
            (root / "run/disagg/secrets").write_text("".join(f"{name}={value}\0" for name, value in secrets.items()))
        stand_ins = self.place / "bin"
        if not stand_ins.exists():
            stand_ins.mkdir()
            (stand_ins / "docker").symlink_to(BOOT / "stand_ins/docker")
        python = root / "opt/disagg/runtime/1.6.1/venv/bin/python"
        python.parent.mkdir(parents=True)
        python.write_text(f'#!/bin/bash\nPYTHONPATH={self.place}/modules exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        environment = {
            "PATH": f"{stand_ins}:{os.environ['PATH']}",
            "LANG": "C",
            "DISAGG_ROOT": str(root),
            "DISAGG_IP": "127.201.7.2",
            "DISAGG_ROUTER_INTERNAL_IP": ROUTER,
            "DISAGG_ROUTER_HOST": "router.test.disagg.internal",
            "DISAGG_ROLE": "decode",
            "DISAGG_VERSION": "1.6.1",
            "DISAGG_ENGINE": engine,
            "DISAGG_RUNTIME": runtime,
            "DISAGG_IMAGE": "registry.example/engine:1",
            "DISAGG_MODEL": model,
            "DISAGG_PROGRESS_SECONDS": "0.1",
            "DISAGG_SMALL_FILE_BYTES": str(SMALL),
            "HF_ENDPOINT": self.hub.url,
            "CALLS": str(self.place / "calls"),
            "IMAGE_PYTHON": sys.executable,
            "IMAGE_PATHS": str(self.place / "modules"),
            "IMAGE_ENV": f"PYTHONPATH={self.place}/modules",
            **env,
        }
        return root, environment

    @staticmethod
    def command(machine, name):
        root, _, *inside = machine
        return [*inside[0], f"/opt/disagg/{name}"] if inside else [root / "opt/disagg" / name]

    def run_script(self, machine, name, *arguments):
        command = [*self.command(machine, name), *arguments]
        return subprocess.run(command, env=machine[1], capture_output=True, text=True, timeout=60)

    def download(self, machine):
        ended = self.run_script(machine, "model")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        self.assertNotIn(SECRET, ended.stdout + ended.stderr)
        return ended.stderr

    def start(self, machine):
        ended = self.run_script(machine, "engine", "0")
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        return json.loads(ended.stdout.splitlines()[-1])

    def test_whoever_the_image_runs_as_the_model_comes_stays_and_is_read(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model-00001-of-00001.safetensors"))
        for user in ("1000:0", "0:0", "1001:1001"):
            with self.subTest(user):
                machine = self.machine(IMAGE_USER=user)
                self.download(machine)
                first = self.start(machine)
                self.assertEqual(first["user"], [int(part) for part in user.split(":")])
                self.assertEqual(first["files"], sorted([*SMALL_FILES, "model-00001-of-00001.safetensors"]))
                self.assertTrue(first["kept"] and not any(first["kept"].values()))
                # What is open to every user is closed one level above.
                for above in ("opt/disagg/models", "var/lib/disagg"):
                    self.assertEqual((machine[0] / above).stat().st_mode & 0o077, 0, above)
                # A restart downloads nothing, and compiles nothing a second time.
                asked = len(self.hub.asked)
                self.download(machine)
                second = self.start(machine)
                self.assertEqual(len(self.hub.asked), asked)
                self.assertTrue(all(second["kept"].values()), second["kept"])
                for named in ("TRITON_CACHE_DIR", "VLLM_CACHE_ROOT", "FLASHINFER_WORKSPACE_BASE", "XDG_CACHE_HOME",
                              "TORCHINDUCTOR_CACHE_DIR", "SGLANG_DG_CACHE_DIR", "CUDA_CACHE_PATH"):
                    self.assertIn(named, second["kept"])

    def test_a_vm_that_downloads_calls_the_model_as_one_that_has_it_in_its_image(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model.safetensors", "original/model.safetensors"))
        for user in ("1000:0", "0:0", "1001:1001"):
            with self.subTest(user):
                baked = self.vm(IMAGE_USER=user)
                place = baked[0] / "opt/disagg/models" / MODEL
                place.mkdir(parents=True)
                (place / "config.json").write_text("{}")
                downloads = self.vm(IMAGE_USER=user)
                for machine in (baked, downloads):
                    self.download(machine)
                first, second = self.start(baked), self.start(downloads)
                self.assertEqual(first["model"], f"/opt/disagg/models/{MODEL}")
                self.assertEqual(second["model"], first["model"])
                self.assertEqual(second["files"], sorted([*SMALL_FILES, "model.safetensors"]))
                self.assertFalse(second["is_writable"] and user != "0:0")
                self.assertFalse(second["offline"], "a drafter may come from the hub")
                self.assertFalse(list((downloads[0] / "opt/disagg/models/.partial/openai").iterdir()))
                asked = len(self.hub.asked)
                self.download(downloads)
                self.assertEqual(self.start(downloads)["model"], first["model"])
                self.assertEqual(len(self.hub.asked), asked, "a restart downloads nothing")

    def test_a_vm_with_a_disk_of_its_own_has_the_model_there_until_it_is_stopped(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model.safetensors"))
        disk = pathlib.Path(tempfile.mkdtemp(dir=self.place))
        machine = self.vm(disk=disk)
        known = machine[0] / "opt/disagg/models" / MODEL
        self.download(machine)
        self.assertEqual(os.readlink(known), f"/mnt/nvme/disagg/models/{MODEL}")
        self.assertEqual((disk / "disagg").stat().st_mode & 0o077, 0)
        self.assertEqual(self.start(machine)["model"], f"/opt/disagg/models/{MODEL}")
        # The link was lost in a crash: the disk is looked at before the hub is asked.
        known.unlink()
        asked = len(self.hub.asked)
        self.download(machine)
        self.assertEqual(len(self.hub.asked), asked)
        # A stopped machine comes back with an empty disk.
        shutil.rmtree(disk / "disagg")
        self.download(machine)
        self.assertEqual(self.start(machine)["files"], sorted([*SMALL_FILES, "model.safetensors"]))

    def test_a_model_that_is_not_whole_is_given_to_no_engine(self):
        files = SMALL_FILES | weights("a.safetensors", "b.safetensors", size=3_000_000)
        repository = self.hub.add(MODEL, files)
        self.hub.cut_after = 1_000_000
        machine = self.vm(HF_HUB_DISABLE_XET="1", runtime="container")
        known = machine[0] / "opt/disagg/models" / MODEL
        partial = machine[0] / "opt/disagg/models/.partial" / MODEL
        ended = self.run_script(machine, "model")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("config.json", os.listdir(partial))
        self.assertFalse(known.exists())
        ended = self.run_script(machine, "engine", "0")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(f"the model is {MODEL}\n", ended.stderr)
        # Another commit meanwhile: of the first one nothing is left, as no index speaks of it.
        self.hub.cut_after = None
        (partial / "left-over.safetensors").write_bytes(noise(LARGE))
        (partial / "a.safetensors").write_bytes(noise(LARGE))
        repository.commit = "d" * 40
        repository.files = {"config.json": b'{"a": 2}'} | weights("a.safetensors", "c.safetensors")
        self.download(machine)
        self.assertEqual(self.start(machine)["files"], ["a.safetensors", "c.safetensors", "config.json"])
        for file, content in repository.files.items():
            self.assertEqual((known / file).read_bytes(), content, file)
        self.assertEqual(sorted(os.listdir(known)), ["a.safetensors", "c.safetensors", "config.json"])

    def test_a_vm_goes_on_with_what_is_there(self):
        files = SMALL_FILES | weights(*(f"{one}.safetensors" for one in "abcdef"))
        self.hub.add(MODEL, files | {"z.json": b"[]"})
        machine = self.vm(args=["--speculative-config", json.dumps({"model": "org/drafter"})])
        self.assertNotEqual(self.run_script(machine, "model").returncode, 0, "there is no such drafter")
        self.hub.served.clear()
        self.hub.add("org/drafter", {"config.json": b"{}"} | weights("model.safetensors"))
        self.download(machine)
        self.assertEqual({path for path, *_ in self.hub.served}, {"config.json", "model.safetensors"})
        cached = {path.name for path in (machine[0] / "opt/disagg/models/.huggingface/hub").glob("models--org--*/snapshots/*/*")}
        self.assertEqual(cached, {"config.json", "model.safetensors"})

    def test_where_models_have_a_place_of_the_users_they_stay_in_the_hubs_cache(self):
        self.hub.add(MODEL, SMALL_FILES)
        for more in ({"HF_HOME": "/mnt/shared"}, {"HF_HUB_CACHE": "/mnt/shared/hub"}, {"DISAGG_VERSION": "1.3.1"}):
            with self.subTest(more):
                machine = self.vm(**more)
                self.download(machine)
                found = self.start(machine)
                self.assertEqual(found["model"], MODEL)
                self.assertTrue(found["offline"])

    def test_the_image_may_change_its_user(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model.safetensors"))
        machine = self.machine(IMAGE_USER="0:0")
        self.download(machine)
        self.start(machine)
        machine[1]["IMAGE_USER"] = "1000:0"
        self.start(machine)

    def test_an_engine_without_a_container_has_the_same(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model.safetensors", "original/model.safetensors"))
        machine = self.machine(runtime="venv")
        self.download(machine)
        first = self.start(machine)
        self.assertEqual(first["files"], sorted([*SMALL_FILES, "model.safetensors"]))
        self.assertTrue(first["offline"])
        self.assertTrue(all(self.start(machine)["kept"].values()))

    def test_what_the_user_and_the_image_say_of_caches_holds(self):
        self.hub.add(MODEL, SMALL_FILES)
        machine = self.machine(TRITON_CACHE_DIR="/tmp/mine")
        machine[1]["IMAGE_ENV"] += " VLLM_CACHE_ROOT=/tmp/the-images NO_PROXY=of.the.image"
        self.download(machine)
        environment = self.start(machine)["environment"]
        self.assertEqual(environment["TRITON_CACHE_DIR"], "/tmp/mine")
        self.assertEqual(environment["VLLM_CACHE_ROOT"], "/tmp/the-images")
        self.assertIn("of.the.image", environment["NO_PROXY"])
        self.assertIn(ROUTER, environment["NO_PROXY"])
        self.assertEqual(environment["NO_PROXY"], environment["no_proxy"])

    def test_weights_come_in_the_one_format_that_is_read(self):
        shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        mistral = {"params.json": b"{}"} | weights(*shards, "consolidated.safetensors")
        for engine, args, files, expected in [
            ("sglang", [], weights(*shards, "original/a.safetensors", "metal/model.bin", "pytorch_model.bin"), shards),
            ("vllm", [], weights(*shards, "model.gguf", "tf_model.h5", "onnx/model.onnx_data", "consolidated.00.pth"), shards),
            ("vllm", [], weights("pytorch_model.bin", "flax_model.msgpack", "original/consolidated.pth"), ["pytorch_model.bin"]),
            ("vllm", [], weights("consolidated.00.pth", "model.gguf"), ["consolidated.00.pth"]),
            ("vllm", [], weights("only.gguf"), ["only.gguf"]),
            ("vllm", ["--load-format", "dummy"], weights(*shards), []),
            ("sglang", ["--load-format=pt"], weights(*shards, "pytorch_model.bin"), ["pytorch_model.bin"]),
            ("sglang", [], weights(*shards, "consolidated.safetensors"), shards),
            ("vllm", [], mistral, ["consolidated.safetensors", *shards, "params.json"]),
            ("trtllm", [], mistral, [*shards, "params.json"]),
            # What is small is no copy of the weights.
            ("vllm", [], weights(*shards) | weights("spk_dict.pt", size=SMALL), [*shards, "spk_dict.pt"]),
        ]:
            with self.subTest(engine=engine, args=args, files=list(files)):
                self.hub.repositories.clear()
                self.hub.add(MODEL, SMALL_FILES | files)
                machine = self.machine(engine=engine, args=args)
                self.download(machine)
                self.assertEqual(self.start(machine)["files"], sorted([*SMALL_FILES, *expected]))

    def test_the_revision_is_the_engines(self):
        pinned = "b5c939de8f754692c1647ca79fbf85e8c1e70f8a"
        self.hub.add(MODEL, {"config.json": b'{"of": "main"}'})
        self.hub.add(MODEL, {"config.json": b'{"of": "pinned"}', "more.json": b"{}"}, commit=pinned, branch="v1")
        for engine, args in [
            ("vllm", ["--revision", pinned]),
            ("sglang", [f"--revision={pinned}"]),
            ("trtllm", ["--override-engine-args", json.dumps({"revision": "v1"})]),
            ("vllm", ["--revision", "main", "--revision=v1"]),
        ]:
            with self.subTest(engine=engine, args=args):
                machine = self.machine(engine=engine, args=args)
                self.download(machine)
                (machine[0] / "etc/disagg/engine-0.args").write_text(f"{MODEL}@{pinned}\n")
                self.assertEqual(self.start(machine)["files"], ["config.json", "more.json"])
        machine = self.machine(args=["--revision", "nowhere"])
        ended = self.run_script(machine, "model")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn(f"the model {MODEL} cannot be downloaded: RevisionNotFoundError", ended.stderr)

    def test_what_else_the_engine_asks_the_hub_for_comes_too(self):
        self.hub.add(MODEL, {"config.json": b'{"auto_map": {"AutoModel": "org/code--modeling.M"}}'})
        self.hub.add("org/code", {"modeling.py": b"M = 1", "model.safetensors": noise(LARGE)})
        self.hub.add("org/drafter", {"config.json": b"{}"} | weights("model.safetensors", "pytorch_model.bin"))
        for engine, args in [
            ("sglang", ["--speculative-draft-model-path", "org/drafter"]),
            ("vllm", ["--speculative-config", json.dumps({"method": "eagle", "model": "org/drafter"})]),
        ]:
            with self.subTest(engine):
                machine = self.machine(engine=engine, args=args)
                self.download(machine)
                hub = machine[0] / "opt/disagg/models/.huggingface/hub"
                files = {path.name for path in hub.glob("models--org--*/snapshots/*/*")}
                self.assertEqual(files, {"modeling.py", "config.json", "model.safetensors"})

    def test_it_goes_on_where_a_connection_ended_and_says_how_far_it_is(self):
        files = SMALL_FILES | weights("model.safetensors", size=45_000_000)
        self.hub.add(MODEL, files)
        # The client writes pieces of 10 MiB.
        self.hub.cut_after, self.hub.seconds_before_cut = 25_000_000, 0.5
        total = sum(len(content) for content in files.values())
        for kind in (self.machine, self.vm):
            with self.subTest(kind.__name__):
                self.hub.served.clear()
                machine = kind(HF_HUB_DISABLE_XET="1")
                download = machine[0] / "run/disagg/download"
                started = subprocess.Popen(self.command(machine, "model"), env=machine[1], stdout=-1, stderr=-1, text=True)
                told = set()
                while started.poll() is None:
                    try:
                        told.add(download.read_text().strip())
                    except FileNotFoundError:
                        pass
                    time.sleep(0.02)
                printed = "".join(started.communicate())
                self.assertEqual(started.returncode, 0, printed)
                self.assertIn(f"download={total}/{total}", printed)
                self.assertFalse(download.exists(), "it is over")
                amounts = sorted(int(one.split("/")[0]) for one in told if one.endswith(f"/{total}"))
                self.assertTrue(any(0 < amount < total for amount in amounts), amounts)
                parts = [(start, end) for path, start, end in self.hub.served if path == "model.safetensors"]
                self.assertGreaterEqual(self.hub.cuts, 1)
                self.assertTrue(any(start > 0 for start, _ in parts), parts)
                self.assertEqual(self.start(machine)["files"], sorted(files))

    def test_a_disk_that_is_too_small_is_said_beforehand(self):
        self.hub.add(MODEL, SMALL_FILES | weights("model.safetensors", size=3_000_000))
        small = self.machine(), self.vm()
        for machine, below, shown in [
            (small[0], ".huggingface", small[0][0] / "opt/disagg/models/.huggingface"),
            (small[1], ".partial", f"/opt/disagg/models/.partial/{MODEL}"),
        ]:
            with self.subTest(below):
                place = machine[0] / "opt/disagg/models" / below
                place.mkdir(parents=True)
                subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
                self.addCleanup(subprocess.run, ["umount", "--lazy", place], check=True)
                ended = self.run_script(machine, "model")
                self.assertNotEqual(ended.returncode, 0)
                self.assertIn(f"the model {MODEL} needs 0.003 GB, of which 0.000 GB are here, and 0.001 GB are free on {shown}",
                              ended.stderr)
        self.assertEqual(self.hub.served, [])

    def test_the_download_has_the_engines_variables_secrets_and_proxies(self):
        self.hub.add(MODEL, SMALL_FILES)
        self.hub.token = SECRET
        for spelling in ("http_proxy", "HTTP_PROXY"):
            for runtime in ("container", "venv"):
                with self.subTest(spelling=spelling, runtime=runtime):
                    self.hub.asked.clear()
                    more = {spelling: self.hub.url, "HF_ENDPOINT": "http://hub.example", "HF_HUB_DISABLE_XET": "1"}
                    machine = self.machine(secrets={"HF_TOKEN": SECRET}, runtime=runtime, **more)
                    self.download(machine)
                    self.assertTrue(self.hub.asked and all(one["by_proxy"] for one in self.hub.asked))
                    self.assertEqual(self.start(machine)["environment"]["HF_TOKEN"], SECRET)
        self.assertNotIn(SECRET, (self.place / "calls").read_text())
        ended = self.run_script(self.machine(), "model")
        self.assertNotEqual(ended.returncode, 0)
        self.assertIn("GatedRepoError", ended.stderr)

    def test_what_is_brought_by_other_means_is_not_asked_for(self):
        for more in ({"HF_HUB_OFFLINE": "1"}, {"model": "/models/in-the-image"}, {"engine": "mocker"}):
            with self.subTest(more):
                self.download(self.machine(**more))
        self.assertEqual(self.hub.asked, [])


class Containers(unittest.TestCase):
    """What a container gets to see of the machine's devices."""

    def call(self, test, fabric, adapters):
        """The devices of the call, on a machine whose adapters have these drivers."""
        machine = test.machine(DISAGG_FABRIC=fabric, HF_HUB_OFFLINE="1")
        root, environment = machine
        lines = ["set -e", "mount -t tmpfs none /sys/class", "mount -t tmpfs none /mnt", "mkdir -p /mnt/dev/infiniband",
                 "touch /mnt/dev/gdrdrv", "touch /mnt/dev/infiniband/rdma_cm"]
        for node in ("null", "zero", "random", "urandom"):
            lines += [f"touch /mnt/dev/{node}", f"mount --bind /dev/{node} /mnt/dev/{node}"]
        lines.append("ln -s /proc/self/fd /mnt/dev/fd")
        for index, driver in enumerate(adapters):
            device = f"/mnt/pci/{index}"
            lines += [f"mkdir -p {device}/infiniband_verbs/uverbs{index} /mnt/drivers/{driver} /sys/class/infiniband/a{index}",
                      f"ln -s /mnt/drivers/{driver} {device}/driver", f"ln -s {device} /sys/class/infiniband/a{index}/device",
                      f"touch /mnt/dev/infiniband/uverbs{index}"]
        lines += ["mount --rbind /mnt/dev /dev", f"exec {root}/opt/disagg/engine 0"]
        # What is asked of docker is enough.
        docker = test.place / "bin/docker"
        docker.unlink(missing_ok=True)
        docker.write_text('#!/bin/bash\n[[ $1 != run ]] || printf "%s\\n" "$@"\n')
        docker.chmod(0o755)
        ended = subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-c", "\n".join(lines)],
                               env=environment, capture_output=True, text=True)
        self.assertEqual(ended.returncode, 0, ended.stdout + ended.stderr)
        words = ended.stdout.splitlines()
        self.assertIn("nofile=524288:524288", words)
        self.assertIn("memlock=-1", words)
        return [words[at + 1].removeprefix("/dev/") for at, word in enumerate(words) if word == "--device"]

    def test_a_container_gets_the_devices_of_its_fabric_alone(self):
        test = Models()
        test.setUp()
        self.addCleanup(test.doCleanups)
        mixed = ["efa", "mlx5_core", "efa"]
        for fabric, adapters, expected in [
            ("efa", mixed, ["infiniband/uverbs0", "infiniband/uverbs2", "gdrdrv"]),
            ("verbs", mixed, ["infiniband/uverbs1", "infiniband/rdma_cm", "gdrdrv"]),
            ("verbs", ["irdma"], ["infiniband/uverbs0", "infiniband/rdma_cm", "gdrdrv"]),
            ("tcp", mixed, []),
        ]:
            with self.subTest(fabric=fabric, adapters=adapters):
                self.assertEqual(self.call(test, fabric, adapters), expected)


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_model.py: containers of another user need root")
    for program in ("unshare", "setpriv", "mount", "chroot"):
        if shutil.which(program) is None:
            sys.exit(f"test_model.py: {program} is needed: sudo apt-get install util-linux")
    unittest.main()
