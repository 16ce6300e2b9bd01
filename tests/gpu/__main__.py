"""`make gpu`: a whole life of a disaggregated service on the GPUs of this computer, once with each engine
that is installed. The README beside this file says what it takes and how it is told.

It ends with 0 when every engine went through every step.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import random_model
from chats import Asking, Running, ask
from deployment import MODEL, Deployment, Engine, Failed, Shape, changed, which

HERE = Path(__file__).resolve().parent

#: What each engine counts of the KV caches that have come over: the family and its unit.
TRANSFERRED = {
    "sglang": ("sglang:kv_transfer_total_mb_sum", "MB"),
    "vllm": ("vllm:nixl_bytes_transferred_sum", "bytes"),
}

#: By which argument each engine is told the size of its KV blocks, on which all workers have to agree.
BLOCKS = {"sglang": "--page-size", "vllm": "--block-size"}

#: Tokens in a block, when it is another one.
OTHER_BLOCK = "32"

#: What makes a worker one that the router refuses, in a spelling that no plan understands: the beginning of
#: an option's name.
DIFFERS = {"sglang": ("--context-len", "4096"), "vllm": ("--max-model-l", "4096")}

BEGAN = time.monotonic()


#: So many free GPUs leave one for a machine more than those that serve, of both roles.
SPARE = 4


def main() -> int:
    arguments = parse()
    if arguments.rehearse:
        rehearse(arguments)
    engines = installed(arguments)
    gpu, free = most_frequent_gpu(arguments.provider)
    directory = Path(arguments.directory or tempfile.mkdtemp(prefix="disagg-gpu-"))
    random_model.make(arguments.cache / "models" / MODEL, arguments.tokenizer)
    say(f"{free} x {gpu}, engines {', '.join(f'{engine.name} ({engine.runtime})' for engine in engines)}, in {directory}")
    failed = [engine.name for engine in engines if not goes_through(engine, gpu, free, directory, arguments)]
    if failed:
        say(f"FAILED: {', '.join(failed)}")
        return 1
    if not arguments.directory:
        shutil.rmtree(directory, ignore_errors=True)
    say("Every engine went through every step.")
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="gpu")
    parser.add_argument("--provider", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--version", required=True, help="of Dynamo")
    parser.add_argument("--directory", help="where to work, and what to leave behind")
    parser.add_argument("--rehearse", action="store_true")
    arguments = parser.parse_args()
    arguments.provider, arguments.cache = arguments.provider.resolve(), arguments.cache.resolve()
    os.environ["DISAGG_CACHE_DIRECTORY"] = str(arguments.cache)
    return arguments


def rehearse(arguments: argparse.Namespace) -> None:
    """Puts GPUs and engines in place that are none."""
    directory = Path(tempfile.mkdtemp(prefix="disagg-gpu-rehearsal-"))
    shutil.copy(HERE / "fake" / "nvidia-smi", directory / "nvidia-smi")
    gpus = [f"{index}, GPU-{index:08d}-fake, NVIDIA H200, 143771 MiB, Disabled, 580.159.04\n" for index in range(SPARE)]
    (directory / "gpus").write_text("".join(gpus))
    os.environ["PATH"] = f"{directory}:{os.environ['PATH']}"
    for engine in os.environ.get("GPU_ENGINES", "sglang vllm").split():
        environment = directory / engine
        shutil.copytree(HERE / "stub", environment / "bin")
        os.environ[f"GPU_VENV_{engine.upper()}"] = str(environment)
        # As slow as a small model on a GPU, so that there is time for something to happen.
        os.environ.setdefault(f"GPU_ARGS_{engine.upper()}", "--speedup-ratio 1")


def installed(arguments: argparse.Namespace) -> list[Engine]:
    """The engines that are asked for, else those that are here."""
    wanted = os.environ.get("GPU_ENGINES", "").split()
    found = []
    for name in wanted or list(TRANSFERRED):
        upper = name.upper()
        given = os.environ.get(f"GPU_VENV_{upper}")
        environment = Path(given) if given else None
        runtime = environment or arguments.cache / "runtime" / arguments.version / "venv"
        if arguments.rehearse or has_engine(runtime, name):
            kind = "venv"
        elif environment:
            sys.exit(f"gpu: GPU_VENV_{upper} names {environment}, whose bin/python has no {name} or no dynamo.{name}")
        elif wanted and which("docker"):
            kind, environment = "container", None
        elif wanted:
            sys.exit(f"gpu: {name} is neither in {runtime}, nor is there docker; GPU_VENV_{upper} names a virtual environment")
        else:
            continue
        variables = shlex.split(os.environ.get("GPU_ENV", "")) + shlex.split(os.environ.get(f"GPU_ENV_{upper}", ""))
        env = dict(variable.split("=", 1) for variable in variables)
        env.setdefault("HF_HUB_OFFLINE", "1")
        found.append(Engine(name, kind, environment, tuple(shlex.split(os.environ.get(f"GPU_ARGS_{upper}", ""))), env))
    if not found:
        sys.exit(
            f"gpu: no engine is installed. In {arguments.cache}/runtime/{arguments.version}/venv, or in a virtual environment "
            "that GPU_VENV_SGLANG or GPU_VENV_VLLM names, there must be ai-dynamo and sglang or vllm; with docker, "
            "GPU_ENGINES=\"sglang vllm\" takes NVIDIA's images"
        )
    return found


def has_engine(environment: Path, name: str) -> bool:
    python = environment / "bin" / "python"
    if not python.exists():
        return False
    look = f"import importlib.util as u, sys; sys.exit(u.find_spec({name!r}) is None or u.find_spec('dynamo.{name}') is None)"
    return subprocess.run([python, "-c", look], capture_output=True, check=False).returncode == 0


def most_frequent_gpu(provider: Path) -> tuple[str, int]:
    """The model of which this computer has the most free ones, and how many; two are needed."""
    listed = subprocess.run([provider, "local", "gpus"], capture_output=True, text=True, check=False)
    if listed.returncode != 0:
        sys.exit(f"gpu: {listed.stderr.strip()}")
    free: dict[str, int] = {}
    for line in listed.stdout.splitlines():
        # `GPU 0: H200  GPU-1a2b…  free`
        gpu, _, state = line.partition("  ")
        if state.endswith("  free"):
            model = gpu.partition(": ")[2]
            free[model] = free.get(model, 0) + 1
    best = max(free, key=lambda model: free[model], default="")
    if free.get(best, 0) < 2:
        sys.exit(f"gpu: two free GPUs of one model are needed, and this computer has:\n{listed.stdout or 'none'}")
    return best, free[best]


def goes_through(engine: Engine, gpu: str, free: int, directory: Path, arguments: argparse.Namespace) -> bool:
    """Every step, with its time. One that fails ends them all, and what is there is removed."""
    deployment = Deployment(directory / engine.name, arguments.provider, engine, gpu, has_spare=free >= SPARE)
    try:
        steps(deployment, arguments.rehearse)
    except Failed as failure:
        say(f"{engine.name}: FAILED: {failure}")
        try:
            print(deployment.logs(), flush=True)
            if not os.environ.get("GPU_KEEP"):
                deployment.destroy()
        except Failed as second:
            say(f"{engine.name}: and then: {second}")
        return False
    return True


def steps(deployment: Deployment, rehearsal: bool) -> None:
    engine = deployment.engine
    stream_tokens = int(os.environ.get("GPU_STREAM_TOKENS", "6000"))
    step = Steps(engine.name)
    one = Shape()

    step("apply: a router, one prefill, one decode", lambda: deployment.apply(one))
    url = deployment.output("url")
    step("machines and their GPUs", lambda: each_has_its_own(deployment))
    before = transferred(deployment)
    step("chat, whole", lambda: whole(url, 50, 32, False, 1))
    step("chat, streamed", lambda: whole(url, 50, 64, True, 2))
    step("chat, 4,000 tokens of prompt", lambda: long_prompt(url))
    step("KV caches moved", lambda: moved(deployment, before, rehearsal))
    step(
        f"decode goes while an answer of {stream_tokens} tokens runs",
        lambda: under_an_answer(url, stream_tokens, lambda: deployment.apply(changed(one, decode=0))),
    )
    step("decode comes back", lambda: deployment.apply(one))
    step("it answers again", lambda: answers(url, 3))
    step("prefill is lost, and the next apply brings it back", lambda: lose_and_recover(deployment))
    step("it answers again", lambda: answers(url, 4))
    step(
        f"decode is rolled while an answer of {stream_tokens} tokens runs",
        lambda: under_an_answer(url, stream_tokens, lambda: deployment.apply(changed(one, revision=1))),
    )
    step("it answers again", lambda: answers(url, 5))
    if deployment.has_spare:
        with_spare(deployment, step, url, stream_tokens)
    else:
        say(f"{engine.name}: (with {SPARE} GPUs: fewer decodes, a roll, a switch and a worker that is refused, all while it serves)")
    step("nothing to do", lambda: nothing_to_do(deployment))
    step("destroy", deployment.destroy)
    step("nothing is left", lambda: nothing_left(deployment))


def with_spare(deployment: Deployment, step: Steps, url: str, tokens: int) -> None:
    """What takes machines beside those that serve, and nothing from whoever asks."""
    name, before = deployment.engine.name, deployment.shape

    step("three decodes", lambda: deployment.apply(changed(before, decode=3)))
    step("three become one while answers run", lambda: serves_on(deployment, changed(before, decode=1), url, tokens, 6))
    rolled = changed(before, revision=2)
    step("decode is rolled and serves on", lambda: serves_on(deployment, rolled, url, tokens, 2))
    other = changed(rolled, agreed=(BLOCKS[name], OTHER_BLOCK))
    step("both switch to another block size and serve on", lambda: serves_on(deployment, other, url, tokens, 2))
    step("a worker that differs is refused", lambda: refused(deployment, other))
    step("it goes again", lambda: deployment.apply(other))


def serves_on(deployment: Deployment, shape: Shape, url: str, tokens: int, count: int) -> str:
    """A change under long answers, of which some run at every moment, and short chats: all have to come whole."""
    long = Asking(url, MODEL, words=100, tokens=tokens, clients=count)
    short = Asking(url, MODEL, words=200, tokens=16, clients=2)
    began = time.monotonic()
    try:
        deployment.apply(shape)
    finally:
        changed_after = time.monotonic() - began
        for asking in (short, long):
            asking.end()
    found = f"{short}; {long}"
    if short.lost or long.lost or short.count < 10 or long.count < count:
        raise Failed(found)
    return f"changed in {changed_after:.1f} s; {found}"


def refused(deployment: Deployment, shape: Shape) -> str:
    """One more worker, which is healthy, and which the router does not want."""
    said = deployment.apply_fails(changed(shape, stranger=DIFFERS[deployment.engine.name]))
    # Terraform breaks lines where they are long.
    flat = " ".join(said.replace("\u2502", " ").split())
    if "is registered and healthy, and the router refuses it" not in flat:
        raise Failed(f"the apply does not say that the router refuses it: {said[-2000:]}")
    reason = flat.split("the router refuses it: ", 1)[1].split(". ", 1)[0]
    return f"the apply says: {reason}"


class Steps:
    """Runs steps and tells what they found and how long they took."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, title: str, step: Callable[[], str | None]) -> None:
        began = time.monotonic()
        say(f"{self.name}: {title} …")
        found = step()
        say(f"{self.name}:   {time.monotonic() - began:6.1f} s{'  ' + found if found else ''}")


