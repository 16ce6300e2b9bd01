"""Requests to a service's endpoint, as a client of OpenAI's API makes them."""

from __future__ import annotations

import json
import random
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field

#: Words that the tokenizer makes one or two tokens of.
WORDS = "the of to in is for on with that router worker cache prefill decode page token model key value one two".split()


@dataclass
class Answer:
    """What came of a request."""

    status: int = 0
    error: str = ""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    finish: str = ""
    #: Whether a stream ended by itself.
    done: bool = False
    pieces: int = 0
    first_seconds: float = 0.0
    seconds: float = 0.0
    #: The longest time between two pieces.
    gap: float = 0.0

    def is_whole(self, tokens: int) -> bool:
        """Whether all that was asked for has come."""
        return self.status == 200 and self.completion_tokens == tokens and self.finish == "length" and not self.error

    def __str__(self) -> str:
        if self.status != 200 or self.error:
            return f"status {self.status} after {self.seconds:.1f} s and {self.pieces} pieces: {self.error}"
        stream = f", first after {self.first_seconds * 1000:.0f} ms, longest gap {self.gap * 1000:.0f} ms" if self.pieces else ""
        return (
            f"{self.prompt_tokens} tokens of prompt, {self.completion_tokens} of answer in {self.seconds:.2f} s"
            f"{stream}, finish {self.finish}"
        )


def prompt(words: int, seed: int) -> str:
    numbers = random.Random(seed)
    return " ".join(numbers.choice(WORDS) for _ in range(words))


def ask(url: str, model: str, words: int, tokens: int, stream: bool, seed: int, timeout: float = 300) -> Answer:
    """One chat. Whatever goes wrong is in the answer."""
    body: dict[str, object] = {
        "model": model,
        "max_tokens": tokens,
        "temperature": 0,
        "ignore_eos": True,
        "stream": stream,
        "messages": [{"role": "user", "content": prompt(words, seed)}],
    }
    if stream:
        body["stream_options"] = {"include_usage": True}
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    answer = Answer()
    began = time.monotonic()
    try:
        # Endpoints of the local cloud are behind no proxy.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=timeout) as response:
            answer.status = response.status
            if stream:
                read_stream(response, answer, began)
            else:
                read_whole(json.load(response), answer)
    except urllib.error.HTTPError as error:
        answer.status, answer.error = error.code, error.read().decode(errors="replace")[:300]
    except (OSError, ValueError) as error:
        answer.error = repr(error)
    answer.seconds = time.monotonic() - began
    return answer


def read_whole(json_answer: dict, answer: Answer) -> None:
    answer.finish = json_answer["choices"][0].get("finish_reason") or ""
    read_usage(json_answer, answer)
    answer.done = True


def read_stream(response, answer: Answer, began: float) -> None:
    last = None
    for line in response:
        if line.startswith(b"event: error") or line.startswith(b"data: {\"error"):
            answer.error = line.decode(errors="replace").strip()[:300]
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            answer.done = True
            continue
        piece = json.loads(data)
        read_usage(piece, answer)
        for choice in piece.get("choices", []):
            answer.finish = choice.get("finish_reason") or answer.finish
            if not (choice.get("delta") or {}).get("content"):
                continue
            now = time.monotonic()
            answer.pieces += 1
            if last is None:
                answer.first_seconds = now - began
            else:
                answer.gap = max(answer.gap, now - last)
            last = now
    if not answer.done:
        answer.error = answer.error or "the stream ended without [DONE]"


def read_usage(piece: dict, answer: Answer) -> None:
    usage = piece.get("usage")
    if usage:
        answer.prompt_tokens = usage.get("prompt_tokens") or 0
        answer.completion_tokens = usage.get("completion_tokens") or 0


@dataclass
class Running:
    """A chat in the background."""

    url: str
    model: str
    words: int
    tokens: int
    seed: int
    answer: Answer | None = None
    thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        self.answer = ask(self.url, self.model, self.words, self.tokens, True, self.seed, timeout=600)

    @property
    def runs(self) -> bool:
        return self.thread.is_alive()

    def wait(self, seconds: float) -> Answer:
        self.thread.join(seconds)
        return self.answer or Answer(error=f"no end within {seconds} s")


@dataclass
class Asking:
    """Chats of one size, one after the other by each of so many clients, for as long as somebody wants to know
    whether all are answered."""

    url: str
    model: str
    words: int
    tokens: int
    clients: int
    count: int = 0
    lost: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)
    threads: list[threading.Thread] = field(init=False)

    def __post_init__(self) -> None:
        self.threads = [threading.Thread(target=self._run, args=(1000 * client,), daemon=True) for client in range(self.clients)]
        for thread in self.threads:
            thread.start()

    def _run(self, seed: int) -> None:
        while not self.over.is_set():
            # Another prompt each time: none is answered out of a cache.
            answer = ask(self.url, self.model, self.words, self.tokens, True, seed, timeout=600)
            seed += 1
            self.count += 1
            if not answer.is_whole(self.tokens):
                self.lost.append(str(answer))

    def end(self) -> None:
        """Lets the last ones come to their end."""
        self.over.set()
        for thread in self.threads:
            thread.join(300)
            if thread.is_alive():
                self.lost.append("no end within 300 s")

    def __str__(self) -> str:
        which = ": " + "; ".join(self.lost[:3]) if self.lost else ""
        return f"{len(self.lost)} of {self.count} answers of {self.tokens} tokens lost{which}"
