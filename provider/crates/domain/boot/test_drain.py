"""Runs the very scripts that drain an engine and that listen for EC2's notices: against an etcd, an engine's page and a
metadata service whose answers are the test's.

It needs root, for a network of its own: the metadata service has one address everywhere.
"""

import base64
import contextlib
import http.server
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

BOOT = pathlib.Path(__file__).resolve().parent
ROUTER, WORKER, METADATA = "127.201.8.1", "127.201.8.2", "169.254.169.254"
# What the scripts wait for, shorter.
SHORTER = {
    "ROUTER_SECONDS = 10": "ROUTER_SECONDS = 1",
    "ON_THEIR_WAY_SECONDS = 1": "ON_THEIR_WAY_SECONDS = 0.1",
    "\nSECONDS = 5": "\nSECONDS = 0.1",
}

# As workers of Dynamo 1.6.1 write it, without most of it.
UPTIME = 'dynamo_component_uptime_seconds{worker_id="47d5a22a1122c81a"} 5.905971635\n'
OTHER_ENDPOINT = 'dynamo_component_inflight_requests{dynamo_component="prefill",dynamo_endpoint="query"} 1\n'


def page(requests, component="backend", kv=None, vllm=None):
    text = UPTIME + OTHER_ENDPOINT + "# TYPE dynamo_component_inflight_requests gauge\n"
    text += f'dynamo_component_inflight_requests{{dynamo_component="{component}",dynamo_endpoint="generate",dynamo_namespace="dynamo"}} {requests}\n'
    if kv is not None:
        text += f'vllm:kv_cache_usage_perc{{engine="0",model_name="tiny"}} {kv}\n'
    return text + (vllm or "")


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, text = self.server.answer(self.path, body)
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

    do_POST = do_PUT = do_GET


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address, port, answer):
        super().__init__((address, port), Handler)
        self.answer = answer
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def __exit__(self, *more):
        self.shutdown()
        super().__exit__(*more)


class Etcd:
    """Keys and values behind etcd's JSON API; `forgotten` are the keys in the order in which they went."""

    def __init__(self, engines=(0,)):
        self.keys, self.forgotten = {}, []
        for index in engines:
            name = f"dynamo/backend/generate/{index}a"
            self.keys[f"v1/mdc/{name}"] = "{}"
            self.keys[f"v1/instances/{name}"] = json.dumps({"transport": {"tcp": f"{WORKER}:{20000 + index}/1/generate"}})
        self.keys["v1/instances/dynamo/backend/generate/other"] = json.dumps({"transport": {"tcp": f"{ROUTER}9:20000/1/generate"}})

    def within(self, body):
        first, end = (base64.b64decode(body[name]).decode() for name in ("key", "range_end"))
        return [key for key in sorted(self.keys) if first <= key < end]

    def answer(self, path, body):
        encode = lambda text: base64.b64encode(text.encode()).decode()
        body = json.loads(body)
        if path == "/v3/kv/range":
            return 200, json.dumps({"kvs": [{"key": encode(key), "value": encode(self.keys[key])} for key in self.within(body)]})
        for one in body["success"]:
            for key in self.within(one["requestDeleteRange"]):
                del self.keys[key]
                self.forgotten.append(key.removeprefix("v1/").split("/")[0] + " " + key.split("/")[-1])
        return 200, "{}"


class Machine(unittest.TestCase):
    def setUp(self):
        self.root = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        (self.root / "opt/disagg").mkdir(parents=True)
        (self.root / "run/disagg").mkdir(parents=True)
        self.etcd = Etcd()
        self.pages = {0: (200, page(0)), 1: (200, page(0))}
        self.environment = {
            "PATH": os.environ["PATH"],
            "DISAGG_ROOT": str(self.root),
            "DISAGG_IP": WORKER,
            "DISAGG_ROUTER_INTERNAL_IP": ROUTER,
        }

    def script(self, name, **changes):
        text = (BOOT / "scripts" / name).read_text()
        for old, new in (SHORTER | changes).items():
            text = text.replace(old, new)
        path = self.root / "opt/disagg" / name
        path.write_text(text)
        path.chmod(0o755)
        return path

    def start(self, *command, **env):
        started = subprocess.Popen(command, env=self.environment | env, stderr=subprocess.PIPE, text=True)
        self.addCleanup(started.stderr.close)
        self.addCleanup(started.wait)
        self.addCleanup(started.kill)
        return started

    def drain(self, *arguments, longest=600, **env):
        return self.start(self.script("drain", **{'"600"': f'"{longest}"'}), *arguments, **env)

    def serve_router(self, answer=None):
        return self.enterContext(Server(ROUTER, 2379, answer or self.etcd.answer))

    def serve_engine(self, index=0):
        return self.enterContext(Server(WORKER, 9000 + index, lambda *_: self.pages[index]))

    def wait_until(self, what, condition):
        end = time.monotonic() + 20
        while not condition():
            self.assertLess(time.monotonic(), end, f"not within 20 s: {what}")
            time.sleep(0.02)

    def assert_goes_on(self, started, seconds=0.8):
        with self.assertRaises(subprocess.TimeoutExpired):
            started.wait(seconds)

    def assert_ends(self, started, code):
        said = started.communicate(timeout=20)[1]
        self.assertEqual(started.returncode, code, said)
        return said