def each_has_its_own(deployment: Deployment) -> str:
    gpus = {machine["id"]: machine["gpus"] for group in ("prefill", "decode") for machine in deployment.machines(group)}
    given = [gpu for of_machine in gpus.values() for gpu in of_machine]
    if len(gpus) != 2 or len(given) != 2 or len(set(given)) != 2:
        raise Failed(f"two machines must have one GPU each: {gpus}")
    return ", ".join(f"{machine} has {' '.join(of_machine)}" for machine, of_machine in gpus.items())


def whole(url: str, words: int, tokens: int, stream: bool, seed: int) -> str:
    answer = ask(url, MODEL, words, tokens, stream, seed)
    if not answer.is_whole(tokens):
        raise Failed(f"not whole: {answer}")
    return str(answer)


def answers(url: str, seed: int) -> str:
    """A chat as soon as the service answers, and how long that took: an apply may end a moment before the
    frontend routes to a new worker."""
    began, refused = time.monotonic(), 0
    while not (answer := ask(url, MODEL, 50, 32, True, seed)).is_whole(32):
        refused += 1
        if time.monotonic() - began > 60 or answer.status == 200:
            raise Failed(f"not whole: {answer}")
        time.sleep(0.2)
    return f"after {time.monotonic() - began:.1f} s, {refused} refused before; {answer}"