class Drains(Machine):
    def test_the_router_forgets_it_and_what_runs_ends(self):
        self.serve_router()
        self.serve_engine()
        self.pages[0] = (200, page(2))
        started = self.drain("0")
        self.wait_until("the router is told", lambda: len(self.etcd.forgotten) == 2)
        self.assert_goes_on(started)
        self.pages[0] = (200, page(0))
        self.assert_ends(started, 0)
        self.assertEqual(self.etcd.forgotten, ["mdc 0a", "instances 0a"])
        self.assertIn("v1/instances/dynamo/backend/generate/other", self.etcd.keys)

    def test_a_router_that_comes_back_is_told(self):
        self.serve_engine()
        started = self.drain("0")
        self.assert_goes_on(started, 0.5)
        self.serve_router()
        self.assertIn("cannot be told", self.assert_ends(started, 0))
        self.assertEqual(self.etcd.forgotten, ["mdc 0a", "instances 0a"])

    def test_without_a_router_what_runs_ends_and_the_code_says_it(self):
        self.serve_engine()
        unavailable = lambda *_: (503, "")
        no_json = lambda *_: (200, "<html>")
        no_key = lambda *_: (200, '{"kvs": [{}]}')
        for answer in (None, unavailable, no_json, no_key):
            with self.subTest(answer), contextlib.ExitStack() as stack:
                if answer:
                    stack.enter_context(Server(ROUTER, 2379, answer))
                self.pages[0] = (200, page(1))
                started = self.drain("0")
                self.assert_goes_on(started, 2)
                self.pages[0] = (200, page(0))
                said = self.assert_ends(started, 1)
                self.assertEqual(said.count("cannot be told"), 1, said)
                # Idle from the beginning: it stays for the router as long as that may take to start.
                started = self.drain("0")
                self.assert_goes_on(started, 0.5)
                self.assert_ends(started, 1)

    def test_a_router_that_comes_back_late_is_told_while_something_runs(self):
        self.serve_engine()
        self.pages[0] = (200, page(1))
        started = self.drain("0")
        self.assert_goes_on(started, 2)
        self.serve_router()
        self.wait_until("the router is told", lambda: len(self.etcd.forgotten) == 2)
        self.pages[0] = (200, page(0))
        self.assert_ends(started, 0)

    def test_silence_is_no_end_and_no_engine_is_one(self):
        self.serve_router()
        for answer in [(200, ""), (200, UPTIME), (200, OTHER_ENDPOINT), (200, "<html></html>"), (500, page(0)),
                       (200, page("NaN")), (200, page("nothing")), (200, page(-1))]:
            with self.subTest(answer):
                self.etcd.__init__()
                with Server(WORKER, 9000, lambda *_: self.pages[0]):
                    self.pages[0] = answer
                    started = self.drain("0")
                    self.assert_goes_on(started)
                    self.pages[0] = (200, page(0))
                    self.assert_ends(started, 0)
        self.etcd.__init__()
        self.assert_ends(self.drain("0"), 0)

    def test_without_an_engine_nobody_waits_for_the_router(self):
        began = time.monotonic()
        self.assert_ends(self.drain("0"), 0)
        self.assertLess(time.monotonic() - began, 0.9)

    def test_at_the_limit_the_code_says_that_something_may_run(self):
        self.serve_router()
        self.serve_engine()
        self.pages[0] = (200, page(1))
        self.assertIn("may still run", self.assert_ends(self.drain("0", longest=0.5), 2))

    def test_the_page_says_whether_kv_counts(self):
        self.serve_router()
        self.serve_engine()
        another = "vllm:num_requests_running 0.0\n"
        for expected, text in [
            (0, page(0, "prefill", kv="0.0")),
            (2, page(0, "prefill", kv="0.0036630036630036")),
            (2, page(0, "prefill", kv="0.0", vllm='vllm:kv_cache_usage_perc{engine="1"} 0.25 1796002603\n')),
            (2, page(1, "prefill", kv="0.0")),
            # vLLM's, and it does not say.
            (2, page(0, "prefill", vllm=another)),
            # Of another engine's prefill, and of decodes, whose cache keeps what it has seen.
            (0, page(0, "prefill")),
            (0, page(0, "backend", kv="0.5")),
            (0, page(0, "backend", vllm=another)),
        ]:
            # Whatever the machine was told that it is.
            for env in ({"DISAGG_ENGINE": "vllm", "DISAGG_ROLE": "prefill"}, {"DISAGG_ENGINE": "sglang", "DISAGG_ROLE": "decode"}):
                with self.subTest(text, env=env):
                    self.etcd.__init__()
                    self.pages[0] = (200, text)
                    self.assert_ends(self.drain("0", longest=0.4, **env), expected)

    def test_what_is_not_registered_is_left_alone_unless_somebody_waits_for_it(self):
        self.etcd = Etcd(engines=())
        self.serve_router()
        self.serve_engine()
        forever = {"DISAGG_DRAIN_SECONDS": "86400"}
        self.pages[0] = (200, page(1))
        self.assert_ends(self.drain("0"), 0)
        started = self.drain("0", **forever)
        self.assert_goes_on(started)
        # Its page is none of Dynamo's.
        self.pages[0] = (200, "")
        self.assert_goes_on(started)
        self.pages[0] = (200, page(0))
        self.assert_ends(started, 0)
        # Its model loads: it has no endpoint, and never had.
        self.pages[0] = (200, UPTIME)
        self.assert_ends(self.drain("0", **forever), 0)

    def test_all_engines_of_a_machine_that_is_taken_away(self):
        self.etcd = Etcd(engines=(0, 1))
        started = self.drain(DISAGG_ENGINE_COUNT="2")
        self.assert_ends(started, 1)
        started = self.drain(DISAGG_ENGINE_COUNT="2")
        self.assert_goes_on(started, 0.5)
        self.serve_router()
        self.assert_ends(started, 0)
        self.assertEqual(self.etcd.forgotten, ["mdc 0a", "mdc 1a", "instances 0a", "instances 1a"])