def long_prompt(url: str) -> str:
    answer = ask(url, MODEL, 3400, 64, True, 6)
    if not answer.is_whole(64) or answer.prompt_tokens < 4000:
        raise Failed(f"not whole, or not long: {answer}")
    return str(answer)


def transferred(deployment: Deployment) -> float:
    """What the engine has counted so far, on both sides."""
    family, _ = TRANSFERRED[deployment.engine.name]
    workers = deployment.machines("prefill") + deployment.machines("decode")
    return sum(deployment.metrics(machine).get(family, 0.0) for machine in workers)


def moved(deployment: Deployment, before: float, rehearsal: bool) -> str:
    family, unit = TRANSFERRED[deployment.engine.name]
    if rehearsal:
        return "not counted: the mocker hands over the request alone"
    # Engines count in the background.
    until = time.monotonic() + 30
    while (count := transferred(deployment) - before) <= 0:
        if time.monotonic() > until:
            raise Failed(f"{family} has not grown")
        time.sleep(0.5)
    return f"{count:g} {unit} ({family})"


def under_an_answer(url: str, tokens: int, change: Callable[[], None]) -> str:
    """Changes something while an answer runs, which has to come whole."""
    running = Running(url, MODEL, 100, tokens, seed=7)
    time.sleep(1)
    if not running.runs:
        raise Failed(f"the answer was over before anything could happen: {running.wait(1)}")
    began = time.monotonic()
    change()
    changed_after = time.monotonic() - began
    answer = running.wait(300)
    if not answer.is_whole(tokens):
        raise Failed(f"the answer was cut: {answer}")
    return f"changed in {changed_after:.1f} s; {answer}"


def lose_and_recover(deployment: Deployment) -> str:
    (machine,) = deployment.machines("prefill")
    deployment.disagg("local", "lose", machine["id"])
    if not deployment.has_changes():
        raise Failed("the plan does not see the loss")
    deployment.apply_again()
    (other,) = deployment.machines("prefill")
    return f"{machine['id']} is {other['id']} now"


def nothing_to_do(deployment: Deployment) -> None:
    if deployment.has_changes():
        raise Failed("the plan is not empty")


def nothing_left(deployment: Deployment) -> str:
    if machines := deployment.machines():
        raise Failed(f"machines are left: {machines}")
    # A driver lets go of a process a moment after its end.
    until = time.monotonic() + 20
    while taken := [line for line in deployment.disagg("local", "gpus").splitlines() if not line.endswith("  free")]:
        if time.monotonic() > until:
            raise Failed("GPUs are not free: " + "; ".join(taken))
        time.sleep(0.5)
    return "every GPU is free"


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:8.1f} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