class Notices(Machine):
    def setUp(self):
        super().setUp()
        self.told, self.asked = {}, []
        self.enterContext(Server(METADATA, 80, self.metadata))
        self.script("drain")
        self.run_directory = self.root / "run/disagg"

    def metadata(self, path, _):
        self.asked.append(path)
        if path == "/latest/api/token":
            return 200, "token"
        found = self.told.get(path.removeprefix("/latest/meta-data/"))
        return (200, found) if found else (404, "")

    def looks(self, count):
        """Lets it look so many times."""
        before = self.asked.count("/latest/api/token")
        self.wait_until("it looks", lambda: self.asked.count("/latest/api/token") >= before + count)

    def has(self, name):
        return (self.run_directory / name).exists()

    def test_an_interruption_is_told_until_the_router_knows(self):
        self.serve_engine()
        self.start(self.script("notices"))
        self.looks(2)
        self.told["spot/instance-action"] = '{"action": "terminate"}'
        # Longer than one attempt.
        time.sleep(2.5)
        self.serve_router()
        self.wait_until("the router is told", lambda: self.etcd.forgotten == ["mdc 0a", "instances 0a"])
        # What is registered again after that is not this notice's: it is told once.
        self.looks(3)
        self.etcd.__init__()
        self.looks(5)
        self.assertEqual(self.etcd.forgotten, [])

    def test_a_machine_that_is_let_go_is_drained_when_all_of_it_is(self):
        self.etcd = Etcd(engines=(0, 1))
        self.serve_engine(0)
        self.serve_engine(1)
        self.pages[1] = (200, page(3))
        self.told["tags/instance/disagg:phase"] = "ready"
        self.start(self.script("notices"), DISAGG_ENGINE_COUNT="2")
        self.looks(3)
        self.assertFalse(self.has("draining"))
        self.told["tags/instance/disagg:phase"] = "draining"
        self.wait_until("it says that it drains", lambda: self.has("draining"))
        # The drain of the idle engine ends without the router, and begins again.
        time.sleep(2.5)
        self.assertFalse(self.has("drained"), "the router does not know")
        self.serve_router()
        self.wait_until("the router is told", lambda: len(self.etcd.forgotten) == 4)
        self.looks(5)
        self.assertFalse(self.has("drained"), "an answer runs on it")
        self.pages[1] = (200, "")
        self.looks(5)
        self.assertFalse(self.has("drained"), "nobody knows what runs on it")
        self.pages[1] = (200, page(0))
        self.wait_until("it says that it is drained", lambda: self.has("drained"))


if __name__ == "__main__":
    if os.geteuid() != 0:
        sys.exit("test_drain.py: a network of its own needs root")
    for program in ("unshare", "ip"):
        if shutil.which(program) is None:
            sys.exit(f"test_drain.py: {program} is needed: sudo apt-get install util-linux iproute2")
    if "OWN_NETWORK" not in os.environ:
        own = f'ip link set lo up && ip address add {METADATA}/32 dev lo && OWN_NETWORK=yes exec "$@"'
        os.execvp("unshare", ["unshare", "--net", "bash", "-c", own, "bash", sys.executable, *sys.argv])
    unittest.main()
